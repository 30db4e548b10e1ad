"""One game on trial: what it is asked, where it stood, and how a finding is put.

Enters: a game and how much of it to play. Leaves: random play, step by step, or a `Nonconformity`.
Invariant: the same seed plays the same moves; what a game raises itself is never taken for a finding's text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from games.batch import Outcomes, Positions
from games.contract import Game
from games.errors import BadState, GameError, IllegalAction
from games.moves import MaskGroup, box_bounds, mask_groups, random_actions
from games.spec import Box, GameSpec

POSITION_COLUMNS = ("states", "obs", "legal_masks", "players")
OUTCOME_COLUMNS = ("rewards", "terminated", "truncated", "info")
_EDGE_EVERY = 5  # rows of a Box batch: one of these many plays a bound instead of a value between

# What a plain-Python reference says of one step: (state, action) to the next state, the reward or one reward an agent,
# terminated and truncated.
Expected = tuple[bytes, float | Sequence[float], bool, bool]
Reference = Callable[[bytes, bytes], Expected]


class Nonconformity(AssertionError):
    """The game breaks the contract: one line that says what is broken and where."""


@dataclass(frozen=True, slots=True)
class Played:
    """One step of a batch."""

    step: int  # 0 is the first of the episode
    before: Positions
    actions: npt.NDArray[np.uint8]  # [N, A]
    outcome: Outcomes


@dataclass
class Trial:
    """A game, and how much of it is played.

    Attributes:
        older: states of older encodings that the game must take, each with its encoding's name.
        probes: steps of the random play that are looked at closely; filled by the check of play.
    """

    game: Game
    seed: int
    rows: int
    steps: int
    reference: Reference | None = None
    hints: tuple[bytes, ...] = ()
    processes: int = 0
    older: tuple[tuple[str, bytes], ...] = ()
    probes: list[Played] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.rows < 2 or self.steps < 1:
            raise ValueError(f"rows = {self.rows}, steps = {self.steps}: give at least 2 rows and 1 step")

    @property
    def spec(self) -> GameSpec:
        """The game's own description."""
        return self.game.spec

    @property
    def groups(self) -> tuple[MaskGroup, ...]:
        """What the legal mask covers."""
        return mask_groups(self.spec)

    def generator(self, purpose: int) -> np.random.Generator:
        """Randomness of one check; other purposes do not disturb it."""
        return np.random.default_rng([self.seed, purpose])

    def seeds(self, rows: int | None = None) -> npt.NDArray[np.uint64]:
        """Seeds u64 of the rows' episodes, the first and the last possible seed among them."""
        rows = self.rows if rows is None else rows
        seeds = self.generator(0).integers(0, 2**64, max(rows, 2), np.uint64)
        seeds[:2] = 0, 2**64 - 1
        return seeds[:rows]

    def another(self) -> Game:
        """Another instance of the game, or the same one where it is not made without arguments."""
        try:
            return type(self.game)()
        except TypeError:
            return self.game

    def finding(self, what: str) -> Nonconformity:
        """What is broken, in one line that names the game."""
        return Nonconformity(f"{self.spec.env_id}: {' '.join(what.split())}")

    def fail(self, what: str) -> NoReturn:
        """End the trial with a finding."""
        raise self.finding(what)

    def same_positions(self, what: str, one: Positions, other: Positions) -> None:
        """A finding unless all columns are byte for byte the same."""
        for name in POSITION_COLUMNS:
            self._same(what, name, getattr(one, name), getattr(other, name))

    def same_outcomes(self, what: str, one: Outcomes, other: Outcomes) -> None:
        """A finding unless all columns are byte for byte the same."""
        self.same_positions(what, one.positions, other.positions)
        for name in OUTCOME_COLUMNS:
            self._same(what, name, getattr(one, name), getattr(other, name))

    def refuses(self, call: Callable[[], object], error: type[GameError], *, row: int | None = None) -> str:
        """How a call goes: "" where it is refused as it should be, else what it does instead.

        Args:
            call: what is tried.
            error: the exception that it should raise.
            row: the row that a `RowError` should name.
        """
        try:
            call()
        except GameError as refusal:
            if not isinstance(refusal, error):
                return f"is refused with {type(refusal).__name__} ({refusal}) and not with {error.__name__}"
            if "\n" in str(refusal):
                return f"is refused in several lines: {str(refusal)!r}"
            if row is not None and isinstance(refusal, BadState | IllegalAction) and refusal.row != row:
                return f"is refused naming row {refusal.row}; the first wrong one is row {row}"
            return ""
        except Exception as crash:
            said = f"{type(crash).__name__} ({crash}) is raised"
            raise self.finding(f"{error.__name__} is due, and {said}") from crash
        return "is taken"

    def _same(
        self, what: str, name: str, one: npt.NDArray[np.generic], other: npt.NDArray[np.generic]
    ) -> None:
        if one.tobytes() == other.tobytes() and one.shape == other.shape:
            return
        rows = [
            index
            for index in range(min(len(one), len(other)))
            if one[index].tobytes() != other[index].tobytes()
        ]
        where = f" in row {rows[0]}" if rows else f": {list(one.shape)} and {list(other.shape)}"
        self.fail(f"{what} gives other {name}{where}")


def ended(outcome: Outcomes) -> npt.NDArray[np.bool_]:
    """Which rows' episodes a step has ended, bool[N]."""
    both: npt.NDArray[np.bool_] = (outcome.terminated | outcome.truncated) != 0
    return both


def take(position: Positions, rows: npt.NDArray[np.intp] | slice) -> Positions:
    """Some rows of a batch, as a batch."""
    return Positions(
        **{name: np.ascontiguousarray(getattr(position, name)[rows]) for name in POSITION_COLUMNS}
    )


def take_outcomes(outcome: Outcomes, rows: npt.NDArray[np.intp] | slice) -> Outcomes:
    """Some rows of what a batch of steps led to."""
    columns = {name: np.ascontiguousarray(getattr(outcome, name)[rows]) for name in OUTCOME_COLUMNS}
    return Outcomes(take(outcome.positions, rows), **columns)


def play(
    trial: Trial, *, purpose: int, rows: int | None = None, steps: int | None = None, hint: bytes = b""
) -> Iterator[Played]:
    """Random episodes, each batch holding those that still go on, until none does or `steps` are played."""
    game, generator = trial.game, trial.generator(purpose)
    position = game.reset(trial.seeds(rows), hint)
    for step in range(trial.steps if steps is None else steps):
        if not len(position):
            return
        actions = _moves(game, position, generator)
        states, given = position.states.copy(), actions.copy()
        try:
            outcome = game.step(position.states, actions)
        except GameError as error:
            raise trial.finding(f"an action of the mask is refused at step {step}: {error}") from error
        if (states != position.states).any() or (given != actions).any():
            trial.fail("step changes the states or the actions that it is given")
        yield Played(step, position, actions, outcome)
        position = take(outcome.positions, np.flatnonzero(~ended(outcome)))


def _moves(game: Game, position: Positions, generator: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Random legal actions; in a Box some rows play its very bounds."""
    actions = random_actions(game, position, generator)
    space = game.spec.action_space
    if isinstance(space, Box):
        bounds = np.stack(box_bounds(space))
        edges = np.take_along_axis(bounds, generator.integers(0, 2, bounds.shape)[:1], axis=0)
        actions[::_EDGE_EVERY] = np.ascontiguousarray(edges, "<f4").view(np.uint8)
    return actions
