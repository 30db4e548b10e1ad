"""Games that remember: between calls, in their instance, class or module, or of whom they are called by.

In: nothing. Out: `REMEMBERING`: each with the words that its finding must have, a regular expression.
Invariant: a game differs from tic-tac-toe in the one thing that its docstring says.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from games.batch import Outcomes, Positions
from games.contract import Game
from games.spec import GameSpec
from games.tictactoe.game import TicTacToe

TICTACTOE = TicTacToe().spec
COUNTED = [0]


class Restless(TicTacToe):
    """Each call tells another info."""

    calls = 0

    def _step(self, states: Any, actions: Any, out: Outcomes) -> None:
        super()._step(states, actions, out)
        self.calls += 1
        out.info[...] += np.uint64(self.calls)


class Hoarder(TicTacToe):
    """Every step is kept for ever."""

    seen: ClassVar[list[bytes]] = []

    def _step(self, states: Any, actions: Any, out: Outcomes) -> None:
        super()._step(states, actions, out)
        self.seen.append(b"step")


class Counted(TicTacToe):
    """A counter in the module moves."""

    def _step(self, states: Any, actions: Any, out: Outcomes) -> None:
        super()._step(states, actions, out)
        COUNTED[0] += 1


class Gambler(TicTacToe):
    """The global generator is drawn from, even if nothing comes of it."""

    def _step(self, states: Any, actions: Any, out: Outcomes) -> None:
        super()._step(states, actions, out)
        np.random.random()


class Elephant(TicTacToe):
    """The number of resets that there were shows in the info."""

    def _reset(self, seeds: Any, hint: bytes, out: Positions) -> None:
        super()._reset(seeds, hint, out)
        self.plays = getattr(self, "plays", 0) + 1

    def _step(self, states: Any, actions: Any, out: Outcomes) -> None:
        super()._step(states, actions, out)
        out.info[...] = self.plays


class Individual(TicTacToe):
    """Each instance has a number of its own."""

    made = 0

    def __init__(self) -> None:
        self.number = Individual.made
        Individual.made += 1

    def _step(self, states: Any, actions: Any, out: Outcomes) -> None:
        super()._step(states, actions, out)
        out.info[...] = self.number


class Homebody(TicTacToe):
    """The thread that plays shows in the rewards."""

    def _step(self, states: Any, actions: Any, out: Outcomes) -> None:
        super()._step(states, actions, out)
        out.rewards[...] += threading.current_thread() is not threading.main_thread()


class Moody(TicTacToe):
    """Each instance describes itself in another way."""

    made = 0

    def __init__(self) -> None:
        Moody.made += 1
        self.build_id = f"moody-{Moody.made}"

    @property
    def spec(self) -> GameSpec:
        return replace(TICTACTOE, build_id=self.build_id)


REMEMBERING: dict[type[Game], str] = {
    Restless: "the same step gives other info",
    Hoarder: "remembers: self.seen is list",
    Counted: "remembers: remembering_games.COUNTED is list",
    Gambler: "draws from Python's or numpy's global generator",
    Elephant: "step in another order gives other info",
    Individual: "another instance gives other bytes",
    Homebody: "gives other bytes while other threads play as well",
    Moody: "has another spec",
}
