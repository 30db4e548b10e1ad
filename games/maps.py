"""Maps: the walls of a grid, and what can be computed from them once.

Enters: a map drawn in text. Leaves: walls, cells in their canonical order, lines of sight, frames of views.
Invariant: cells are numbered row by row from the top left, and whatever follows from a map is computed once and then
shared, read-only.

    >>> pit = GridMap.parse("pit", "...\\n.#.")
    >>> pit.shape, pit.open_cells.tolist()
    ((2, 3), [0, 1, 2, 3, 5])
    >>> pit.sees(3, 5), pit.sees(0, 2)
    (False, True)
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from games.errors import BadSpec
from games.sight import WORD_BITS, sight_table

WALL, FLOOR = "#", "."
MAX_CELLS = 4_096  # the table of sight has a bit a pair: 2 MiB at most
T = TypeVar("T", bound=np.generic)

OUTSIDE = -1  # in a frame: no cell of the grid


@dataclass(frozen=True)
class GridMap:
    """A rectangle of cells, each open or a wall. Beyond its edge is nothing, as if walled.

    Attributes:
        name: for people.
        rows: one line of WALL and FLOOR a row, all of one length.
    """

    name: str
    rows: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.rows or not self.rows[0] or len(set(map(len, self.rows))) > 1:
            raise BadSpec(f"map {self.name!r}: give rows of one length, at least one cell")
        if self.cells > MAX_CELLS:
            raise BadSpec(f"map {self.name!r}: has {self.cells} cells; give at most {MAX_CELLS}")
        strange = set("".join(self.rows)) - {WALL, FLOOR}
        if strange:
            raise BadSpec(f"map {self.name!r}: has {min(strange)!r}; draw it with {WALL!r} and {FLOOR!r}")

    @classmethod
    def parse(cls, name: str, text: str) -> GridMap:
        """A map from its rows as lines of text, without a line above or below.

        Raises:
            BadSpec: rows differ in length, there are none, or a character is neither WALL nor FLOOR.
        """
        return cls(name, tuple(text.split("\n")))

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return len(self.rows), len(self.rows[0])

    @property
    def cells(self) -> int:
        """How many cells there are, walls included."""
        return len(self.rows) * len(self.rows[0])

    @cached_property
    def walls(self) -> npt.NDArray[np.uint8]:
        """u8[height, width], 1 where a wall is."""
        return _frozen(np.array([[cell == WALL for cell in row] for row in self.rows], np.uint8))

    @cached_property
    def open_cells(self) -> npt.NDArray[np.int64]:
        """i64[open cells], the numbers of those that are no walls, rising."""
        return _frozen(np.flatnonzero(self.walls.reshape(-1) == 0))

    @cached_property
    def sight(self) -> npt.NDArray[np.uint64]:
        """u64[cells, ceil(cells / 64)], a set of cells a row: those that the row's cell sees (`games.sight`)."""
        return sight_table(self.walls)

    def sees(self, a: int, b: int) -> bool:
        """Whether cell a sees cell b; symmetric."""
        return bool(int(self.sight[a, b // WORD_BITS]) >> b % WORD_BITS & 1)


@functools.cache
def reach(shape: tuple[int, int], radius: int) -> npt.NDArray[np.uint64]:
    """Sets of cells within a radius: u64[cells, ceil(cells / 64)], a set a row, as in `GridMap.sight`.

    The distance of two cells is the larger of their distances in rows and in columns.
    """
    rows, columns = (abs(np.subtract.outer(np.arange(n), np.arange(n))) <= radius for n in shape)
    return _frozen(pack_sets(np.kron(rows, columns)))


@functools.cache
def frame(shape: tuple[int, int], radius: int) -> npt.NDArray[np.int32]:
    """The cells of a view that is centred on a cell, in the view's own row-major order.

    Returns:
        i32[cells, (2 * radius + 1) ** 2]: for each cell in the middle, the cells around it, OUTSIDE off the grid.
    """
    height, width = shape
    row, column = (axis.reshape(-1, 1) for axis in np.indices(shape, np.int32))
    down, across = (
        axis.reshape(1, -1) - radius for axis in np.indices((2 * radius + 1, 2 * radius + 1), np.int32)
    )
    row, column = row + down, column + across
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return _frozen(np.where(inside, row * width + column, np.int32(OUTSIDE)))


def pack_sets(member: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """bool[N, cells] as sets, u64[N, ceil(cells / 64)]."""
    rows, cells = member.shape
    padded = np.zeros((rows, -(-cells // WORD_BITS) * WORD_BITS), np.bool_)
    padded[:, :cells] = member
    return np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64)


def unpack_sets(sets: npt.NDArray[np.uint64], cells: int) -> npt.NDArray[np.bool_]:
    """The inverse of `pack_sets`: u64[N, W] as bool[N, cells]."""
    little = np.ascontiguousarray(sets, "<u8").view(np.uint8)
    return np.unpackbits(little, axis=1, count=cells, bitorder="little").view(np.bool_)


def _frozen(array: npt.NDArray[T]) -> npt.NDArray[T]:
    array.flags.writeable = False
    return array
