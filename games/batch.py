"""The columns that a game fills: `Positions` and `Outcomes`, N rows each.

Enters: a spec and a row count, or a caller's own buffers. Leaves: arrays of exactly the spec's dtypes and shapes.
Invariant: every column is C-contiguous, aligned and little-endian, so its memory is its wire form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from games.errors import BadBatch
from games.spec import GameSpec

# Comparing dtypes with these is quick, with np.uint8 it is not.
U8 = np.dtype(np.uint8)
U32 = np.dtype(np.uint32)
U64 = np.dtype(np.uint64)
F32 = np.dtype(np.float32)


def check_column(field: str, column: npt.NDArray[Any], dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """Refuse a column that is not of this dtype and shape, C-contiguous and aligned.

    Raises:
        BadBatch: one line naming the field, what it is and what it should be.
    """
    flags = column.flags
    if column.dtype == dtype and column.shape == shape and flags.c_contiguous and flags.aligned:
        return
    what = f"{column.dtype}{list(column.shape)}"
    if column.dtype == dtype and column.shape == shape:
        raise BadBatch(f"{field}: {what} is not contiguous and aligned; pass np.ascontiguousarray of it")
    raise BadBatch(f"{field}: is {what}; give {dtype}{list(shape)}")


def rewards_shape(spec: GameSpec, rows: int) -> tuple[int, ...]:
    """Shape of a rewards column: (rows,), or (rows, R) where several agents move at once."""
    return (rows, spec.reward_width) if spec.agents else (rows,)


def unpack_masks(legal_masks: npt.NDArray[np.uint64], actions: int) -> npt.NDArray[np.bool_]:
    """Legal masks u64[N, W] of `actions` discrete actions as bool[N, actions]."""
    little = np.ascontiguousarray(legal_masks, "<u8").view(np.uint8)
    bits = np.unpackbits(little, axis=1, count=actions, bitorder="little")
    return bits.view(np.bool_)


@dataclass(frozen=True, slots=True)
class Positions:
    """N positions and what a player may know of them."""

    states: npt.NDArray[np.uint8]  # [N, S]
    obs: npt.NDArray[np.float32]  # [N, O], as seen by the player to move, or by all agents who move at once
    legal_masks: npt.NDArray[
        np.uint64
    ]  # [N, W], bit (a % 64) of word a // 64 is action a; 0 where the episode ended
    players: npt.NDArray[np.uint8]  # [N], the player to move; 0 where several agents move at once

    @classmethod
    def empty(cls, spec: GameSpec, rows: int) -> Positions:
        """Buffers for `rows` positions, content undefined."""
        return cls(
            states=np.empty((rows, spec.state_bytes), np.uint8),
            obs=np.empty((rows, spec.obs_size), np.float32),
            legal_masks=np.empty((rows, spec.mask_words), np.uint64),
            players=np.empty(rows, np.uint8),
        )

    def __len__(self) -> int:
        return len(self.players)

    def check(self, spec: GameSpec, rows: int) -> None:
        """Raises BadBatch unless these buffers fit `rows` positions of the game."""
        check_column("out.states", self.states, U8, (rows, spec.state_bytes))
        check_column("out.obs", self.obs, F32, (rows, spec.obs_size))
        check_column("out.legal_masks", self.legal_masks, U64, (rows, spec.mask_words))
        check_column("out.players", self.players, U8, (rows,))


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What N steps led to."""

    positions: Positions  # the successors
    rewards: npt.NDArray[np.float32]  # [N], to the player who moved; [N, R] where R agents move at once
    terminated: npt.NDArray[np.uint8]  # [N], 1 where the rules ended the episode
    truncated: npt.NDArray[np.uint8]  # [N], 1 where the horizon ended it
    info: npt.NDArray[np.uint64]  # [N], the game's own bits, documented by the game

    @classmethod
    def empty(cls, spec: GameSpec, rows: int) -> Outcomes:
        """Buffers for `rows` steps, content undefined."""
        return cls(
            positions=Positions.empty(spec, rows),
            rewards=np.empty(rewards_shape(spec, rows), np.float32),
            terminated=np.empty(rows, np.uint8),
            truncated=np.empty(rows, np.uint8),
            info=np.empty(rows, np.uint64),
        )

    def __len__(self) -> int:
        return len(self.rewards)

    def check(self, spec: GameSpec, rows: int) -> None:
        """Raises BadBatch unless these buffers fit `rows` steps of the game."""
        self.positions.check(spec, rows)
        check_column("out.rewards", self.rewards, F32, rewards_shape(spec, rows))
        check_column("out.terminated", self.terminated, U8, (rows,))
        check_column("out.truncated", self.truncated, U8, (rows,))
        check_column("out.info", self.info, U64, (rows,))
