"""CartPole behind the game contract.

Enters: byte columns. Leaves: byte columns, or an exception that names the refused row and value.
Invariant: the kernels decide everything; this adapter only reads the hint and names what they refuse.
"""

from __future__ import annotations

import struct
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from games.batch import U8, Outcomes, Positions, check_column
from games.cartpole import kernels, render
from games.cartpole.state import OBS_SIZE, STATE_BYTES, typed
from games.contract import Game
from games.encodings import ACTION_DISCRETE
from games.errors import BadHint, BadState, IllegalAction
from games.render.plan import RenderPlan, RenderSpec
from games.spec import Discrete, Encoding, GameSpec

_HINT = struct.Struct("<2d")
_START = 0.05  # Gymnasium's: all four numbers of a start are within it

_SPEC = GameSpec(
    env_id="cartpole",
    build_id="cartpole-1",
    encoding=Encoding(
        state="state:packed_le:v1", action=ACTION_DISCRETE, obs="obs:f32x4:v1", schema_version=1
    ),
    max_horizon=kernels.HORIZON,
    action_space=Discrete(2),
    preferred_batch=1024,
    players=1,
    state_bytes=STATE_BYTES,
    action_bytes=4,
    obs_shape=(OBS_SIZE,),
    zero_sum=False,
    perfect_information=True,
    stochastic=False,
    hint="16 bytes, low and high, little-endian f64 within +-0.2094, between which all four numbers of a start are "
    "drawn; empty for -0.05 and 0.05",
)

_WRONG_STATE = {
    kernels.BAD_STEPS: "steps (bytes 32-39) are above 500; an episode is cut there",
    kernels.BAD_START: "steps (bytes 32-39) are 0, but not all four numbers are within 0.2094; no reset gives that",
    kernels.BAD_X: "x (bytes 0-7) is not within 7.3; no push leads there",
    kernels.BAD_X_DOT: "x_dot (bytes 8-15) is not within 241 (242 once fallen); no push leads there",
    kernels.BAD_THETA: "theta (bytes 16-23) is not within 0.65; no push leads there",
    kernels.BAD_THETA_DOT: "theta_dot (bytes 24-31) is not within 22 (23 once fallen); no push leads there",
    kernels.ENDED: "the episode has ended; reset it before the next step",
}


class CartPole(Game):
    """A pole on a cart, pushed left (0) or right (1) at every step; +1 a step. Gymnasium's CartPole-v1.

    The episode terminates when the cart is more than 2.4 m from the middle or the pole more than 12 degrees from
    upright, and is truncated at 500 steps. One thing is not as in Gymnasium, whose time limit knows nothing of the
    rules: who falls at step 500 has terminated here, and has terminated and is truncated there.

    hint: empty, or 16 bytes: low and high, two little-endian f64, -t <= low <= high <= t where t is 12 degrees in
    radians; all four numbers of a start are drawn uniformly between them; Gymnasium's options of the same names. Empty
    means -0.05 and 0.05.

    info: the successor's number of steps.
    """

    @property
    def spec(self) -> GameSpec:
        return _SPEC

    def _reset(self, seeds: npt.NDArray[np.uint64], hint: bytes, out: Positions) -> None:
        low, high = _bounds(hint)
        kernels.reset(seeds, low, high, out.states, out.obs, out.legal_masks, out.players)

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

    def render_text(self, state: bytes) -> str:
        row = np.frombuffer(state, np.uint8).reshape(1, -1)
        self.observe(row)  # refuses impossible states
        return render.track_text(typed(row)[0])

    def _plan(self, state: bytes, spec: RenderSpec) -> RenderPlan:
        return render.track_picture(typed(np.frombuffer(state, np.uint8).reshape(1, -1))[0], spec)

    def action_text(self, action: bytes) -> str:
        row = np.frombuffer(action, np.uint8).reshape(1, -1)
        check_column("action", row, U8, (1, _SPEC.action_bytes))
        push = int.from_bytes(action, "little")
        if push > 1:
            raise IllegalAction(0, action, _not_a_push(push))
        return render.PUSHES[push]

    def parse_action(self, text: str) -> bytes:
        return render.parse_push(text).to_bytes(_SPEC.action_bytes, "little")


def _bounds(hint: bytes) -> tuple[float, float]:
    """What a start's four numbers are drawn between."""
    if not hint:
        return -_START, _START
    if len(hint) != _HINT.size:
        raise BadHint(f"hint = 0x{hint[:16].hex()}: {len(hint)} bytes; give {_SPEC.hint}")
    low, high = _HINT.unpack(hint)
    if not -kernels.LARGEST_THETA <= low <= high <= kernels.LARGEST_THETA:
        raise BadHint(f"hint = 0x{hint.hex()}: low = {low}, high = {high}; give {_SPEC.hint}")
    return low, high


def _refuse(refused: int, states: npt.NDArray[np.uint8], actions: npt.NDArray[np.uint8]) -> NoReturn:
    row, reason = divmod(refused, kernels.REASONS)
    if reason in _WRONG_STATE:
        raise BadState(row, states[row].tobytes(), _WRONG_STATE[reason])
    action = actions[row].tobytes()
    raise IllegalAction(row, action, _not_a_push(int.from_bytes(action, "little")))


def _not_a_push(push: int) -> str:
    return f"push {push} is neither 0 (left) nor 1 (right)"
