"""Strength, exhaustively: a greedy policy against every possible sequence of replies. Pure.

In: a game's rules and a policy. Out: how many lines of play there are against it, and how many it loses.
Invariant: no line is left out: at the policy's turn there is one move, at the opponent's every legal one.

Positions that are reached in several ways are looked at once, with the number of ways. A game with more positions
than `_MOST_POSITIONS` at one depth, with chance, or not for two players, cannot be judged so; `learner.score` plays it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from games.contract import Discrete, Game

Values = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]  # f32[N, O] -> f32[N, A]

_MOST_POSITIONS = 200_000
_MOST_BITS = 32  # of choices, all the way down: what is far from small is not even tried
UNBEATABLE = "unbeatable"
_RETURN = re.compile(r"return>=(-?[0-9]+(?:\.[0-9]+)?)")


@dataclass(frozen=True)
class Seat:
    """What came of all lines that the policy plays as one of the players."""

    lines: int
    lost: int
    drawn: int
    won: int


@dataclass(frozen=True)
class Verdict:
    """The policy as first and as second player."""

    first: Seat
    second: Seat

    @property
    def unbeatable(self) -> bool:
        return self.first.lost == 0 and self.second.lost == 0

    @property
    def word(self) -> str:
        """The verdict as WeightsPublished has it."""
        return UNBEATABLE if self.unbeatable else ""

    @property
    def strength(self) -> float:
        """Share of lines not lost, the mean of both seats."""
        return 1 - (self.first.lost / self.first.lines + self.second.lost / self.second.lines) / 2

    def figures(self) -> dict[str, float]:
        """As WeightsPublished and the manifest have it."""
        figures = {"strength": self.strength}
        for name, seat in (("first", self.first), ("second", self.second)):
            for outcome in ("lines", "lost", "drawn", "won"):
                figures[f"{outcome}_as_{name}"] = float(getattr(seat, outcome))
        return figures


def wanted_return(stop_when: str) -> float | None:
    """The mean return at which a run is to stop, from "return>=NUMBER"; None if it stops for another reason."""
    match = _RETURN.fullmatch(stop_when)
    return None if match is None else float(match[1])


def judgeable(game: Game) -> bool:
    """Whether `verdict` can judge policies of this game at all."""
    spec = game.spec
    return (
        spec.players == 2
        and spec.zero_sum
        and not spec.stochastic
        and spec.perfect_information
        and isinstance(spec.action_space, Discrete)
        and spec.max_horizon * math.log2(spec.action_space.n) <= _MOST_BITS
    )


def verdict(game: Game, values: Values) -> Verdict | None:
    """What the greedy policy of `values` is worth; None if the game is too large to look at every line."""
    if not judgeable(game):
        return None
    seats = [_play_out(game, values, seat) for seat in (0, 1)]
    if seats[0] is None or seats[1] is None:
        return None
    return Verdict(seats[0], seats[1])


def _play_out(game: Game, values: Values, seat: int) -> Seat | None:
    positions = game.reset(np.zeros(1, np.uint64))
    states, ways = positions.states, np.ones(1, np.int64)
    counts = np.zeros(3, np.int64)  # lost, drawn, won
    while len(states):
        if len(states) > _MOST_POSITIONS:
            return None
        at = game.observe(states)
        ours = at.players == seat
        from_row, actions = _moves(at.legal_masks, game.spec.action_space, values(at.obs), ours)
        played = game.step(
            np.ascontiguousarray(states[from_row]),
            actions.astype("<u4").view(np.uint8).reshape(len(actions), 4),
        )
        ways = ways[from_row]
        over = (played.terminated | played.truncated).astype(bool)
        result = np.sign(played.rewards) * np.where(ours[from_row], 1, -1)
        for index, outcome in enumerate((-1, 0, 1)):
            counts[index] += ways[over & (result == outcome)].sum()
        states, ways = _merge(played.positions.states[~over], ways[~over])
    lost, drawn, won = (int(count) for count in counts)
    return Seat(lost + drawn + won, lost, drawn, won)


def _moves(
    masks: npt.NDArray[np.uint64], space: object, values: npt.NDArray[np.float32], ours: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pairs (row, action): the best legal one where it is our turn, else every legal one."""
    if not isinstance(space, Discrete):
        raise TypeError(f"action space is {space}: only discrete ones can be enumerated")
    action = np.arange(space.n)
    legal = (masks[:, action // 64] >> (action % 64).astype(np.uint64)) & np.uint64(1) != 0
    best = np.where(legal, values, -np.inf).argmax(1)
    wanted = legal & (~ours[:, None] | (action[None, :] == best[:, None]))
    rows, actions = np.nonzero(wanted)
    return rows, actions


def _merge(
    states: npt.NDArray[np.uint8], ways: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Each different state once, with the ways to it added up."""
    if not len(states):
        return states, ways
    width = states.shape[1]
    unique, inverse = np.unique(
        np.ascontiguousarray(states).view(f"V{width}").reshape(-1), return_inverse=True
    )
    total = np.zeros(len(unique), np.int64)
    np.add.at(total, inverse.reshape(-1), ways)
    return np.ascontiguousarray(unique).view(np.uint8).reshape(-1, width), total
