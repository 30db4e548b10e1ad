"""Whose eyes a game is seen through, and who moves for the other players.

Enters: a player's number, an opponent. Leaves: a `Seat` that fits a game; an opponent's actions.
Invariant: an opponent is a function of its rows: the same row gets the same action, alone or among others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from games.spec import GameSpec

# obs f32[N, O] as seen by the players to move, legal bool[N, n], chance u64[N] (evenly distributed, fresh at each call)
# -> whole numbers [N], each legal in its row.
Opponent = Callable[
    [npt.NDArray[np.float32], npt.NDArray[np.bool_], npt.NDArray[np.uint64]], npt.NDArray[Any]
]
Illegal = Literal["end", "raise"]  # what an action does that the legal mask forbids

ILLEGAL_REWARD = -1.0  # of an action that ends the episode so, as in PettingZoo's classic games


@dataclass(frozen=True, slots=True)
class Seat:
    """How an agent takes part in a game.

    Attributes:
        player: the player that it is; None: one drawn for every episode.
        opponent: who moves for the others; None: `random_opponent`.
        illegal: "end" terminates the episode with ILLEGAL_REWARD, "raise" changes nothing.
        hint: the reset hint of every episode.
    """

    player: int | None = None
    opponent: Opponent | None = None
    illegal: Illegal = "end"
    hint: bytes = b""


def check_seat(spec: GameSpec, seat: Seat) -> None:
    """Refuse what cannot be played.

    Raises:
        ValueError: there is no such player, no opponent to play, or no such way with illegal actions.
    """
    if seat.player is not None and not 0 <= seat.player < spec.players:
        raise ValueError(f"player = {seat.player}: {spec.env_id} has {spec.players} players, from 0")
    if seat.opponent is not None and spec.players == 1:
        raise ValueError(f"opponent = {seat.opponent!r}: {spec.env_id} is played alone; leave it out")
    check_illegal(seat.illegal)


def check_illegal(illegal: str) -> None:
    """Raises ValueError for what is neither "end" nor "raise"."""
    if illegal not in ("end", "raise"):
        raise ValueError(f"illegal = {illegal!r}: give 'end' or 'raise'")


def random_opponent(
    obs: npt.NDArray[np.float32], legal: npt.NDArray[np.bool_], chance: npt.NDArray[np.uint64]
) -> npt.NDArray[np.intp]:
    """Every legal action is as likely as any other, to within n in 2**64.

    Args:
        obs: f32[N, O], not looked at.
        legal: bool[N, n], at least one a row.
        chance: u64[N].
    """
    del obs
    place = chance % legal.sum(axis=1, dtype=np.uint64)
    chosen: npt.NDArray[np.intp] = np.argmax(
        np.cumsum(legal, axis=1, dtype=np.uint64) > place[:, None], axis=1
    )
    return chosen
