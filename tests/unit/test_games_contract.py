"""The contract's own checks: specs, columns, encodings, registry, kernels, conformance, golden playthroughs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from games import registry
from games.batch import Outcomes, Positions, unpack_masks
from games.conformance import check_game
from games.encodings import decode_discrete, encode_discrete, obs_size, parse
from games.errors import BadBatch, BadEncoding, BadSpec, UnknownGame
from games.kernel import kernel
from games.playthrough import main, playthrough
from games.spec import Box, Discrete, MultiDiscrete
from games.tictactoe.game import TicTacToe

GOLDEN = Path(__file__).resolve().parent.parent / "golden"
SPEC = registry.get("tictactoe").spec


@pytest.mark.parametrize("env_id", registry.names())
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_game_conforms(env_id: str, seed: int) -> None:
    # Fresh processes cost seconds; once a game is enough.
    check_game(registry.get(env_id), seed=seed, processes=2 if seed == 1 else 0)


@pytest.mark.parametrize("env_id", registry.names())
def test_every_game_has_its_golden_playthrough(env_id: str) -> None:
    # After a wanted change: python -m games.playthrough GAME --write tests/golden/GAME.txt
    assert playthrough(registry.get(env_id)) == (GOLDEN / f"{env_id}.txt").read_text("utf-8")


def test_the_golden_playthrough_is_regenerated_by_its_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = tmp_path / "tictactoe.txt"
    assert main(["tictactoe", "--write", str(written)]) == 0
    assert main(["tictactoe"]) == 0
    assert capsys.readouterr().out == written.read_text("utf-8") == playthrough(registry.get("tictactoe"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_horizon": 0}, "max_horizon = 0"),
        ({"state_bytes": -1}, "state_bytes = -1"),
        ({"action_bytes": 8}, "action_bytes = 8"),
        ({"obs_shape": (28,)}, "obs_shape = (28,)"),
        ({"env_id": ""}, "env_id = ''"),
        ({"players": 1}, "zero_sum = True"),
        ({"encoding": replace(SPEC.encoding, state="obs:f32x29:v1")}, "encoding.state = 'obs:f32x29:v1'"),
    ],
)
def test_an_impossible_spec_is_refused_with_its_value(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadSpec) as refused:
        replace(SPEC, **change)
    assert message in str(refused.value)


def test_action_spaces_refuse_the_impossible() -> None:
    with pytest.raises(BadSpec, match="n = 0"):
        Discrete(0)
    with pytest.raises(BadSpec, match="nvec"):
        MultiDiscrete((3, 0))
    with pytest.raises(BadSpec, match="above"):
        Box((1.0,), (0.0,), (1,))
    with pytest.raises(BadSpec, match="shape"):
        Box((0.0,), (1.0,), (2,))


@pytest.mark.parametrize(("actions", "words"), [(1, 1), (64, 1), (65, 2), (1968, 31)])
def test_mask_words_are_as_many_as_the_actions_need(actions: int, words: int) -> None:
    assert replace(SPEC, action_space=Discrete(actions)).mask_words == words


def test_only_discrete_actions_have_a_mask() -> None:
    encoding = replace(SPEC.encoding, action="action:u32x2:v1")
    pairs = replace(SPEC, action_space=MultiDiscrete((3, 4)), action_bytes=8, encoding=encoding)
    assert pairs.mask_words == 0


@given(st.lists(st.lists(st.booleans(), min_size=130, max_size=130), max_size=4))
def test_masks_unpack_bit_by_bit(rows: list[list[bool]]) -> None:
    numbers = [sum(1 << action for action in range(130) if row[action]) for row in rows]
    words = [[number >> 64 * word & 2**64 - 1 for word in range(3)] for number in numbers]
    masks = np.array(words, np.uint64).reshape(len(rows), 3)
    assert unpack_masks(masks, 130).tolist() == rows


@pytest.mark.parametrize(
    "name", ["obs", "obs:f32x29", "obs:f32x29:1", "obs:f32x29:v0", "Obs:f32x29:v1", "obs::v1", ""]
)
def test_a_name_that_is_no_encoding_is_refused(name: str) -> None:
    with pytest.raises(BadEncoding):
        parse(name)
    with pytest.raises(BadEncoding):
        obs_size(name)


def test_obs_size_refuses_other_kinds() -> None:
    with pytest.raises(BadEncoding, match="not an observation"):
        obs_size("state:packed_u8:v1")


@given(st.lists(st.integers(0, 2**32 - 1)))
def test_discrete_actions_survive_their_encoding(actions: list[int]) -> None:
    encoded = encode_discrete(np.array(actions, np.int64))
    assert encoded.tobytes() == b"".join(action.to_bytes(4, "little") for action in actions)
    assert decode_discrete(encoded).tolist() == actions


@pytest.mark.parametrize("value", [-1, 2**32])
def test_an_action_that_fits_no_u32_is_refused(value: int) -> None:
    with pytest.raises(BadEncoding, match=rf"actions\[1\] = {value}"):
        encode_discrete(np.array([0, value]))


def test_columns_of_the_wrong_kind_are_refused_before_the_kernel() -> None:
    game = registry.get("tictactoe")
    states, actions = np.zeros((4, 11), np.uint8), np.zeros((4, 4), np.uint8)
    with pytest.raises(BadBatch, match=r"states: is int64\[4, 11\]; give uint8\[4, 11\]"):
        game.step(states.astype(np.int64), actions)
    with pytest.raises(BadBatch, match=r"actions: is uint8\[3, 4\]; give uint8\[4, 4\]"):
        game.step(states, actions[:3])
    with pytest.raises(BadBatch, match="not contiguous"):
        game.step(np.zeros((8, 11), np.uint8)[::2], actions)
    narrow = replace(Positions.empty(SPEC, 4), obs=np.empty((3, 29), np.float32))
    wrong = replace(Outcomes.empty(SPEC, 4), positions=narrow)
    with pytest.raises(BadBatch, match=r"out.obs: is float32\[3, 29\]"):
        game.step(states, actions, out=wrong)
    with pytest.raises(BadBatch, match="seeds"):
        game.reset(np.zeros(2, np.int64))


def test_an_empty_batch_is_a_batch() -> None:
    game = registry.get("tictactoe")
    assert len(game.reset(np.zeros(0, np.uint64))) == 0
    assert len(game.step(np.zeros((0, 11), np.uint8), np.zeros((0, 4), np.uint8))) == 0


def test_an_unknown_game_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownGame, match=r"env_id 'chess': no such game; there are: .*tictactoe"):
        registry.get("chess")


def test_a_registered_game_is_made_once_and_taken_back() -> None:
    class Other(TicTacToe):
        spec = replace(SPEC, env_id="other")

    registry.register("other", Other)
    try:
        assert registry.get("other") is registry.get("other")
        assert "other" in registry.names()
        with pytest.raises(BadSpec, match="'other': is registered already"):
            registry.register("other", Other)
    finally:
        registry.unregister("other")
    assert "other" not in registry.names()
    with pytest.raises(UnknownGame):
        registry.unregister("other")
    with pytest.raises(BadSpec, match="'tictactoe': is registered already"):
        registry.register("tictactoe", Other)


def test_a_game_of_another_name_is_refused() -> None:
    registry.register("misnamed", TicTacToe)
    try:
        with pytest.raises(BadSpec, match="its factory made 'tictactoe'"):
            registry.get("misnamed")
    finally:
        registry.unregister("misnamed")


def test_a_kernel_signature_that_cannot_be_read_is_refused() -> None:
    @kernel("i64(complex)")
    def strange(value: int) -> int:
        return value

    with pytest.raises(ValueError, match="'complex'"):
        strange(1)

    @kernel("i64")
    def bare(value: int) -> int:
        return value

    with pytest.raises(ValueError, match="result"):
        bare.warm()


def test_a_kernel_takes_read_only_and_writable_arrays_alike() -> None:
    game = registry.get("tictactoe")
    writable = game.reset(np.zeros(2, np.uint64)).states
    read_only = np.frombuffer(writable.tobytes(), np.uint8).reshape(2, 11)
    actions = encode_discrete(np.array([1, 2]))
    one, two = game.step(writable, actions), game.step(read_only, actions)
    assert one.positions.states.tobytes() == two.positions.states.tobytes()
