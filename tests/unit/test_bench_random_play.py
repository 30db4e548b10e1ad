"""Random play beside the peers is what it says: legal, uniform, with every episode followed by the next."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.peers.contest import GAMES
from bench.random_play import RandomPlay, draw_box, draw_legal, play_run
from games import registry
from games.batch import unpack_masks

KEYS = st.integers(0, 2**64 - 1)


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    draw_legal.warm()
    draw_box.warm()


@given(st.lists(st.integers(1, 2**64 - 1), min_size=1, max_size=40), KEYS)
def test_what_is_drawn_is_legal(masks: list[int], key: int) -> None:
    actions = np.empty(len(masks), np.uint32)
    draw_legal(np.array(masks, np.uint64).reshape(-1, 1), np.uint64(key), actions)
    assert all(mask >> int(action) & 1 for mask, action in zip(masks, actions, strict=True))


@pytest.mark.parametrize(
    "mask", [0b1, 0b1011, 0b111111111, 1 << 63, (1 << 63) | 1, 0xAAAA_AAAA_AAAA_AAAA, 2**64 - 1]
)
def test_every_legal_action_is_as_likely_as_the_others(mask: int) -> None:
    rows = 20_000
    actions = np.empty(rows, np.uint32)
    draw_legal(np.full((rows, 1), mask, np.uint64), np.uint64(7), actions)
    counts = np.bincount(actions, minlength=64)
    legal = [bit for bit in range(64) if mask >> bit & 1]
    assert counts.sum() == counts[legal].sum()
    expected = rows / len(legal)
    chi_square = ((counts[legal] - expected) ** 2 / expected).sum()
    assert chi_square < len(legal) + 6 * np.sqrt(2 * len(legal))  # the draws are fixed by the key


@given(KEYS)
def test_what_is_drawn_is_within_bounds(key: int) -> None:
    low, high = np.array([-2, 0, 5], np.float32), np.array([2, 1, 5], np.float32)
    actions = np.empty((100, 3), np.float32)
    draw_box(low, high, np.uint64(key), actions)
    assert (actions >= low).all()
    assert (actions <= high).all()
    assert len(np.unique(actions[:, 0])) > 90


@pytest.mark.parametrize("name", GAMES)
def test_play_goes_on_from_episode_to_episode(name: str) -> None:
    game, rows = registry.get(name), 64
    play = RandomPlay(game, rows, seed=3)
    ended, seen = 0, set[bytes]()
    for _ in range(300):
        after = play.step()
        seen.add(play.actions.tobytes())
        ended += int(np.count_nonzero(after.terminated | after.truncated))
        now = game.observe(after.positions.states.copy())  # refuses an impossible state
        assert now.obs.tobytes() == after.positions.obs.tobytes()
        assert now.legal_masks.tobytes() == after.positions.legal_masks.tobytes()
        if game.spec.mask_words:
            assert unpack_masks(now.legal_masks, 64).any(axis=1).all()  # nobody stands at an end
    assert ended >= rows
    assert len(seen) > 290


def test_threads_share_the_rows() -> None:
    for threads in (1, 2):
        steps = play_run(registry.get("tictactoe"), 64, threads=threads)(0.02)
        assert steps > 0
        assert steps % (64 // threads) == 0


def test_a_game_that_is_not_drawn_here_is_refused() -> None:
    with pytest.raises(ValueError, match=r"mastermind: actions of MultiDiscrete.* are not drawn here"):
        RandomPlay(registry.get("mastermind"), 4, seed=1)
