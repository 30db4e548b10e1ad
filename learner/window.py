"""The replay window: the newest transitions of a run as aligned columns in memory. Pure.

In: batches of transitions. Out: gathers by index.
Invariant: row i of every column is one transition; when full, the oldest rows make room.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from learner import kernels


@dataclass(frozen=True)
class Transitions:
    """N transitions in columns, N being rows of an insert or of a mini-batch."""

    obs: npt.NDArray[np.float32]  # [N, O]
    action: npt.NDArray[np.int64]  # [N]
    reward: npt.NDArray[np.float32]  # [N]
    terminated: npt.NDArray[np.uint8]  # [N]
    next_obs: npt.NDArray[np.float32]  # [N, O]
    next_mask: npt.NDArray[np.uint64]  # [N, W]; all 0 after a terminal step
    same_player: npt.NDArray[np.uint8]  # [N]; 1 if who acts next is who acted
    log_partition: npt.NDArray[np.int32]  # [N]
    log_offset: npt.NDArray[np.int64]  # [N]
    log_row: npt.NDArray[np.int32]  # [N]

    def __len__(self) -> int:
        return len(self.action)

    @classmethod
    def empty(cls, rows: int, *, obs_floats: int, mask_words: int) -> Transitions:
        """Room for `rows` transitions."""
        return cls(
            obs=np.empty((rows, obs_floats), np.float32),
            action=np.empty(rows, np.int64),
            reward=np.empty(rows, np.float32),
            terminated=np.empty(rows, np.uint8),
            next_obs=np.empty((rows, obs_floats), np.float32),
            next_mask=np.empty((rows, mask_words), np.uint64),
            same_player=np.empty(rows, np.uint8),
            log_partition=np.empty(rows, np.int32),
            log_offset=np.empty(rows, np.int64),
            log_row=np.empty(rows, np.int32),
        )

    def columns(self) -> list[npt.NDArray[np.generic]]:
        """The columns in the order of the fields."""
        return [getattr(self, column.name) for column in fields(self)]


class ReplayWindow:
    """A ring of at most `capacity` transitions."""

    def __init__(self, *, capacity: int, obs_floats: int, mask_words: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity is {capacity}: it must be at least 1")
        self.capacity = capacity
        self._ring = Transitions.empty(capacity, obs_floats=obs_floats, mask_words=mask_words)
        self._next = 0
        self.rows = 0

    def insert(self, batch: Transitions) -> None:
        """Adds `batch`; if it is larger than the window, its last rows."""
        start = max(0, len(batch) - self.capacity)
        while start < len(batch):
            count = min(len(batch) - start, self.capacity - self._next)
            for ring, column in zip(self._ring.columns(), batch.columns(), strict=True):
                ring[self._next : self._next + count] = column[start : start + count]
            self._next = (self._next + count) % self.capacity
            self.rows = min(self.rows + count, self.capacity)
            start += count

    def gather(self, index: npt.NDArray[np.int64], out: Transitions) -> Transitions:
        """Copies the transitions at `index` i64[B], each below `rows`, into `out`. Returns `out`."""
        ring = self._ring
        kernels.gather_floats(ring.obs, index, out.obs)
        kernels.gather_floats(ring.next_obs, index, out.next_obs)
        for source, target in zip(ring.columns(), out.columns(), strict=True):
            if source is not ring.obs and source is not ring.next_obs:
                np.take(source, index, axis=0, out=target, mode="clip")
        return out
