"""Connect four behind the game contract.

Enters: byte columns. Leaves: byte columns, or an exception that names the refused row and value.
Invariant: the kernels decide everything; this adapter only names what they refuse.
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import numpy.typing as npt

from games.batch import U8, Outcomes, Positions, check_column
from games.connect4 import kernels, render
from games.connect4.state import CELLS, COLUMNS, OBS_SHAPE, STATE_BYTES, typed
from games.contract import Game
from games.encodings import ACTION_DISCRETE
from games.errors import BadHint, BadState, IllegalAction
from games.render.plan import RenderPlan, RenderSpec
from games.spec import Discrete, Encoding, GameSpec

_SPEC = GameSpec(
    env_id="connect4",
    build_id="connect4-1",
    encoding=Encoding(
        state="state:packed_u8:v1", action=ACTION_DISCRETE, obs="obs:f32x84:v1", schema_version=1
    ),
    max_horizon=CELLS,
    action_space=Discrete(COLUMNS),
    preferred_batch=1024,
    players=2,
    state_bytes=STATE_BYTES,
    action_bytes=4,
    obs_shape=OBS_SHAPE,
    zero_sum=True,
    perfect_information=True,
    stochastic=False,
)

_WRONG_STATE = {
    kernels.OUTSIDE: "bit 7 of a row (bytes 0-11) is set; a row has columns 0-6",
    kernels.TWICE: "a cell has a stone of both players (bytes 0-5 and 6-11)",
    kernels.FLOATING: "a stone has an empty cell beneath; row 0 is the top, row 5 the bottom",
    kernels.BAD_COUNTS: "player 0 has neither as many stones as player 1 nor one more",
    kernels.BAD_ORDER: "no sequence of moves leads to these stones; take states from a reset or a step",
    kernels.BAD_PLAYER: "the player to move (byte 12) disagrees with the number of stones",
    kernels.BAD_STATUS: "the status (byte 13) disagrees with the board",
    kernels.ENDED: "the episode has ended; reset it before the next step",
}


class Connect4(Game):
    """Two players, four in a row on 6 rows of 7; +1 to the mover who wins, 0 else, and the loser's -1 by zero-sum.

    The observation has no plane for who is to move: player 0 is, exactly if both planes have equally many stones.

    Refused are states with a stone outside of the board, in a taken cell or in the air, with stones that do not
    alternate, with a line of the player to move or of both, with a line that was there before the last stone, with no
    stone that can have been the first or the last, or with another player or status than the stones say. Not seen is
    whether the columns can be filled by turns in between; the rules hold in such a state as in any other.

    info: bits 0-7 the successor's status (see `games.connect4.state`), bits 8-15 its number of stones.
    """

    @property
    def spec(self) -> GameSpec:
        return _SPEC

    def _reset(self, seeds: npt.NDArray[np.uint64], hint: bytes, out: Positions) -> None:
        del seeds  # nothing is random here
        if hint:
            raise BadHint(f"hint = 0x{hint[:16].hex()}: connect4 has one start only; leave the hint empty")
        kernels.reset(out.states, out.obs, out.legal_masks, out.players)

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
        return render.board_text(typed(row)[0])

    def _plan(self, state: bytes, spec: RenderSpec) -> RenderPlan:
        return render.board_picture(typed(np.frombuffer(state, np.uint8).reshape(1, -1))[0], spec)

    def action_text(self, action: bytes) -> str:
        row = np.frombuffer(action, np.uint8).reshape(1, -1)
        check_column("action", row, U8, (1, _SPEC.action_bytes))
        column = int.from_bytes(action, "little")
        if column >= COLUMNS:
            raise IllegalAction(0, action, _no_column(column))
        return render.column_text(column)

    def parse_action(self, text: str) -> bytes:
        return render.parse_column(text).to_bytes(_SPEC.action_bytes, "little")


def _refuse(refused: int, states: npt.NDArray[np.uint8], actions: npt.NDArray[np.uint8]) -> NoReturn:
    row, reason = divmod(refused, kernels.REASONS)
    if reason in _WRONG_STATE:
        raise BadState(row, states[row].tobytes(), _WRONG_STATE[reason])
    action = actions[row].tobytes()
    column = int.from_bytes(action, "little")
    if reason == kernels.OUT_OF_RANGE:
        raise IllegalAction(row, action, _no_column(column))
    raise IllegalAction(
        row, action, f"column {column} ({render.column_text(column)}) is full; choose one of the legal mask"
    )


def _no_column(column: int) -> str:
    return f"column {column} is not on the board; give 0-{COLUMNS - 1}"
