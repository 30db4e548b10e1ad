"""Random play, and what must hold at each step of it.

Enters: a trial. Leaves: its probes, or a finding.
Invariant: every step is played twice, into buffers of other content, and every successor is looked at again.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from games.batch import Outcomes, Positions
from games.checks.trial import OUTCOME_COLUMNS, POSITION_COLUMNS, Played, Trial, ended, play
from games.moves import legal

_PROBED_FIRST = 10  # steps of an episode that are all probes; later ones at powers of two
_PROBED_ENDS = 6  # and the first steps that end an episode
_EXACT = 1e-6  # rewards are f32: of a sum to zero, what may be left of its largest part
_COMPARED = 8  # rows a step that are compared with the reference


def check_resets(trial: Trial) -> tuple[int, str]:
    """A reset is repeatable, fills every buffer, and starts an episode that goes on."""
    game, spec = trial.game, trial.spec
    for rows in (trial.rows, 1, 0):
        seeds = trial.seeds(rows)
        position = game.reset(seeds)
        check_position(trial, "reset", position)
        if not goes_on(trial, position).all():
            trial.fail("an episode starts without a legal action")
        if rows and (seeds != trial.seeds(rows)).any():
            trial.fail("reset changes the seeds that it is given")
        out = scribbled(Positions.empty(spec, rows), 0x55)
        if game.reset(seeds, out=out) is not out:
            trial.fail("reset does not return the buffers that it was given")
        trial.same_positions("reset again", position, out)
        trial.same_positions("observe after a reset", position, game.observe(position.states))
    return trial.rows, ""


def check_play(trial: Trial) -> tuple[int, str]:
    """Determinism, buffers, ends, rewards, horizon, reference: at every step of random episodes."""
    compared = steps = ends = closing = 0
    for played in play(trial, purpose=1):
        steps += len(played.before)
        gone = ended(played.outcome)
        ends += int(gone.sum())
        check_outcome(trial, played)
        if trial.reference is not None:
            compared += compare_with_reference(trial, played)
        new_end = bool(gone.any()) and closing < _PROBED_ENDS
        closing += new_end
        if played.step < _PROBED_FIRST or played.step & (played.step - 1) == 0 or new_end:
            trial.probes.append(played)
        if played.step + 1 >= trial.spec.max_horizon and not gone.all():
            trial.fail(f"an episode is longer than max_horizon = {trial.spec.max_horizon}")
    note = f"{ends} of {trial.rows} episodes to their end"
    if ends < trial.rows:
        note += f", the others for {trial.steps} steps: a horizon of {trial.spec.max_horizon} was not reached"
    return steps, note + (
        f"; {compared} steps equal the reference" if trial.reference else "; no reference given"
    )


def check_outcome(trial: Trial, played: Played) -> None:
    """What one batch of steps says agrees with itself and with saying it again."""
    game, outcome = trial.game, played.outcome
    again = scribbled_outcomes(
        Outcomes.empty(trial.spec, len(played.before)), 0x55 if played.step % 2 else 0xAA
    )
    states = np.frombuffer(played.before.states.tobytes(), np.uint8).reshape(played.before.states.shape)
    if game.step(states, played.actions, out=again) is not again:
        trial.fail("step does not return the buffers that it was given")
    trial.same_outcomes("the same step", outcome, again)
    for name in ("terminated", "truncated"):
        if (getattr(outcome, name) > 1).any():
            trial.fail(f"{name} is neither 0 nor 1")
    if (outcome.terminated & outcome.truncated).any():
        trial.fail("an episode is both terminated and truncated")
    check_position(trial, "step", outcome.positions)
    if trial.groups and (goes_on(trial, outcome.positions) == ended(outcome)).any():
        trial.fail("an ended episode has legal actions, or one that goes on has none")
    observed = scribbled(Positions.empty(trial.spec, len(outcome)), 0xAA if played.step % 2 else 0x55)
    if game.observe(outcome.positions.states, out=observed) is not observed:
        trial.fail("observe does not return the buffers that it was given")
    trial.same_positions("observe of a successor", outcome.positions, observed)
    check_rewards(trial, outcome)


def check_rewards(trial: Trial, outcome: Outcomes) -> None:
    """Rewards are finite, and sum to zero where the spec says so."""
    if not np.isfinite(outcome.rewards).all():
        trial.fail("a reward is not finite")
    # Of players who take turns, only the mover's reward is told, and the others' follow from it.
    if not (trial.spec.zero_sum and trial.spec.agents):
        return
    rewards = outcome.rewards.astype(np.float64)
    left = np.abs(rewards.sum(axis=1)) > _EXACT * np.maximum(np.abs(rewards).max(axis=1), 1)
    if left.any():
        row = int(np.flatnonzero(left)[0])
        trial.fail(f"says zero-sum, and rewards {rewards[row].tolist()} sum to {rewards[row].sum():g}")


def check_position(trial: Trial, what: str, position: Positions) -> None:
    """Players, observations and masks are within what the spec says."""
    spec = trial.spec
    players = 1 if spec.agents else spec.players
    if (position.players >= players).any():
        trial.fail(f"{what}: player {position.players.max()} is to move; there are 0 to {players - 1}")
    if not np.isfinite(position.obs).all():
        trial.fail(f"{what}: an observation is not finite")
    for group in trial.groups:
        unused = 64 * (group.words.stop - group.words.start) - group.actions
        if unused and (position.legal_masks[:, group.words.stop - 1] >> np.uint64(64 - unused)).any():
            trial.fail(f"{what}: a legal mask has bits of actions that there are not")


def goes_on(trial: Trial, position: Positions) -> npt.NDArray[np.bool_]:
    """Which rows have legal actions, bool[N]; all where there is no mask.

    Raises:
        Nonconformity: one agent of several has a legal action and another has none.
    """
    if not trial.groups:
        return np.ones(len(position), np.bool_)
    any_legal = np.stack([legal(group, position.legal_masks).any(axis=1) for group in trial.groups])
    if (any_legal.any(axis=0) != any_legal.all(axis=0)).any():
        row = int(np.flatnonzero(any_legal.any(axis=0) != any_legal.all(axis=0))[0])
        idle = trial.spec.agents[int(np.flatnonzero(~any_legal[:, row])[0])].name
        trial.fail(
            f"agent {idle!r} has no legal action while the episode goes on "
            f"(state {position.states[row].tobytes().hex()}); give it one that does nothing"
        )
    going: npt.NDArray[np.bool_] = any_legal[0]
    return going


def compare_with_reference(trial: Trial, played: Played) -> int:
    """Some rows of a step against plain Python; how many."""
    assert trial.reference is not None
    rows = range(min(_COMPARED, len(played.before)))
    for row in rows:
        state, action = played.before.states[row].tobytes(), played.actions[row].tobytes()
        successor, rewards, terminated, truncated = trial.reference(state, action)
        wanted = np.atleast_1d(np.asarray(rewards, np.float64)).astype(np.float32)
        outcome = played.outcome
        for name, expected, got in (
            ("state", successor.hex(), outcome.positions.states[row].tobytes().hex()),
            ("rewards", wanted.tolist(), np.atleast_1d(outcome.rewards[row]).tolist()),
            ("terminated", bool(terminated), bool(outcome.terminated[row])),
            ("truncated", bool(truncated), bool(outcome.truncated[row])),
        ):
            if expected != got:
                trial.fail(
                    f"action {action.hex()} in state {state.hex()}: {name} is {got}, by the reference {expected}"
                )
    return len(rows)


def scribbled(position: Positions, byte: int) -> Positions:
    """The same buffers, full of one byte, so that what a game leaves unwritten shows."""
    for name in POSITION_COLUMNS:
        getattr(position, name).view(np.uint8)[...] = byte
    return position


def scribbled_outcomes(outcome: Outcomes, byte: int) -> Outcomes:
    """The same buffers, full of one byte."""
    scribbled(outcome.positions, byte)
    for name in OUTCOME_COLUMNS:
        getattr(outcome, name).view(np.uint8)[...] = byte
    return outcome
