"""Observations of a batch by a plan's tables, in one kernel call.

Enters: state rows, and the tables that `games.observation.plan` made. Leaves: every value of every observer, and which
row named a map that there is not.
Invariant: nothing is allocated, every value of the output is written, and no byte of a state leads outside a table.

A plan is tables of whole numbers, a row a step. A step of views is planes that follow each other: what map and cell
alone decide of them is copied from a template (without one they begin as zeros), then each thing that is seen adds its
mark. Bearings and numbers come after them. A step says where the state keeps what it needs: its first byte (`_AT`), and
whether it has a second (`_WIDE`, 0 or 1). Both are read without asking which it is.

Every value is stored once but for the marks, row after row, so that the output is one stream through the caches.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from games.kernel import kernel

OK = -1
ZERO = 128  # the byte of a template that stands for 0, as values have signs
# Columns of a step of views. TEMPLATE is where its templates begin, or -1; its marks are FIRST to LAST - 1.
AT, COUNT, CELL_AT, CELL_WIDE, TEMPLATE, FIRST, LAST, VIEW = range(8)
# Columns of a mark.
MARK_AT, THING_AT, THING_WIDE, VALUE_AT, VALUE_WIDE, VALUE_OF, WEIGHT = range(7)
# Columns of a bearing, behind AT.
OWN_AT, OWN_WIDE, TO_AT, TO_WIDE, BEARING_VIEW, RADIUS = range(1, 7)
# Columns of a number, behind AT, and its kinds. OF counts the choices of a ONE_OF.
KIND, NUMBER_AT, NUMBER_WIDE, OF = range(1, 5)
PLACE, SHARE, SHARE_LEFT, ONE_OF = range(4)
TO, FROM = range(2)  # rows of a view's frame

# Element types are in the signatures; Any lets elements mix with int in the eyes of the type checker, as in numba's.
U8 = npt.NDArray[Any]
I64 = npt.NDArray[Any]
U64 = npt.NDArray[Any]
F32 = npt.NDArray[Any]


@kernel("none(in u8[2], i64, in i64[2], in f32[2], f32[2])")
def write_numbers(states: U8, row: int, numbers: I64, places: F32, obs: F32) -> None:
    """All that is no view."""
    for step in range(len(numbers)):
        at, kind, of = numbers[step, AT], numbers[step, KIND], numbers[step, OF]
        first, wide = numbers[step, NUMBER_AT], numbers[step, NUMBER_WIDE]
        value = states[row, first] + (wide * states[row, first + wide] << 8)
        if kind == SHARE:
            obs[row, at] = np.float32(value) / np.float32(of)
        elif kind == SHARE_LEFT:
            obs[row, at] = np.float32(of - value) / np.float32(of)
        elif kind == PLACE:
            there = value < len(places)
            obs[row, at] = places[value, 0] if there else np.float32(0)
            obs[row, at + 1] = places[value, 1] if there else np.float32(0)
        else:
            for choice in range(of):
                obs[row, at + choice] = np.float32(choice == value)


@kernel("none(in u8[2], i64, i64, i64, i64, in i64[2], in i64[2], in u64[4], in i64[3], f32[2])")
def write_marks(
    states: U8,
    row: int,
    board: int,
    cell: int,
    step: int,
    views: I64,
    marks: I64,
    seen: U64,
    frames: I64,
    obs: F32,
) -> None:
    """A mark for each thing of a step that its observer, on a cell of the grid, sees."""
    view = views[step, VIEW]
    base = views[step, AT] - frames[view, FROM, cell]
    for mark in range(views[step, FIRST], views[step, LAST]):
        first, wide = marks[mark, THING_AT], marks[mark, THING_WIDE]
        there = states[row, first] + (wide * states[row, first + wide] << 8)
        if there >= frames.shape[2]:
            continue
        if seen[view, board, cell, there >> 6] >> np.uint64(there & 63) & np.uint64(1):
            value = np.float32(marks[mark, WEIGHT])
            if marks[mark, VALUE_OF]:
                first, wide = marks[mark, VALUE_AT], marks[mark, VALUE_WIDE]
                share = states[row, first] + (wide * states[row, first + wide] << 8)
                value = np.float32(marks[mark, WEIGHT] * share) / np.float32(marks[mark, VALUE_OF])
            obs[row, base + marks[mark, MARK_AT] + frames[view, TO, there]] += value


@kernel("none(in u8[2], i64, i64, in i64[2], in u64[4], in i64[2], f32[2])")
def write_bearings(states: U8, row: int, board: int, bearings: I64, seen: U64, grid: I64, obs: F32) -> None:
    """Where the things lie that have a bearing."""
    cells = len(grid)
    for step in range(len(bearings)):
        at, first, wide = bearings[step, AT], bearings[step, OWN_AT], bearings[step, OWN_WIDE]
        own = states[row, first] + (wide * states[row, first + wide] << 8)
        first, wide = bearings[step, TO_AT], bearings[step, TO_WIDE]
        there = states[row, first] + (wide * states[row, first + wide] << 8)
        shown, down, right = 0, 0, 0
        if own < cells and there < cells:
            word = seen[bearings[step, BEARING_VIEW], board, own, there >> 6]
            if word >> np.uint64(there & 63) & np.uint64(1):
                shown, down, right = 1, grid[there, 0] - grid[own, 0], grid[there, 1] - grid[own, 1]
        radius = np.float32(bearings[step, RADIUS])
        obs[row, at] = np.float32(shown)
        obs[row, at + 1] = np.float32(down) / radius
        obs[row, at + 2] = np.float32(right) / radius


@kernel(
    "i64(in u8[2], i64, in i64[2], in i64[2], in i64[2], in i64[2], in u8[1], in u64[4], in i64[3], in i64[2], "
    "in f32[2], f32[2])"
)
def write(
    states: U8,
    map_at: int,
    views: I64,
    marks: I64,
    bearings: I64,
    numbers: I64,
    templates: U8,
    seen: U64,
    frames: I64,
    grid: I64,
    places: F32,
    obs: F32,
) -> int:
    """Every observer's values of every row; OK, or the first row whose map's number is too high.

    Args:
        states: u8[N, S].
        map_at: the byte with the map's number, or -1 if there is one map only.
        views: i64[steps, 8], columns AT to VIEW.
        marks: i64[marks, 7], columns MARK_AT (within the step's planes) to WEIGHT; VALUE_OF 0 is a mark of WEIGHT.
        bearings: i64[steps, 7], columns AT to RADIUS.
        numbers: i64[steps, 5], columns AT to OF.
        templates: u8[...], one after the other: [maps, cells, values], ZERO more than what they stand for.
        seen: u64[views, maps, cells, ceil(cells / 64)]: the set of cells that a view from a cell shows.
        frames: i64[views, 2, cells]: a seen cell `to` lies in the plane from `cell` at TO[to] - FROM[cell].
        grid: i64[cells, 2], a cell's row and column.
        places: f32[cells, 2], what a PLACE writes.
        obs: f32[N, O].
    """
    cells = frames.shape[2]
    for row in range(len(states)):
        board: Any = np.int64(states[row, map_at]) if map_at >= 0 else np.int64(0)
        if board >= seen.shape[1]:
            return row
        for step in range(len(views)):
            count = views[step, COUNT]
            first, wide = views[step, CELL_AT], views[step, CELL_WIDE]
            cell = states[row, first] + (wide * states[row, first + wide] << 8)
            # Slices, as LLVM makes wide loads and stores of a loop over them.
            target = obs[row, views[step, AT] : views[step, AT] + count]
            if views[step, TEMPLATE] >= 0 and cell < cells:
                first = views[step, TEMPLATE] + (board * cells + cell) * count
                source = templates[first : first + count]
                for i in range(count):
                    target[i] = np.float32(source[i]) - np.float32(ZERO)
            else:
                for i in range(count):
                    target[i] = 0
            if cell < cells:
                write_marks(states, row, board, cell, step, views, marks, seen, frames, obs)
        write_bearings(states, row, board, bearings, seen, grid, obs)
        write_numbers(states, row, numbers, places, obs)
    return OK
