"""What a spec claims, held against play: names, perfect information, chance.

Enters: a trial. Leaves: how much was looked at, or a finding.
Invariant: a claim is only called false where play has shown two moments that contradict it.
"""

from __future__ import annotations

import re

import numpy as np

from games.checks.trial import Played, Trial, ended, play
from games.encodings import parse
from games.moves import random_actions

_ENV_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_BUILD_ID = re.compile(r"[!-~]{1,128}")
_STEPS = 200  # of the play that is watched for contradictions


def check_spec(trial: Trial) -> tuple[int, str]:
    """Names that fit topics and files, encodings with versions, one spec at every call."""
    spec = trial.spec
    if not _ENV_ID.fullmatch(spec.env_id):
        trial.fail(f"env_id {spec.env_id!r}: use small letters, digits, - and _, 64 at most")
    if not _BUILD_ID.fullmatch(spec.build_id):
        trial.fail(f"build_id {spec.build_id!r}: use printable ASCII without spaces, 128 characters at most")
    if spec.encoding.schema_version < 1:
        trial.fail(f"schema_version = {spec.encoding.schema_version}: it starts at 1")
    for name in (spec.encoding.state, spec.encoding.action, spec.encoding.obs, *spec.decodes):
        parse(name)
    if spec.preferred_batch > 2**20 or spec.players > 256:
        trial.fail(
            f"preferred_batch = {spec.preferred_batch}, players = {spec.players}: at most 2**20 and 256"
        )
    if "\n" in spec.hint:
        trial.fail(f"spec.hint = {spec.hint!r}: say it in one line")
    if trial.game.spec != spec or trial.another().spec != spec:
        trial.fail("another instance, or the same one a second time, has another spec")
    return 1, f"build {spec.build_id}"


def check_information(trial: Trial) -> tuple[int, str]:
    """Perfect information: equal observations have equal masks and movers; without chance, equal consequences too."""
    spec = trial.spec
    if not spec.perfect_information:
        return 0, "says imperfect information"
    known: dict[bytes, bytes] = {}
    led: dict[bytes, bytes] = {}
    for played in play(trial, purpose=7, steps=min(trial.steps, _STEPS)):
        for row in range(len(played.before)):
            _remember(trial, known, led, played, row)
    met = len(known)
    return (
        met,
        "" if spec.stochastic else f"{len(led)} pairs of observation and action lead to one outcome each",
    )


def check_chance(trial: Trial) -> tuple[int, str]:
    """A game that says it is stochastic plays differently under different seeds."""
    if not trial.spec.stochastic:
        return 0, "says that it is not stochastic"
    game, rows = trial.game, max(trial.rows, 8)
    position = game.reset(trial.seeds(rows))
    for step in range(min(trial.steps, _STEPS)):
        if any(row.tobytes() != position.obs[0].tobytes() for row in position.obs):
            return rows, f"seeds differ after {step} steps"
        # The same action in every row: the first row's, which is legal in rows that look the same to its mover.
        first = random_actions(game, position, trial.generator(8 + step))[:1]
        outcome = game.step(position.states, np.repeat(first, rows, axis=0))
        if any(column[0] != value for column in (outcome.rewards, outcome.terminated) for value in column):
            return rows, f"seeds differ at step {step}"
        position = outcome.positions
        if ended(outcome).any():
            break
    raise trial.finding(f"says that it is stochastic, and {rows} seeds play alike")


def _remember(
    trial: Trial, known: dict[bytes, bytes], led: dict[bytes, bytes], played: Played, row: int
) -> None:
    before, outcome = played.before, played.outcome
    seen = before.obs[row].tobytes()
    implied = before.legal_masks[row].tobytes() + before.players[row].tobytes()
    if known.setdefault(seen, implied) != implied:
        trial.fail(
            "says perfect information, and one observation has two legal masks or movers "
            f"(state {before.states[row].tobytes().hex()})"
        )
    if trial.spec.stochastic:
        return
    after = outcome.positions.obs[row].tobytes() + outcome.rewards[row].tobytes()
    if led.setdefault(seen + played.actions[row].tobytes(), after) != after:
        trial.fail(
            "says that it is of perfect information and not stochastic, and one action at one observation leads to "
            f"two outcomes (state {before.states[row].tobytes().hex()}, "
            f"action {played.actions[row].tobytes().hex()})"
        )
