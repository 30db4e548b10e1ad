"""A TransitionChunk's columns as numpy views.

In: a decoded chunk. Out: typed views over its bytes, nothing copied.
Invariant: every column has exactly `count` rows, and one successor a segment; anything else raises BadRecord.

A segment is a run of rows of one episode: row i ends one if row i + 1 belongs to another episode or is not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from streams.errors import BadRecord
from streams.records import TransitionChunk

S = TypeVar("S", bound=np.generic)


@dataclass(frozen=True)
class Columns:
    """Views over one chunk of N rows with K segments."""

    episode: npt.NDArray[np.int64]  # [N]
    step: npt.NDArray[np.int32]  # [N]
    player: npt.NDArray[np.uint8]  # [N]
    state: npt.NDArray[np.uint8]  # [N, S]
    obs: npt.NDArray[np.uint8]  # [N, bytes of an observation]
    action: npt.NDArray[np.uint8]  # [N, A]
    legal_mask: npt.NDArray[np.uint64]  # [N, W]
    reward: npt.NDArray[np.float32]  # [N]
    terminated: npt.NDArray[np.uint8]  # [N]
    truncated: npt.NDArray[np.uint8]  # [N]
    behaviour_log_prob: npt.NDArray[np.float32] | None  # [N]
    time_us: npt.NDArray[np.int64]  # [N]
    segment_end: npt.NDArray[np.bool_]  # [N]
    successor_state: npt.NDArray[np.uint8]  # [K, S]
    successor_obs: npt.NDArray[np.uint8]  # [K, bytes of an observation]
    successor_legal_mask: npt.NDArray[np.uint64]  # [K, W]
    successor_player: npt.NDArray[np.uint8]  # [K]


def columns_of(chunk: TransitionChunk) -> Columns:
    """The columns of `chunk`. Raises BadRecord naming the column that does not fit."""
    rows = chunk.count
    if rows <= 0:
        raise BadRecord(f"count is {rows}: a chunk has at least one row")
    episode = _scalars(chunk, "episode", np.int64)
    segment_end = np.empty(rows, np.bool_)
    segment_end[-1] = True
    np.not_equal(episode[1:], episode[:-1], out=segment_end[:-1])
    segments = int(np.count_nonzero(segment_end))
    state = _rows(chunk, "state", rows)
    obs = _rows(chunk, "obs", rows)
    legal_mask = _masks(chunk, "legal_mask", rows)
    return Columns(
        episode=episode,
        step=_scalars(chunk, "step", np.int32),
        player=_scalars(chunk, "player", np.uint8),
        state=state,
        obs=obs,
        action=_rows(chunk, "action", rows),
        legal_mask=legal_mask,
        reward=_scalars(chunk, "reward", np.float32),
        terminated=_scalars(chunk, "terminated", np.uint8),
        truncated=_scalars(chunk, "truncated", np.uint8),
        behaviour_log_prob=_scalars(chunk, "behaviour_log_prob", np.float32)
        if chunk.behaviour_log_prob
        else None,
        time_us=_scalars(chunk, "time_us", np.int64),
        segment_end=segment_end,
        successor_state=_rows(chunk, "successor_state", segments, width=state.shape[1]),
        successor_obs=_rows(chunk, "successor_obs", segments, width=obs.shape[1]),
        successor_legal_mask=_masks(chunk, "successor_legal_mask", segments, words=legal_mask.shape[1]),
        successor_player=_rows(chunk, "successor_player", segments, width=1).reshape(segments),
    )


def _scalars(chunk: TransitionChunk, name: str, kind: type[S]) -> npt.NDArray[S]:
    column: bytes = getattr(chunk, name)
    expected = chunk.count * np.dtype(kind).itemsize
    if len(column) != expected:
        raise BadRecord(f"column {name} has {len(column)} bytes: {chunk.count} rows need {expected}")
    return np.frombuffer(column, kind)


def _rows(chunk: TransitionChunk, name: str, rows: int, *, width: int | None = None) -> npt.NDArray[np.uint8]:
    column: bytes = getattr(chunk, name)
    if width is None:
        width = len(column) // rows
    if width == 0 or len(column) != rows * width:
        raise BadRecord(
            f"column {name} has {len(column)} bytes: that is not a whole number for each of {rows} rows"
        )
    return np.frombuffer(column, np.uint8).reshape(rows, width)


def _masks(
    chunk: TransitionChunk, name: str, rows: int, *, words: int | None = None
) -> npt.NDArray[np.uint64]:
    column: bytes = getattr(chunk, name)
    if words is None:
        words = len(column) // (8 * rows)
    if len(column) != 8 * rows * words:
        raise BadRecord(
            f"column {name} has {len(column)} bytes: that is not u64 words for each of {rows} rows"
        )
    return np.frombuffer(column, "<u8").reshape(rows, words)
