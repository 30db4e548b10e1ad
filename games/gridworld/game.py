"""Gridworld behind the game contract.

Enters: byte columns. Leaves: byte columns, or an exception that names the refused row and value.
Invariant: the kernels decide everything; this adapter only names what they refuse.
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import numpy.typing as npt

from games.batch import U8, Outcomes, Positions, check_column
from games.contract import Game
from games.encodings import ACTION_DISCRETE
from games.errors import BadHint, BadState, IllegalAction
from games.gridworld import kernels, render
from games.gridworld.state import (
    ACTIONS,
    LEAST,
    MOST,
    OBS_SIZE,
    STATE_BYTES,
    STEPS_A_CELL,
    USUAL,
    from_v1,
    typed,
)
from games.render.plan import RenderPlan, RenderSpec
from games.spec import Discrete, Encoding, GameSpec

_SPEC = GameSpec(
    env_id="gridworld",
    build_id="gridworld-2",
    encoding=Encoding(
        state="state:packed_u8:v2", action=ACTION_DISCRETE, obs="obs:f32x4:v1", schema_version=2
    ),
    max_horizon=STEPS_A_CELL * MOST * MOST,
    action_space=Discrete(len(ACTIONS)),
    preferred_batch=1024,
    players=1,
    state_bytes=STATE_BYTES,
    action_bytes=4,
    obs_shape=(OBS_SIZE,),
    zero_sum=False,
    perfect_information=True,
    stochastic=False,
    hint=f"2 bytes, columns and rows, {LEAST}-{MOST} each; empty for {USUAL} by {USUAL}",
    decodes=("state:packed_u8:v1",),
)

_WRONG_STATE = {
    kernels.BAD_SIZE: f"the size (bytes 2 and 3) is not {LEAST}-{MOST} by {LEAST}-{MOST}",
    kernels.OUTSIDE: "x, y (bytes 0 and 1) is outside of the grid",
    kernels.BAD_STEPS: "more steps (bytes 4-5) than the horizon of 4 a cell",
    kernels.ENDED: "the episode has ended; reset it before the next step",
}


class Gridworld(Game):
    """One player on an empty grid, up, down, left or right by a cell; a wall leaves it where it is.

    An episode starts in any cell but the goal, all alike, and ends at the goal, the bottom right cell, or is cut off
    after 4 steps a cell of the grid. The reward is 1 for the step to the goal and 0 else: nothing punishes a detour but
    the discount, so that a return is the share of episodes that arrived.

    hint: 2 bytes, w and h, each 2-16; empty for 5 by 5.
    obs: x / (w - 1), y / (h - 1), w / 16, h / 16. The steps taken are no part of it: they end an episode, and change
    nothing else.
    info: bits 0-15 the steps taken, bits 16-31 the moves still left to the goal.
    """

    @property
    def spec(self) -> GameSpec:
        return _SPEC

    def _reset(self, seeds: npt.NDArray[np.uint64], hint: bytes, out: Positions) -> None:
        w, h = _size(hint)
        kernels.reset(seeds, w, h, out.states, out.obs, out.legal_masks, out.players)

    def _step(self, states: npt.NDArray[np.uint8], actions: npt.NDArray[np.uint8], out: Outcomes) -> None:
        to = out.positions
        refused = kernels.step(
            states,
            actions,
            to.states,
            to.obs,
            to.legal_masks,
            to.players,
            out.rewards,
            out.terminated,
            out.truncated,
            out.info,
        )
        if refused != kernels.OK:
            _refuse(refused, states, actions)

    def _observe(self, states: npt.NDArray[np.uint8], out: Positions) -> None:
        refused = kernels.observe(states, out.states, out.obs, out.legal_masks, out.players)
        if refused != kernels.OK:
            _refuse(refused, states, states)

    def _upgrade_states(self, encoding: str, states: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        del encoding  # there is one older
        return from_v1(states)

    def render_text(self, state: bytes) -> str:
        row = np.frombuffer(state, np.uint8).reshape(1, -1)
        self.observe(row)  # refuses impossible states
        return render.grid_text(typed(row)[0])

    def _plan(self, state: bytes, spec: RenderSpec) -> RenderPlan:
        return render.grid_picture(typed(np.frombuffer(state, np.uint8).reshape(1, -1))[0], spec)

    def action_text(self, action: bytes) -> str:
        row = np.frombuffer(action, np.uint8).reshape(1, -1)
        check_column("action", row, U8, (1, _SPEC.action_bytes))
        if int.from_bytes(action, "little") >= len(ACTIONS):
            _refuse(kernels.OUT_OF_RANGE, row, row)
        return ACTIONS[action[0]]

    def parse_action(self, text: str) -> bytes:
        return render.parse_move(text).to_bytes(_SPEC.action_bytes, "little")


def _size(hint: bytes) -> tuple[int, int]:
    if not hint:
        return USUAL, USUAL
    if len(hint) != 2:
        raise BadHint(f"hint = 0x{hint[:16].hex()}: {len(hint)} bytes; give {_SPEC.hint}")
    if min(hint) < LEAST or max(hint) > MOST:
        raise BadHint(f"hint = 0x{hint.hex()}: a grid of {hint[0]} by {hint[1]}; give {_SPEC.hint}")
    return hint[0], hint[1]


def _refuse(refused: int, states: npt.NDArray[np.uint8], actions: npt.NDArray[np.uint8]) -> NoReturn:
    row, reason = divmod(refused, kernels.REASONS)
    if reason in _WRONG_STATE:
        raise BadState(row, states[row].tobytes(), _WRONG_STATE[reason])
    action = actions[row].tobytes()
    number = int.from_bytes(action, "little")
    raise IllegalAction(row, action, f"{number} is no direction; give 0 up, 1 down, 2 left or 3 right")
