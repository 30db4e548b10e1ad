"""Columns of parsed messages as arrays.

Enters: a field's bytes, a row count, a row's size. Leaves: a view of exactly that shape, or a WireError.
Invariant: sizes are compared before anything is made of them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.errors import WireError

SEED_BYTES = 8
CELL_BYTES = 4


def check_size(field: str, nbytes: int, *, count: int, size: int) -> None:
    """Raises WireError unless a column's `nbytes` are those of `count` rows of `size` bytes."""
    if nbytes != count * size:
        raise WireError(f"{field}: {nbytes} bytes; count = {count} rows of {size} bytes need {count * size}")


def rows_of(field: str, data: bytes, *, count: int, size: int) -> npt.NDArray[np.uint8]:
    """A column as u8[count, size], read-only. Raises WireError unless it is `count` rows of `size` bytes."""
    check_size(field, len(data), count=count, size=size)
    return np.frombuffer(data, np.uint8).reshape(count, size)


def seeds_of(field: str, data: bytes, *, count: int) -> npt.NDArray[np.uint64]:
    """A column of seeds as u64[count] of its own. Raises WireError for another size."""
    return rows_of(field, data, count=count, size=SEED_BYTES).view("<u8").reshape(-1).copy()


def cells_of(field: str, data: bytes, *, count: int) -> npt.NDArray[np.uint32]:
    """A column of cells as u32[count] of its own. Raises WireError for another size."""
    return rows_of(field, data, count=count, size=CELL_BYTES).view("<u4").reshape(-1).copy()


def one_row(field: str, data: bytes, size: int) -> npt.NDArray[np.uint8]:
    """One row [1, size] of a call for one. Raises WireError for another size."""
    if len(data) != size:
        raise WireError(f"{field}: {len(data)} bytes; this game's are {size}")
    return rows_of(field, data, count=1, size=size)
