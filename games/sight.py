"""Lines of sight on a grid: which cell can be seen from which, in whole numbers.

Enters: the walls of a grid. Leaves: whether one cell sees another, or a table of all pairs, a bit each.
Invariant: a sees b exactly if b sees a, and a grid that is turned or mirrored has the turned or mirrored sight.

The line is the straight segment between the centres of the two cells. Cell a sees cell b unless

1. the segment runs through the inside of a wall between them, or
2. it runs exactly through a corner where two walls touch each other, one on either side of it.

The two ends are not looked at: so a wall is seen (what is behind it is not), and a cell sees itself. A segment that
touches the corner of one wall passes it.

Both conditions speak of the segment as a set of points, which has no direction, and of nothing else: that is why sight
is symmetric, and why it turns with the grid. A line rasterised by Bresenham (1965) depends on the end that it is drawn
from. The cells that the segment runs through are met in order, after Amanatides and Woo (1987): with c columns and r
rows to cross, border number i between columns (from 0) is met at (2 i + 1) / (2 c) of the way, border number j between
rows at (2 j + 1) / (2 r). The two are compared as (2 i + 1) * r and (2 j + 1) * c, so nothing is ever rounded; equal
means a corner.

    >>> walls = np.array([[0, 0, 0], [0, 1, 0]], np.uint8)
    >>> [bin(int(row[0])) for row in sight_table(walls)[[0, 3]]]  # cell 0 sees all but cell 5, cell 3 sees 0, 1, 3, 4
    ['0b11111', '0b11011']
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from games.kernel import kernel

WORD_BITS = 64

# Element types are in the signatures; Any lets elements mix with int in the eyes of the type checker, as in numba's.
U8 = npt.NDArray[Any]
U64 = npt.NDArray[Any]


def words_of(cells: int) -> int:
    """u64 words of a set of cells: bit (c % 64) of word c // 64 is cell c."""
    return -(-cells // WORD_BITS)


def sight_table(walls: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint64]:
    """All pairs of cells that see each other.

    Args:
        walls: u8[height, width], not 0 where a wall is.

    Returns:
        u64[cells, ceil(cells / 64)], cells = height * width in row-major order: bit (b % 64) of word b // 64 of row a
        says that a sees b. Read-only.
    """
    table = np.zeros((walls.size, words_of(walls.size)), np.uint64)
    fill_table(np.ascontiguousarray(walls, np.uint8).reshape(-1), walls.shape[1], table)
    table.flags.writeable = False
    return table


@kernel("i64(in u8[1], i64, i64, i64)")
def sees(walls: U8, width: int, a: int, b: int) -> int:
    """1 exactly if cell a sees cell b, both of the grid of these walls and that width."""
    if a == b:
        return 1
    row, column = a // width, a % width
    down, across = b // width - row, b % width - column
    rows, columns = abs(down), abs(across)
    step_down = 1 if down > 0 else -1
    step_across = 1 if across > 0 else -1
    i, j = 0, 0  # borders behind us: between columns, between rows
    while True:
        lead = (2 * i + 1) * rows - (2 * j + 1) * columns
        if (
            lead == 0
            and walls[row * width + column + step_across]
            and walls[(row + step_down) * width + column]
        ):
            return 0
        if lead <= 0:
            column += step_across
            i += 1
        if lead >= 0:
            row += step_down
            j += 1
        if i >= columns and j >= rows:
            return 1
        if walls[row * width + column]:
            return 0


@kernel("none(in u8[1], i64, u64[2])")
def fill_table(walls: U8, width: int, table: U64) -> None:
    """`sight_table` into zeros; each pair is traced once."""
    one = np.uint64(1)
    for a in range(len(walls)):
        table[a, a // 64] |= one << np.uint64(a % 64)
        for b in range(a):
            if sees(walls, width, a, b):
                table[a, b // 64] |= one << np.uint64(b % 64)
                table[b, a // 64] |= one << np.uint64(a % 64)
