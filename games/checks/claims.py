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
from games.spec import ENV_ID, ENV_ID_RULE

_BUILD_ID = re.compile(r"[!-~]{1,128}")
_STEPS = 200  # of the play that is watched for contradictions


def check_spec(trial: Trial) -> tuple[int, str]:
    """Names that fit topics and files, encodings with versions, one spec at every call."""
    spec = trial.spec
    if not ENV_ID.fullmatch(spec.env_id):
        trial.fail(f"env_id {spec.env_id!r}: {ENV_ID_RULE}")
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
    """Perfect information: positions with equal observations have equal legal actions and movers and, but for chance
    and the horizon, equal consequences. Of several agents each one's own observation is looked at.

    What chance and what a hidden part of the state did cannot be told apart in play: where the spec says that there is
    chance, consequences are not compared.
    """
    spec = trial.spec
    if not spec.perfect_information:
        return 0, "says imperfect information"
    known: dict[bytes, bytes] = {}
    led: dict[bytes, bytes] = {}
    for played in play(trial, purpose=7, steps=min(trial.steps, _STEPS)):
        for row in range(len(played.before)):
            _remember(trial, known, led, played, row)
    met = len(known)
    if spec.stochastic:
        return met, "masks and movers only: what actions lead to was not compared, as chance plays"
    return met, f"{len(led)} pairs of observation and action lead to one outcome each"


def check_chance(trial: Trial) -> tuple[int, str]:
    """A game that says it is stochastic plays differently under different seeds."""
    if not trial.spec.stochastic:
        seen = (
            "see perfect information"
            if trial.spec.perfect_information
            else "what is hidden might be chance: not looked at"
        )
        return 0, f"says that it is not stochastic; {seen}"
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
    before, outcome, spec = played.before, played.outcome, trial.spec
    state, action = before.states[row].tobytes().hex(), played.actions[row].tobytes()
    implied = before.legal_masks[row].tobytes() + before.players[row].tobytes()
    ends = outcome.rewards[row].tobytes() + outcome.terminated[row].tobytes()
    eyes = [spec.agent_obs(agent) for agent in range(len(spec.agents))] or [slice(None)]
    for number, eye in enumerate(eyes):
        seen = bytes([number]) + before.obs[row, eye].tobytes()
        if known.setdefault(seen, implied) != implied:
            trial.fail(
                f"says perfect information, and one observation has two legal masks or movers (state {state})"
            )
        after = outcome.positions.obs[row, eye].tobytes() + ends
        if not spec.stochastic and led.setdefault(seen + action, after) != after:
            trial.fail(
                "says that it is of perfect information and not stochastic, and one action at one observation leads "
                f"to two outcomes (state {state}, action {action.hex()})"
            )
