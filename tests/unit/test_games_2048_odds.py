"""The odds of 2048: spawns under fixed seeds are within five deviations of the rules', random play of what is known."""

from __future__ import annotations

import itertools

import numpy as np

from games import registry
from games.batch import unpack_masks
from games.contract import encode_discrete
from games.game2048.state import STATE_BYTES, typed

GAME = registry.get("2048")


def near(count: float, expected: float, trials: int) -> bool:
    """Whether a count is within five deviations of a binomial's mean."""
    share = expected / trials
    return bool(abs(count - expected) < 5 * (trials * share * (1 - share)) ** 0.5)


def test_two_tiles_start_anywhere_and_one_in_ten_is_a_4() -> None:
    trials = 40_000
    boards = typed(GAME.reset(np.arange(trials, dtype=np.uint64)).states)["exponents"].reshape(trials, 16)
    assert ((boards > 0).sum(axis=1) == 2).all()
    assert boards.max() == 2
    assert near((boards == 2).sum(), 2 * trials / 10, 2 * trials)
    assert all(near(count, trials / 8, trials) for count in (boards > 0).sum(axis=0))
    pairs = dict.fromkeys(itertools.combinations(range(16), 2), 0)
    for a, b in np.argwhere(boards > 0)[:, 1].reshape(-1, 2).tolist():
        pairs[a, b] += 1
    assert all(near(count, trials / 120, trials) for count in pairs.values())


def test_spawns_go_to_every_empty_cell_alike_and_one_in_ten_is_a_4() -> None:
    trials = 40_000
    before = (0, 1, 2, 1, 0, 0, 3, 1, 5, 4, 0, 0, 0, 0, 0, 6)
    moved = (1, 2, 1, 0, 3, 1, 0, 0, 5, 4, 0, 0, 6, 0, 0, 0)
    states = np.zeros((trials, STATE_BYTES), np.uint8)
    states[:, :16] = before
    typed(states)["seed"] = np.arange(trials)
    after = GAME.step(states, encode_discrete(np.zeros(trials, np.int64))).positions.states[:, :16]
    spawned = after.astype(int) - np.array(moved)
    assert ((spawned > 0).sum(axis=1) == 1).all()
    free = [cell for cell in range(16) if moved[cell] == 0]
    counts = (spawned > 0).sum(axis=0)
    assert counts.sum() == trials
    assert all(near(counts[cell], trials / len(free), trials) for cell in free)
    assert near((spawned == 2).sum(), trials / 10, trials)


def test_random_play_scores_about_1100() -> None:
    """Random play is widely reported to reach a mean score of about 1,100 and the tile 128 as a rule."""
    choices = np.random.default_rng(2048)
    position = GAME.reset(np.arange(2000, dtype=np.uint64))
    states, masks = position.states, position.legal_masks
    scores = np.zeros(2000)
    going = np.arange(2000)
    tops = np.zeros(2000, np.int64)
    while len(going):
        legal = unpack_masks(masks, 4)
        actions = encode_discrete(np.argmax(legal * choices.uniform(0.5, 1.0, legal.shape), axis=1))
        outcome = GAME.step(states, actions)
        scores[going] += outcome.rewards
        tops[going] = outcome.info.astype(np.int64) & 255
        kept = outcome.terminated == 0
        going = going[kept]
        states = np.ascontiguousarray(outcome.positions.states[kept])
        masks = np.ascontiguousarray(outcome.positions.legal_masks[kept])
    assert 1_040 < scores.mean() < 1_160
    assert np.median(tops) == 7
