"""Where the columns of our StepBatchResponses lie.

Enters: a spec and a row count. Leaves: offsets and the bytes between columns. Invariant: the layout depends on
these two only, so an engine writes it once and a client that finds its bytes in place need not parse.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import wire
from games.batch import rewards_shape
from games.spec import GameSpec

SEQUENCE, COUNT, STATES, OBS, REWARDS, TERMINATED, TRUNCATED = range(1, 8)
LEGAL_MASKS, PLAYERS, INFO, FINAL_PLAYERS, FINAL_STATES, FINAL_OBS, FINAL_LEGAL_MASKS = range(8, 15)

# Columns that are two-dimensional however narrow their rows are.
WIDE = frozenset((STATES, OBS, LEGAL_MASKS, FINAL_STATES, FINAL_OBS, FINAL_LEGAL_MASKS))

U1, F4, U8 = np.dtype("u1"), np.dtype("<f4"), np.dtype("<u8")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a message."""

    number: int  # of the field
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int  # in the message

    def view(self, memory: npt.NDArray[np.uint8] | bytes, base: int) -> npt.NDArray[Any]:
        """The column in the message that starts at memory[base]."""
        return np.ndarray(self.shape, self.dtype, memory, base + self.start)


@dataclass(frozen=True, slots=True)
class Layout:
    """Everything of a StepBatchResponse that does not depend on the step."""

    columns: tuple[Column, ...]
    between: tuple[tuple[int, bytes], ...]  # (from, content): numbers, tags, lengths, padding
    stop: int  # where what depends on the step begins

    @classmethod
    def of(cls, spec: GameSpec, count: int) -> Layout:
        """The layout of `count` rows: every column on a multiple of eight bytes, if the message is."""
        columns, between = [], []
        head, at = wire.number_field(COUNT, count), 0
        for number, dtype, width in fixed_columns(spec):
            size = count * width * dtype.itemsize
            head += wire.padding(at + len(head), wire.COLUMN_HEAD) + wire.column_head(number, size)
            between.append((at, head))
            at += len(head)
            columns.append(Column(number, dtype, column_shape(spec, number, rows=count, width=width), at))
            at, head = at + size, b""
        return cls(tuple(columns), tuple(between), at)

    def is_of(self, message: bytes, start: int) -> bool:
        """Whether the message at message[start:] is laid out like this."""
        return all([message.startswith(content, start + at) for at, content in self.between])  # noqa: C419 - faster


def column_shape(spec: GameSpec, number: int, *, rows: int, width: int) -> tuple[int, ...]:
    """Shape of the column of field `number`: [rows, width], or [rows] where a row is one number."""
    if number == REWARDS:
        return rewards_shape(spec, rows)
    return (rows, width) if number in WIDE else (rows,)


def fixed_columns(spec: GameSpec) -> tuple[tuple[int, np.dtype[Any], int], ...]:
    """Field number, dtype and values a row of each column, in the order of our messages: widest first."""
    return (
        (OBS, F4, spec.obs_size),
        (LEGAL_MASKS, U8, spec.mask_words),
        (INFO, U8, 1),
        (REWARDS, F4, spec.reward_width),
        (STATES, U1, spec.state_bytes),
        (TERMINATED, U1, 1),
        (TRUNCATED, U1, 1),
        (PLAYERS, U1, 1),
    )


def final_columns(spec: GameSpec) -> tuple[tuple[int, np.dtype[Any], int], ...]:
    """The same for the columns of the rows that were reset, in the order of `games.batch.Positions`."""
    return (
        (FINAL_STATES, U1, spec.state_bytes),
        (FINAL_OBS, F4, spec.obs_size),
        (FINAL_LEGAL_MASKS, U8, spec.mask_words),
        (FINAL_PLAYERS, U1, 1),
    )


def row_bytes(spec: GameSpec) -> int:
    """Bytes a row of an answer, when every row has ended and was reset."""
    return sum(dtype.itemsize * width for _, dtype, width in fixed_columns(spec) + final_columns(spec))
