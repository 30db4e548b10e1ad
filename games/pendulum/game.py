"""Pendulum behind the game contract.

Enters: byte columns. Leaves: byte columns, or an exception that names the refused row and value.
Invariant: the kernels decide everything; this adapter only reads the hint and names what they refuse.
"""

from __future__ import annotations

import math
import struct
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from games.batch import U8, Outcomes, Positions, check_column
from games.contract import Game
from games.errors import BadHint, BadState, IllegalAction
from games.pendulum import kernels, render
from games.pendulum.state import OBS_SIZE, STATE_BYTES, typed
from games.render.plan import RenderPlan, RenderSpec
from games.spec import Box, Encoding, GameSpec

_HINT = struct.Struct("<2d")
_TORQUE = struct.Struct("<f")
_START = (math.pi, 1.0)  # Gymnasium's: theta and theta_dot of a start are within them

_SPEC = GameSpec(
    env_id="pendulum",
    build_id="pendulum-1",
    encoding=Encoding(
        state="state:packed_le:v1", action="action:f32x1:v1", obs="obs:f32x3:v1", schema_version=1
    ),
    max_horizon=kernels.HORIZON,
    action_space=Box((-kernels.LARGEST_TORQUE,), (kernels.LARGEST_TORQUE,), (1,)),
    preferred_batch=1024,
    players=1,
    state_bytes=STATE_BYTES,
    action_bytes=_TORQUE.size,
    obs_shape=(OBS_SIZE,),
    zero_sum=False,
    perfect_information=True,
    stochastic=False,
    hint="16 bytes, x_init (0 to pi) and y_init (0 to 8), little-endian f64: a start's theta is drawn within +-x_init, "
    "its theta_dot within +-y_init; empty for pi and 1",
)

_WRONG_STATE = {
    kernels.BAD_STEPS: "steps (bytes 16-23) are above 200; an episode is cut there",
    kernels.BAD_THETA: "theta (bytes 0-7) is not within 3.15 + 0.401 * steps; no torque leads there",
    kernels.BAD_THETA_DOT: "theta_dot (bytes 8-15) is not within 8; no torque leads there",
    kernels.ENDED: "the episode has ended; reset it before the next step",
}


class Pendulum(Game):
    """A pendulum swung up by a torque in [-2, 2] N m. Gymnasium's Pendulum-v1.

    The reward of a step is -(angle**2 + 0.1 * theta_dot**2 + 0.001 * torque**2), of the state before it and the angle
    wrapped to [-pi, pi). The episode is truncated at 200 steps and never terminates. Gymnasium clips a torque from
    outside; here it is refused, as one that is not finite.

    hint: empty, or 16 bytes: x_init and y_init, two little-endian f64, 0 <= x_init <= pi and 0 <= y_init <= 8; the
    start's theta is drawn uniformly within +-x_init, then theta_dot within +-y_init; Gymnasium's options of the same
    names. Empty means pi and 1.

    info: the successor's number of steps.
    """

    @property
    def spec(self) -> GameSpec:
        return _SPEC

    def _reset(self, seeds: npt.NDArray[np.uint64], hint: bytes, out: Positions) -> None:
        theta_within, theta_dot_within = _bounds(hint)
        kernels.reset(seeds, theta_within, theta_dot_within, out.states, out.obs, out.players)

    def _step(self, states: npt.NDArray[np.uint8], actions: npt.NDArray[np.uint8], out: Outcomes) -> None:
        to = out.positions
        refused = kernels.step(
            states,
            actions,
            to.states,
            to.obs,
            to.players,
            out.rewards,
            out.terminated,
            out.truncated,
            out.info,
        )
        if refused != kernels.OK:
            _refuse(refused, states, actions)

    def _observe(self, states: npt.NDArray[np.uint8], out: Positions) -> None:
        refused = kernels.observe(states, out.states, out.obs, out.players)
        if refused != kernels.OK:
            _refuse(refused, states, states)

    def render_text(self, state: bytes) -> str:
        row = np.frombuffer(state, np.uint8).reshape(1, -1)
        self.observe(row)  # refuses impossible states
        return render.circle_text(typed(row)[0])

    def _plan(self, state: bytes, spec: RenderSpec) -> RenderPlan:
        return render.circle_picture(typed(np.frombuffer(state, np.uint8).reshape(1, -1))[0], spec)

    def action_text(self, action: bytes) -> str:
        row = np.frombuffer(action, np.uint8).reshape(1, -1)
        check_column("action", row, U8, (1, _SPEC.action_bytes))
        (torque,) = _TORQUE.unpack(action)
        if not abs(torque) <= kernels.LARGEST_TORQUE:
            raise IllegalAction(0, action, _not_a_torque(torque))
        return render.torque_text(torque)

    def parse_action(self, text: str) -> bytes:
        return _TORQUE.pack(render.parse_torque(text))


def _bounds(hint: bytes) -> tuple[float, float]:
    """What a start's theta and theta_dot are within."""
    if not hint:
        return _START
    if len(hint) != _HINT.size:
        raise BadHint(f"hint = 0x{hint[:16].hex()}: {len(hint)} bytes; give {_SPEC.hint}")
    x_init, y_init = _HINT.unpack(hint)
    if not (0.0 <= x_init <= math.pi and 0.0 <= y_init <= kernels.LARGEST_THETA_DOT):
        raise BadHint(f"hint = 0x{hint.hex()}: x_init = {x_init}, y_init = {y_init}; give {_SPEC.hint}")
    return x_init, y_init


def _refuse(refused: int, states: npt.NDArray[np.uint8], actions: npt.NDArray[np.uint8]) -> NoReturn:
    row, reason = divmod(refused, kernels.REASONS)
    if reason in _WRONG_STATE:
        raise BadState(row, states[row].tobytes(), _WRONG_STATE[reason])
    action = actions[row].tobytes()
    raise IllegalAction(row, action, _not_a_torque(_TORQUE.unpack(action)[0]))


def _not_a_torque(torque: float) -> str:
    return f"torque {render.torque_text(torque)} is not within -2 to 2; give a finite f32 of that range"
