"""Tic-tac-toe behind the game contract.

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
from games.render.plan import RenderPlan, RenderSpec
from games.spec import Discrete, Encoding, GameSpec
from games.tictactoe import kernels, render
from games.tictactoe.state import CELLS, OBS_SIZE, STATE_BYTES, typed

_SPEC = GameSpec(
    env_id="tictactoe",
    build_id="tictactoe-1",
    encoding=Encoding(
        state="state:packed_u8:v1", action=ACTION_DISCRETE, obs="obs:f32x29:v1", schema_version=1
    ),
    max_horizon=CELLS,
    action_space=Discrete(CELLS),
    preferred_batch=1024,
    players=2,
    state_bytes=STATE_BYTES,
    action_bytes=4,
    obs_shape=(OBS_SIZE,),
    zero_sum=True,
    perfect_information=True,
    stochastic=False,
)

_WRONG_STATE = {
    kernels.BAD_CELL: "a cell (bytes 0-8) is above 2; use 0 empty, 1 player 0, 2 player 1",
    kernels.BAD_COUNTS: "no sequence of moves leads to these stones; take states from a reset or a step",
    kernels.BAD_PLAYER: "the player to move (byte 9) disagrees with the number of stones",
    kernels.BAD_STATUS: "the status (byte 10) disagrees with the board",
    kernels.ENDED: "the episode has ended; reset it before the next step",
}


class TicTacToe(Game):
    """Two players, three in a row on 3 by 3; +1 to the mover who wins, 0 else, and the loser's -1 by zero-sum.

    info: bits 0-7 the successor's status (see `games.tictactoe.state`), bits 8-15 its number of stones.
    """

    @property
    def spec(self) -> GameSpec:
        return _SPEC

    def _reset(self, seeds: npt.NDArray[np.uint64], hint: bytes, out: Positions) -> None:
        del seeds  # nothing is random here
        if hint:
            raise BadHint(f"hint = 0x{hint[:16].hex()}: tictactoe has one start only; leave the hint empty")
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
        cell = int.from_bytes(action, "little")
        if cell >= CELLS:
            raise IllegalAction(0, action, f"cell {cell} is not on the board; give 0-{CELLS - 1}")
        return render.cell_text(cell)

    def parse_action(self, text: str) -> bytes:
        return render.parse_cell(text).to_bytes(_SPEC.action_bytes, "little")


def _refuse(refused: int, states: npt.NDArray[np.uint8], actions: npt.NDArray[np.uint8]) -> NoReturn:
    row, reason = divmod(refused, kernels.REASONS)
    if reason in _WRONG_STATE:
        raise BadState(row, states[row].tobytes(), _WRONG_STATE[reason])
    action = actions[row].tobytes()
    cell = int.from_bytes(action, "little")
    if reason == kernels.OUT_OF_RANGE:
        raise IllegalAction(row, action, f"cell {cell} is not on the board; give 0-{CELLS - 1}")
    raise IllegalAction(
        row, action, f"cell {cell} ({render.cell_text(cell)}) is taken; choose one of the legal mask"
    )
