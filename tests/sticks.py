"""Sticks: a game of three players for tests of what stands between games and agents.

In: a pile of 2 to 9 sticks by the seed, or as many as the hint says. Out: who takes the last stick loses two points,
the others get one each. Invariant: plain Python over a row at a time; nothing to be quick about.

Players take 1, 2 or 3 sticks in turn, by actions 62, 63 and 64 of 65, so that the legal mask has two words.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from games.batch import Outcomes, Positions
from games.contract import Game
from games.encodings import decode_discrete
from games.errors import BadHint, BadState, IllegalAction
from games.spec import Discrete, Encoding, GameSpec

ACTIONS, FIRST, MOST, HORIZON = 65, 62, 9, 6
NAME = "sticks"
SPEC = GameSpec(
    env_id=NAME,
    build_id="sticks-1",
    encoding=Encoding("state:packed_u8:v1", "action:discrete:v1", "obs:f32x4:v1", 1),
    max_horizon=HORIZON,
    action_space=Discrete(ACTIONS),
    preferred_batch=64,
    players=3,
    state_bytes=4,  # sticks, player to move, moves made, whether it has ended
    action_bytes=4,
    obs_shape=(2, 2),
    zero_sum=True,
    perfect_information=True,
    stochastic=False,
    hint="the number of sticks, 1-9, as a digit",
)


class Sticks(Game):
    """See the module."""

    spec = SPEC

    def _reset(self, seeds: npt.NDArray[np.uint64], hint: bytes, out: Positions) -> None:
        if hint and hint not in [b"%d" % sticks for sticks in range(1, MOST + 1)]:
            raise BadHint(f"hint = {hint!r}: give a number of sticks, 1-{MOST}")
        out.states[:] = 0
        out.states[:, 0] = int(hint) if hint else 2 + seeds % np.uint64(MOST - 1)
        self._show(out)

    def _step(self, states: npt.NDArray[np.uint8], actions: npt.NDArray[np.uint8], out: Outcomes) -> None:
        taken = decode_discrete(actions).astype(np.int64) - FIRST + 1
        for row, (sticks, player, moves, ended) in enumerate(states.tolist()):
            if ended:
                raise BadState(row, states[row].tobytes(), "the episode has ended")
            if not 1 <= taken[row] <= min(3, sticks):
                raise IllegalAction(row, actions[row].tobytes(), "so many sticks cannot be taken")
            left = sticks - taken[row]
            out.terminated[row] = left == 0
            out.truncated[row] = left > 0 and moves + 1 == HORIZON
            out.rewards[row] = -2 if left == 0 else 0
            over = out.terminated[row] or out.truncated[row]
            out.positions.states[row] = (left, (player + 1) % 3, moves + 1, over)
        out.info[:] = 0
        self._show(out.positions)

    def _observe(self, states: npt.NDArray[np.uint8], out: Positions) -> None:
        out.states[:] = states
        self._show(out)

    def _show(self, out: Positions) -> None:
        out.players[:] = out.states[:, 1]
        out.obs[:] = out.states
        for row, (sticks, _, _, ended) in enumerate(out.states.tolist()):
            most = 0 if ended else min(3, sticks)
            bits = ((1 << most) - 1) << FIRST
            out.legal_masks[row] = bits & (2**64 - 1), bits >> 64

    def render_text(self, state: bytes) -> str:
        return f"{'|' * state[0]} player {state[1]} to move"

    def action_text(self, action: bytes) -> str:
        return str(int.from_bytes(action, "little") - FIRST + 1)

    def parse_action(self, text: str) -> bytes:
        return (int(text) + FIRST - 1).to_bytes(4, "little")
