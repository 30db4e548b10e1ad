"""Sound toy games: two agents at once, and continuous actions under chance.

In: nothing. Out: `SOUND`. Invariant: each conforms; what breaks in `broken_games` is not broken here.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from games.batch import Outcomes, Positions
from games.contract import Game
from games.errors import BadActionText, BadBatch, BadHint, BadState, IllegalAction
from games.spec import Box, Encoding, GameSpec
from games.tictactoe.game import TicTacToe
from toy_games import Lanes

U8 = npt.NDArray[np.uint8]


class Walkers(Lanes):
    """Sound: two agents at once."""

    def parse_action(self, text: str) -> bytes:
        words = text.split()
        if len(words) != 2 or words[0] not in ("0", "1") or words[1] not in ("0", "1", "2"):
            raise BadActionText(f"move {text!r}: type the walker's 0 or 1 and the runner's 0 to 2")
        return super().parse_action(text)

    def action_text(self, action: bytes) -> str:
        if len(action) != 8:
            raise BadBatch(f"action: {len(action)} bytes; give 8")
        walker, runner = np.frombuffer(action, "<u4").tolist()
        if walker > 1 or runner > 2:
            raise IllegalAction(0, action, "the walker has 2 actions, the runner 3")
        return super().action_text(action)


class Drift(Game):
    """Sound: a boat that a rudder and an oar move, and chance as well; far out is the end.

    A state is a u64 seed, an f32 place, a u8 of steps; an action is a Box of two numbers.
    """

    spec = GameSpec(
        env_id="drift",
        build_id="drift-1",
        encoding=Encoding("state:packed_u8:v1", "action:f32x2:v1", "obs:f32x2:v1", 1),
        max_horizon=20,
        action_space=Box((-1.0, 0.0), (1.0, 0.5), (2,)),
        preferred_batch=32,
        players=1,
        state_bytes=13,
        action_bytes=8,
        obs_shape=(2,),
        zero_sum=False,
        perfect_information=True,
        stochastic=True,
    )

    def _reset(self, seeds: npt.NDArray[np.uint64], hint: bytes, out: Positions) -> None:
        if hint:
            raise BadHint("hint: takes none")
        out.states[:, :8] = seeds[:, None].view(np.uint8)
        out.states[:, 8:] = 0
        self._observe(out.states.copy(), out)

    def _step(self, states: U8, actions: U8, out: Outcomes) -> None:
        place, steps = self._checked(states, may_have_ended=False)
        moves = actions.copy().view("<f4")
        space = self.spec.action_space
        assert isinstance(space, Box)
        fine = (moves >= np.array(space.low, np.float32)) & (moves <= np.array(space.high, np.float32))
        self._refuse(~np.logical_and.reduce(fine, axis=1), actions)
        with np.errstate(over="ignore"):
            mixed = (states[:, :8].copy().view("<u8")[:, 0] + steps) * np.uint64(0x9E3779B97F4A7C15)
        chance = (mixed >> np.uint64(40)).astype(np.float32) / np.float32(2**24)
        to = states.copy()
        to[:, 8:12] = (
            (place + moves.sum(axis=1) + chance - np.float32(0.5))[:, None].astype("<f4").view(np.uint8)
        )
        to[:, 12] += 1
        self._observe(to, out.positions)
        self._ends(out)
        out.rewards[:] = -np.abs(out.positions.obs[:, 0])
        out.info[:] = 0

    def _ends(self, out: Outcomes) -> None:
        out.terminated[:] = np.abs(out.positions.obs[:, 0]) > 3
        out.truncated[:] = (out.positions.obs[:, 1] == 20) & (out.terminated == 0)

    def _observe(self, states: U8, out: Positions) -> None:
        place, steps = self._checked(states, may_have_ended=True)
        out.states[:] = states
        out.obs[:, 0], out.obs[:, 1] = place, steps
        out.players[:] = 0

    def render_text(self, state: bytes) -> str:
        place, steps = self._checked(np.frombuffer(state, np.uint8)[None], may_have_ended=True)
        return f"at {place[0]:g} after {steps[0]} steps"

    def action_text(self, action: bytes) -> str:
        if len(action) != 8:
            raise BadBatch(f"action: {len(action)} bytes; give 8")
        numbers = np.frombuffer(action, "<f4")
        if not np.isfinite(numbers).all():
            raise IllegalAction(0, action, "is no number")
        return " ".join(repr(float(number)) for number in numbers)

    def parse_action(self, text: str) -> bytes:
        try:
            numbers = np.array([float(word) for word in text.split()])
        except ValueError:
            numbers = np.full(1, np.nan)
        if len(numbers) != 2 or not (np.abs(numbers) <= 1).all():
            raise BadActionText(f"move {text!r}: type two numbers")
        return numbers.astype("<f4").tobytes()

    def _checked(self, states: U8, *, may_have_ended: bool) -> tuple[npt.NDArray[np.float32], U8]:
        place, steps = states[:, 8:12].copy().view("<f4")[:, 0], states[:, 12]
        wrong = ~(np.abs(place) <= 8) | (steps > 20)
        if not may_have_ended:
            wrong |= (np.abs(place) > 3) | (steps == 20)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise BadState(row, states[row].tobytes(), "is out of the water, or has ended")
        return place, steps

    def _refuse(self, wrong: npt.NDArray[np.bool_], actions: U8) -> None:
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise IllegalAction(row, actions[row].tobytes(), "is not in the box")


SOUND: tuple[type[Game], ...] = (TicTacToe, Walkers, Drift)
