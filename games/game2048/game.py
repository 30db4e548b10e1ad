"""2048 behind the game contract.

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
from games.game2048 import kernels, render
from games.game2048.state import ACTIONS, MOST_MOVES, OBS_SIZE, STATE_BYTES, typed
from games.render.plan import RenderPlan, RenderSpec
from games.spec import Discrete, Encoding, GameSpec

_SPEC = GameSpec(
    env_id="2048",
    build_id="2048-1",
    encoding=Encoding(
        state="state:packed_u8:v1", action=ACTION_DISCRETE, obs="obs:f32x40:v1", schema_version=1
    ),
    max_horizon=MOST_MOVES,
    action_space=Discrete(len(ACTIONS)),
    preferred_batch=1024,
    players=1,
    state_bytes=STATE_BYTES,
    action_bytes=4,
    obs_shape=(OBS_SIZE,),
    zero_sum=False,
    perfect_information=True,
    stochastic=True,
)

_WRONG_STATE = {
    kernels.BAD_EXPONENT: "an exponent (bytes 0-15) is above 17, of the greatest tile that there can be",
    kernels.BAD_COUNTS: "more than 18 - e tiles have an exponent of e or more; no sequence of moves leads there",
    kernels.BAD_SPAWN: "there are fewer than two tiles, or none is a 2 or a 4 as the last spawn was",
    kernels.ENDED: "the episode has ended; reset it before the next step",
}


class Game2048(Game):
    """One player, 4 by 4; tiles slide, equal ones merge, and then a 2 (9 times in 10) or a 4 is spawned.

    The reward is the sum of the tiles that merges made. A move that changes nothing is illegal; the episode ends when
    there is no other. A spawn is two draws from a fresh block of the seed's stream: `below(empty cells)` counts the
    empty cells row by row, `below(10)` makes a 4 if it is 0. A reset draws two spawns from block 0.

    obs: 16 exponents over 16, row by row; then 1 or 0 for each of the 12 cells with a right neighbour, row by row,
    whether that neighbour is the same tile, and for each of the 12 cells with one beneath whether that one is. A small
    network finds merges hard to see in numbers: one run each of a DQN over 1.3 M steps came to a mean score of 2,700
    with these, 2,300 with the exponents alone, and 2,200 with 18 one-hot planes, seven times as large in every record.

    info: bits 0-7 the greatest exponent of the successor, bits 8-15 the number of merges.
    """

    @property
    def spec(self) -> GameSpec:
        return _SPEC

    def _reset(self, seeds: npt.NDArray[np.uint64], hint: bytes, out: Positions) -> None:
        if hint:
            raise BadHint(f"hint = 0x{hint[:16].hex()}: 2048 starts in one way only; leave the hint empty")
        kernels.reset(seeds, out.states, out.obs, out.legal_masks, out.players)

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
        position = self.observe(row)  # refuses impossible states
        return render.board_text(typed(row)[0], ended=not position.legal_masks.any())

    def _plan(self, state: bytes, spec: RenderSpec) -> RenderPlan:
        row = np.frombuffer(state, np.uint8).reshape(1, -1)
        ended = not self.observe(row).legal_masks.any()
        return render.board_picture(typed(row)[0], spec, ended=ended)

    def action_text(self, action: bytes) -> str:
        row = np.frombuffer(action, np.uint8).reshape(1, -1)
        check_column("action", row, U8, (1, _SPEC.action_bytes))
        if int.from_bytes(action, "little") >= len(ACTIONS):
            _refuse(kernels.OUT_OF_RANGE, row, row)
        return ACTIONS[action[0]]

    def parse_action(self, text: str) -> bytes:
        return render.parse_move(text).to_bytes(_SPEC.action_bytes, "little")


def _refuse(refused: int, states: npt.NDArray[np.uint8], actions: npt.NDArray[np.uint8]) -> NoReturn:
    row, reason = divmod(refused, kernels.REASONS)
    if reason in _WRONG_STATE:
        raise BadState(row, states[row].tobytes(), _WRONG_STATE[reason])
    action = actions[row].tobytes()
    number = int.from_bytes(action, "little")
    if reason == kernels.OUT_OF_RANGE:
        raise IllegalAction(row, action, f"{number} is no direction; give 0 left, 1 up, 2 right or 3 down")
    raise IllegalAction(
        row, action, f"{ACTIONS[number]} changes nothing on this board; choose one of the legal mask"
    )
