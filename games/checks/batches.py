"""A batch is its rows: alone, in another order, and in a batch of the preferred size.

Enters: a trial and its probes. Leaves: how many rows were compared, or a finding.
Invariant: what is compared is every byte of every column.
"""

from __future__ import annotations

import numpy as np

from games.batch import Positions
from games.checks.trial import Trial, take, take_outcomes
from games.errors import BadBatch

_SINGLES = 16  # rows a probe that are played alone
_LARGEST = 4096  # rows of the large batch, whatever the game prefers


def check_batches(trial: Trial) -> tuple[int, str]:
    """Every row alone gives the same bytes as in its batch, whatever the order."""
    game, rows = trial.game, 0
    seeds = trial.seeds()
    start = game.reset(seeds)
    for row in range(min(_SINGLES, len(seeds))):
        alone = game.reset(seeds[row : row + 1].copy())
        trial.same_positions(f"reset of row {row} alone", alone, take(start, slice(row, row + 1)))
        rows += 1
    generator = trial.generator(2)
    for played in trial.probes:
        count = len(played.before)
        order = generator.permutation(count)
        states = np.ascontiguousarray(played.before.states[order])
        mixed = game.step(states, np.ascontiguousarray(played.actions[order]))
        trial.same_outcomes("step in another order", mixed, take_outcomes(played.outcome, order))
        for row in order[:_SINGLES].tolist():
            one = slice(row, row + 1)
            alone_step = game.step(played.before.states[one].copy(), played.actions[one].copy())
            trial.same_outcomes(f"step of row {row} alone", alone_step, take_outcomes(played.outcome, one))
            seen = game.observe(played.before.states[one].copy())
            trial.same_positions(f"observe of row {row} alone", seen, take(played.before, one))
        rows += count
    return rows + check_large(trial), ""


def check_large(trial: Trial) -> int:
    """A batch as large as the game prefers gives what its rows give in a small one."""
    size = min(trial.spec.preferred_batch, _LARGEST)
    played = trial.probes[0]
    which = np.arange(size) % len(played.before)
    large = trial.game.step(
        np.ascontiguousarray(played.before.states[which]), np.ascontiguousarray(played.actions[which])
    )
    trial.same_outcomes(f"step of {size} rows", large, take_outcomes(played.outcome, which))
    return size


def check_shapes(trial: Trial) -> tuple[int, str]:
    """No row is a batch; columns and buffers of another size are refused."""
    game, spec = trial.game, trial.spec
    played = trial.probes[0]
    none = game.step(played.before.states[:0], played.actions[:0])
    if len(none) or len(game.observe(played.before.states[:0])):
        trial.fail("a batch of no rows gives rows")
    states, actions = played.before.states, played.actions
    calls = {
        "a state column of the wrong size": lambda: game.step(states[:, :-1], actions),
        "an action column of the wrong size": lambda: game.step(states, actions[:, :-1]),
        "fewer actions than states": lambda: game.step(states, actions[:-1]),
        "an observed state column of the wrong size": lambda: game.observe(states[:, :-1]),
        "states of another type": lambda: game.observe(states.astype(np.int16)),
        "seeds of another type": lambda: game.reset(np.zeros(2, np.int64)),
        "a buffer of other rows": lambda: game.observe(states, out=Positions.empty(spec, len(states) + 1)),
    }
    for what, call in calls.items():
        if verdict := trial.refuses(call, BadBatch):
            trial.fail(f"{what} {verdict}")
    return len(calls), ""
