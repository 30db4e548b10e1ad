"""Small games for tests of the engine, in plain numpy.

In: nothing. Out: `Lanes`, which has all that a game can have. Invariant: whatever bytes come are refused or taken.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from games.batch import Outcomes, Positions
from games.contract import Game
from games.errors import BadBatch, BadHint, BadState, IllegalAction
from games.spec import AgentSpec, Encoding, GameSpec, MultiDiscrete

U8 = npt.NDArray[np.uint8]

LONGEST_LANE = 9
HORIZON = 12
OLD_STATE = "state:packed_u8:v1"  # without the last byte, the steps taken

_SPEC = GameSpec(
    env_id="lanes",
    build_id="lanes-2",
    encoding=Encoding(
        state="state:packed_u8:v2", action="action:u32x2:v1", obs="obs:f32x7:v1", schema_version=2
    ),
    max_horizon=HORIZON,
    action_space=MultiDiscrete((2, 3)),
    preferred_batch=64,
    players=2,
    state_bytes=4,
    action_bytes=8,
    obs_shape=(7,),
    zero_sum=False,
    perfect_information=False,
    stochastic=False,
    hint=f"the number of cells, 3 to {LONGEST_LANE}, in digits",
    decodes=(OLD_STATE,),
    agents=(
        AgentSpec(name="walker", loadout="slow", actions=2, obs_shape=(3,)),
        AgentSpec(name="runner", loadout="fast", actions=3, obs_shape=(2, 2)),
    ),
    grid=(1, LONGEST_LANE),
)


class Lanes(Game):
    """Two agents move at once on a lane of cells; a state is its length, both places and the steps taken, a byte each.

    The walker goes left or right, the runner left, right or two right. They meet: the walker gets 1, the runner 0.5.
    They pass the horizon: 0 and -0.25. Hint: the number of cells in digits.
    """

    @property
    def spec(self) -> GameSpec:
        return _SPEC

    def _reset(self, seeds: npt.NDArray[np.uint64], hint: bytes, out: Positions) -> None:
        if hint and not (hint.isdigit() and 3 <= int(hint) <= LONGEST_LANE):
            raise BadHint(f"hint = 0x{hint[:16].hex()}: give the number of cells, 3 to {LONGEST_LANE}")
        length = int(hint) if hint else 5
        out.states[:] = (length, 0, length - 1, 0)
        out.states[:, 2] -= (seeds % np.uint64(2)).astype(np.uint8)
        self._observe(out.states.copy(), out)

    def _step(self, states: U8, actions: U8, out: Outcomes) -> None:
        self._check(states, may_have_ended=False)
        moves = actions.reshape(len(actions), 2, 4).copy().view("<u4").reshape(-1, 2)
        wrong = np.flatnonzero((moves[:, 0] > 1) | (moves[:, 1] > 2))
        if len(wrong):
            row = int(wrong[0])
            raise IllegalAction(row, actions[row].tobytes(), "the walker has 2 actions, the runner 3")
        to = states.astype(np.int64)
        to[:, 1] += np.array([-1, 1])[moves[:, 0]]
        to[:, 2] += np.array([-1, 1, 2])[moves[:, 1]]
        to[:, 1:3] = np.clip(to[:, 1:3], 0, to[:, :1] - 1)
        to[:, 3] += 1
        out.terminated[:] = to[:, 1] == to[:, 2]
        out.truncated[:] = (to[:, 3] == HORIZON) & (out.terminated == 0)
        out.rewards[:, 0] = out.terminated
        out.rewards[:, 1] = 0.5 * out.terminated - 0.25 * out.truncated
        out.info[:] = to[:, 3]
        self._observe(to.astype(np.uint8), out.positions)

    def _observe(self, states: U8, out: Positions) -> None:
        self._check(states, may_have_ended=True)
        out.states[:] = states
        length, walker, runner, steps = states.T.astype(np.float32)
        out.obs[:] = np.stack((length, walker, steps, length, runner, steps, runner - walker), axis=1)
        ended = (states[:, 1] == states[:, 2]) | (states[:, 3] == HORIZON)
        out.legal_masks[:] = np.where(ended[:, None], 0, np.array([0b11, 0b111])).astype(np.uint64)
        out.players[:] = 0

    def _upgrade_states(self, encoding: str, states: U8) -> U8:
        if states.shape[1] != 3:
            raise BadBatch(f"states: rows of {states.shape[1]} bytes; {encoding} has 3")
        return np.concatenate((states, np.zeros((len(states), 1), np.uint8)), axis=1)

    def _visible(self, states: U8, cells: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
        # Inside the lane everything is seen from everywhere, outside a cell sees itself.
        length = states[:, 0].astype(np.uint64)
        inside = (np.uint64(1) << length) - np.uint64(1)
        own = np.uint64(1) << cells.astype(np.uint64)
        return np.where(cells < length, inside, own).reshape(-1, 1)

    def render_text(self, state: bytes) -> str:
        row = np.frombuffer(state, np.uint8).reshape(1, -1)
        self.observe(row)
        cells = ["."] * state[0]
        cells[state[1]], cells[state[2]] = "W", "R"
        return "".join(cells)

    def action_text(self, action: bytes) -> str:
        return " ".join(str(int(move)) for move in np.frombuffer(action, "<u4"))

    def parse_action(self, text: str) -> bytes:
        return np.array(text.split(), "<u4").tobytes()

    @staticmethod
    def _check(states: U8, *, may_have_ended: bool) -> None:
        length, walker, runner, steps = states.T
        wrong = (length < 3) | (length > LONGEST_LANE) | (walker >= length) | (runner >= length)
        wrong |= steps > HORIZON
        if not may_have_ended:
            wrong |= (walker == runner) | (steps == HORIZON)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise BadState(row, states[row].tobytes(), "is outside the lane, or the episode has ended")
