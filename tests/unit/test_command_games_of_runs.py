"""What a run's log and weights are of: another game, another build, an older encoding, a game that is not installed."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cartridge import policies, replay_command, runs
from cartridge.errors import UsageError
from cartridge.evaluate_command import add_parser as add_evaluate
from cartridge.settings import Settings
from chunk_samples import Layout, sample_chunk
from games import registry
from games.contract import Game, encode_discrete
from streams import replay
from streams.chunk import columns_of
from streams.records import TransitionChunk

GRIDWORLD = registry.get("gridworld")
LAYOUT = Layout(obs_encoding="obs:f32x4:v1", obs_bytes=16, state_bytes=4, action_bytes=4, mask_words=1)
V1 = np.array([[0, 0, 5, 5], [1, 0, 5, 5], [2, 0, 5, 5]], np.uint8)


def trained_on(game: Game, **changes: Any) -> Callable[..., Any]:
    """A `load_checkpoint` of a run of that game."""
    spec = replace(game.spec, **changes)
    manifest = SimpleNamespace(env_id=spec.env_id, build_id=spec.build_id)
    return lambda *_args, **_more: SimpleNamespace(manifest=manifest, prefix="runs/x", policy=None)


@pytest.mark.parametrize(
    ("played", "build"), [("connect4", "connect4-1"), ("tictactoe", "tictactoe-0"), ("chess", "chess-1")]
)
def test_a_policy_of_another_game_or_build_is_refused_in_a_line_that_names_both(
    played: str, build: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = registry.get("tictactoe").spec
    learnt = trained_on(registry.get("tictactoe"), env_id=played, build_id=build)
    monkeypatch.setattr(policies, "load_checkpoint", learnt)
    with pytest.raises(UsageError) as refused:
        policies.load_policy(Settings(), "run-7", spec=spec)
    assert str(refused.value) == (
        f"run is 'run-7': it learnt {played} of build {build!r}, and this is tictactoe of build"
        f" {spec.build_id!r}; name a run of that"
    )


def test_a_run_of_a_game_that_is_not_installed_is_not_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "load_checkpoint", trained_on(GRIDWORLD, env_id="chess"))
    parser = argparse.ArgumentParser()
    add_evaluate(parser.add_subparsers())
    parsed = parser.parse_args(["evaluate", "run-7"])
    with pytest.raises(UsageError, match=r"^run is 'run-7': env_id 'chess': no such game; there are: .*$"):
        parsed.handler(parsed, Settings())


def show(chunk: TransitionChunk, monkeypatch: pytest.MonkeyPatch) -> int:
    """`replay show` of an episode that is these rows."""
    columns = columns_of(chunk)
    steps = [
        replay.LoggedStep(replay.Place(0, 7), row, chunk, columns, 0 if row == chunk.count - 1 else None)
        for row in range(chunk.count)
    ]
    monkeypatch.setattr(runs, "find", lambda *_: SimpleNamespace(run="run-a"))
    monkeypatch.setattr(replay_command, "_places", lambda *_: [])
    monkeypatch.setattr(replay, "steps_by_scan", lambda *_args, **_more: steps)
    parser = argparse.ArgumentParser()
    replay_command.add_parser(parser.add_subparsers())
    parsed = parser.parse_args(["replay", "show", "--run", "run-a", "--episode", "3"])
    return int(parsed.handler(parsed, Settings()))


def logged(**changes: Any) -> TransitionChunk:
    """Two steps to the right, as gridworld's first build logged them."""
    right = encode_discrete(np.array([3, 3]))
    fields: dict[str, Any] = {
        "env_id": "gridworld",
        "build_id": "gridworld-1",
        "state_encoding": "state:packed_u8:v1",
        "state": V1[:2].tobytes(),
        "successor_state": V1[2].tobytes(),
        "action": right.tobytes(),
    }
    return sample_chunk(1, segments=(2,), layout=LAYOUT, **(fields | changes))


def test_states_of_an_older_encoding_are_shown_as_the_game_understands_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(logged(), monkeypatch) == 0
    out = capsys.readouterr().out
    for state in GRIDWORLD.upgrade_states("state:packed_u8:v1", V1):
        board = GRIDWORLD.render_text(state.tobytes())
        assert "\n".join(f"  {line}" for line in board.splitlines()) in out


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"env_id": "chess"}, "env_id 'chess': no such game"),
        (
            {"state_encoding": "state:packed_u8:v9"},
            "state encoding 'state:packed_u8:v9': gridworld understands",
        ),
        ({"state": bytes(8)}, r"states\[0\] = 0x"),
        ({"action": b"\xff" * 8}, r"actions\[0\] = 0x"),
    ],
)
def test_what_the_game_cannot_read_is_one_line(
    changes: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=f"^episode is 3 of run run-a: {words}") as refused:
        show(logged(**changes), monkeypatch)
    assert "\n" not in str(refused.value)
