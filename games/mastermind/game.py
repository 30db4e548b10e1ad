"""Mastermind behind the game contract.

Enters: byte columns. Leaves: byte columns, or an exception that names the refused row and value.
Invariant: the kernels decide everything; this adapter only names what they refuse.
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np
import numpy.typing as npt

from games.batch import U8, Outcomes, Positions, check_column
from games.contract import Game
from games.encodings import decode_actions, encode_actions
from games.errors import BadHint, BadState, IllegalAction
from games.mastermind import kernels, render
from games.mastermind.state import COLOURS, OBS_SHAPE, PEGS, STATE_BYTES, TURN, TURNS, typed
from games.render.plan import RenderPlan, RenderSpec
from games.spec import Encoding, GameSpec, MultiDiscrete

_ACTION = "action:u32x4:v1"
_SPEC = GameSpec(
    env_id="mastermind",
    build_id="mastermind-1",
    encoding=Encoding(state="state:packed_u8:v1", action=_ACTION, obs="obs:f32x260:v1", schema_version=1),
    max_horizon=TURNS,
    action_space=MultiDiscrete((COLOURS,) * PEGS),
    preferred_batch=1024,
    players=1,
    state_bytes=STATE_BYTES,
    action_bytes=4 * PEGS,
    obs_shape=OBS_SHAPE,
    zero_sum=False,
    perfect_information=False,
    stochastic=True,
    hint="empty, or the secret of every episode: 4 bytes, each a colour 0-5",
)

_WRONG_STATE = {
    kernels.BAD_SECRET: f"a colour of the secret (bytes 0-3) is above {COLOURS - 1}",
    kernels.BAD_COUNT: f"the guesses made (byte 4) are more than {TURNS}",
    kernels.BAD_GUESS: f"a colour of a guess is above {COLOURS - 1}; turn i is bytes 6 + 6 * i and the five after it",
    kernels.BAD_KEYS: "the keys of a turn are not the answer to its guess; take states from a reset or a step",
    kernels.BAD_STATUS: "the status (byte 5) disagrees with the turns, or one follows that cracked the secret",
    kernels.NOT_EMPTY: "a turn that was not played (from byte 6 + 6 * guesses on) is not 0",
    kernels.ENDED: "the episode has ended; reset it before the next step",
}


class Mastermind(Game):
    """One player finds four pegs of six colours, told after each guess how near it is; ten guesses.

    Reward: -1 a guess, and -1 more if the tenth is wrong. That is the board game's own score, a point to the maker of
    the code for each guess and one more if it holds. So the return is minus the number of guesses, which is what the
    literature averages (Knuth, The Computer as Master Mind, 1977: 4.48; Koyama and Lai, An Optimal Mastermind Strategy,
    1993: 4.34, the least there is), and a miss costs more than a right last guess.

    The episode is terminated, never truncated: that there are ten guesses is a rule of the game.

    The observation is ten turns of 26 floats: six a peg, one-hot its colour, then black keys / 4 and white keys / 4; 0
    where no guess was made. The secret is not in it.

    Hint: empty, and the secret is drawn from the seed; or 4 bytes, each 0-5, the secret of every row.

    info: bits 0-7 the successor's status (see `games.mastermind.state`), 8-15 the guesses made, 16-23 the black and
    24-31 the white keys of this guess.
    """

    @property
    def spec(self) -> GameSpec:
        return _SPEC

    def _reset(self, seeds: npt.NDArray[np.uint64], hint: bytes, out: Positions) -> None:
        if len(hint) not in (0, PEGS) or any(colour >= COLOURS for colour in hint):
            raise BadHint(f"hint = 0x{hint[:16].hex()}: mastermind takes {_SPEC.hint}")
        secret = np.frombuffer(hint, np.uint8)
        kernels.reset(seeds, secret, _records(out.states), _turns(out.obs), out.players)

    def _step(self, states: npt.NDArray[np.uint8], actions: npt.NDArray[np.uint8], out: Outcomes) -> None:
        to = out.positions
        refused = kernels.step(
            _records(states),
            actions,
            _records(to.states),
            _turns(to.obs),
            to.players,
            out.rewards,
            out.terminated,
            out.truncated,
            out.info,
        )
        if refused != kernels.OK:
            _refuse(refused, states, actions)

    def _observe(self, states: npt.NDArray[np.uint8], out: Positions) -> None:
        refused = kernels.observe(_records(states), _records(out.states), _turns(out.obs), out.players)
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
        guess = decode_actions(_ACTION, row)[0].tolist()
        if max(guess) >= COLOURS:
            raise IllegalAction(0, action, _no_colour(guess))
        return render.guess_text(guess)

    def parse_action(self, text: str) -> bytes:
        return encode_actions(_ACTION, np.array([render.parse_guess(text)])).tobytes()


def _records(states: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """States as the kernels index them: u8[N, 11, 6], the turns after a first record of the same size."""
    return states.reshape(len(states), TURNS + 1, TURN.itemsize)


def _turns(obs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Observations as the kernels index them, f32[N, 10, 26]."""
    return obs.reshape(len(obs), *OBS_SHAPE)


def _refuse(refused: int, states: npt.NDArray[np.uint8], actions: npt.NDArray[np.uint8]) -> NoReturn:
    row, reason = divmod(refused, kernels.REASONS)
    if reason in _WRONG_STATE:
        raise BadState(row, states[row].tobytes(), _WRONG_STATE[reason])
    guess = decode_actions(_ACTION, actions[row : row + 1])[0].tolist()
    raise IllegalAction(row, actions[row].tobytes(), _no_colour(guess))


def _no_colour(guess: list[int]) -> str:
    peg = next(peg for peg, colour in enumerate(guess) if colour >= COLOURS)
    return f"peg {peg} has colour {guess[peg]}; give 0-{COLOURS - 1}"
