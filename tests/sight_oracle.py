"""Lines of sight by geometry, with fractions: slow, and with no step in common with `games.sight`.

In: a map as rows of text, two cells. Out: whether one sees the other, which cells a cell sees.
Invariant: nothing is rounded.
"""

from __future__ import annotations

import functools
from fractions import Fraction

Interval = tuple[Fraction, Fraction]


def sees(rows: tuple[str, ...], a: int, b: int) -> bool:
    """Whether the segment between the centres of two cells meets no inside of a wall, and no corner of two."""
    width = len(rows[0])
    one, other = divmod(a, width), divmod(b, width)
    # What is outside of the rectangle between the two cells, the segment cannot meet.
    (top, bottom), (left, right) = (sorted((one[axis], other[axis])) for axis in range(2))
    box = [(r, c) for r in range(top, bottom + 1) for c in range(left, right + 1)]
    walls = {(r, c) for r, c in box if rows[r][c] == "#"}
    if any(runs_through(one, other, wall) for wall in walls - {one, other}):
        return False
    corners = [(r, c) for r, c in box if r > top and c > left]
    return not any(touches(one, other, at) and set(beside(one, other, at)) <= walls for at in corners)


@functools.cache
def seen_from(rows: tuple[str, ...], a: int) -> frozenset[int]:
    """Every cell that cell a sees."""
    return frozenset(b for b in range(len(rows) * len(rows[0])) if sees(rows, a, b))


def runs_through(one: tuple[int, int], other: tuple[int, int], cell: tuple[int, int]) -> bool:
    """Whether the open segment between centres has a point in the open square of a cell."""
    low, high = Fraction(0), Fraction(1)
    for axis in range(2):
        # Twice all coordinates: a centre is 2 i + 1, a square goes from 2 i to 2 i + 2.
        start, way = 2 * one[axis] + 1, 2 * (other[axis] - one[axis])
        inside = crossing(start, way, 2 * cell[axis], 2 * cell[axis] + 2)
        if inside is None:
            return False
        low, high = max(low, inside[0]), min(high, inside[1])
    return low < high


def crossing(start: int, way: int, low: int, high: int) -> Interval | None:
    """For which shares t of the way start + t * way lies strictly between low and high."""
    if way == 0:
        return (Fraction(0), Fraction(1)) if low < start < high else None
    ends = Fraction(low - start, way), Fraction(high - start, way)
    return min(ends), max(ends)


def touches(one: tuple[int, int], other: tuple[int, int], corner: tuple[int, int]) -> bool:
    """Whether the corner at the top left of a cell is on the segment."""
    down, across = other[0] - one[0], other[1] - one[1]
    to_down, to_across = 2 * corner[0] - 2 * one[0] - 1, 2 * corner[1] - 2 * one[1] - 1
    on_line = down * to_across == across * to_down
    return on_line and 0 < to_down * down < 2 * down * down


def beside(
    one: tuple[int, int], other: tuple[int, int], corner: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """The two cells at a corner that a segment through it does not enter."""
    r, c = corner
    falling = (other[0] - one[0]) * (other[1] - one[1]) > 0
    return ((r - 1, c), (r, c - 1)) if falling else ((r - 1, c - 1), (r, c))
