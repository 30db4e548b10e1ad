"""A TransitionChunk's columns as numpy views.

In: a decoded chunk. Out: typed views over its bytes, nothing copied.
Invariant: every column has exactly `count` rows, and one successor a segment; anything else raises BadRecord.

A segment is a run of rows of one episode: row i ends one if row i + 1 belongs to another episode or is not there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from streams.errors import BadRecord
from streams.records import TransitionChunk

# A run's name is part of object keys and of SQL; the same everywhere.
RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_OBS_FLOATS = re.compile(r"obs:f32x([1-9][0-9]*):v[0-9]+")
_ACTION = re.compile(r"action:(?:discrete|([uf])32x([1-9][0-9]*)):v[0-9]+")
_MOST_AGENTS = 255  # they are numbered by u8

# u32 on the wire; no game has 2**31 actions, and every SQL has this integer.
_I4: np.dtype[np.generic] = np.dtype("<i4")
_F4: np.dtype[np.generic] = np.dtype("<f4")

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
    reward: npt.NDArray[np.float32]  # [N]; [N, agents] where several move at once
    terminated: npt.NDArray[np.uint8]  # [N]
    truncated: npt.NDArray[np.uint8]  # [N]
    behaviour_log_prob: npt.NDArray[np.float32] | None  # [N]
    time_us: npt.NDArray[np.int64]  # [N]
    segment_end: npt.NDArray[np.bool_]  # [N]
    successor_state: npt.NDArray[np.uint8]  # [K, S]
    successor_obs: npt.NDArray[np.uint8]  # [K, bytes of an observation]
    successor_legal_mask: npt.NDArray[np.uint64]  # [K, W]
    successor_player: npt.NDArray[np.uint8]  # [K]


def obs_floats(encoding: str) -> int | None:
    """How many floats an observation of `encoding` has; None if it is not floats."""
    match = _OBS_FLOATS.fullmatch(encoding)
    return int(match[1]) if match else None


@dataclass(frozen=True)
class ActionColumn:
    """How actions of one encoding stand in a shard."""

    name: str  # action, action_tuple, action_vector or action_bytes
    dtype: np.dtype[np.generic] | None  # of each number; None for bytes
    numbers: int  # in one action; 0 for bytes


def action_column(encoding: str) -> ActionColumn:
    """The column of actions of `encoding`: one integer, several, several floats, or bytes that only the game reads."""
    match = _ACTION.fullmatch(encoding)
    if match is None:
        return ActionColumn("action_bytes", None, 0)
    kind, numbers = match.groups()
    if kind is None:
        return ActionColumn("action", _I4, 1)
    name, dtype = ("action_vector", _F4) if kind == "f" else ("action_tuple", _I4)
    return ActionColumn(name, dtype, int(numbers))


def columns_of(chunk: TransitionChunk) -> Columns:
    """The columns of `chunk`. Raises BadRecord naming the column that does not fit."""
    rows = chunk.count
    if rows <= 0:
        raise BadRecord(f"count is {rows}: a chunk has at least one row")
    if not RUN_NAME.fullmatch(chunk.run):  # it becomes part of an object's key
        raise BadRecord(f"run is {chunk.run!r}: a name has letters, digits, - and _, at most 63")
    episode = _scalars(chunk, "episode", np.int64)
    segment_end = np.empty(rows, np.bool_)
    segment_end[-1] = True
    np.not_equal(episode[1:], episode[:-1], out=segment_end[:-1])
    segments = int(np.count_nonzero(segment_end))
    state = _rows(chunk, "state", rows)
    floats = obs_floats(chunk.obs_encoding)
    obs = _rows(chunk, "obs", rows, width=None if floats is None else 4 * floats)
    legal_mask = _masks(chunk, "legal_mask", rows)
    return Columns(
        episode=episode,
        step=_scalars(chunk, "step", np.int32),
        player=_scalars(chunk, "player", np.uint8),
        state=state,
        obs=obs,
        action=_rows(chunk, "action", rows, width=4 * action_column(chunk.action_encoding).numbers or None),
        legal_mask=legal_mask,
        reward=_rewards(chunk),
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


def _rewards(chunk: TransitionChunk) -> npt.NDArray[np.float32]:
    if chunk.agents == 1:
        return _scalars(chunk, "reward", np.float32)
    if not 1 <= chunk.agents <= _MOST_AGENTS:
        raise BadRecord(f"agents is {chunk.agents}: it must be 1 to {_MOST_AGENTS}")
    return _rows(chunk, "reward", chunk.count, width=4 * chunk.agents).view("<f4")


def _rows(chunk: TransitionChunk, name: str, rows: int, *, width: int | None = None) -> npt.NDArray[np.uint8]:
    column: bytes = getattr(chunk, name)
    if width is None:
        width = len(column) // rows
    if width == 0 or len(column) != rows * width:
        need = f"{rows * width}" if width else "a multiple of that"
        raise BadRecord(f"column {name} has {len(column)} bytes: {rows} rows need {need}")
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
