"""The arena's maps, and the tables that its rules read: computed once, on first use.

Enters: maps drawn in text. Leaves: `GridMap`s, and tables of all of them together, read-only.
Invariant: every map turned half around is itself, so that neither team has the better side, and all its open cells hang
together by steps of guards.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from games.arena.kernels import BLUE_ZONE, DOWN, LOADOUT_MOVES, OPEN, RANGES, RED_ZONE, RIGHT
from games.maps import GridMap, reach

ZONE = 2  # columns of a team's side of the map, where its agents start

# Number 0 to 3. The corners of diagonal walls let nobody see, and no scout step, through between them.
MAPS = (
    GridMap.parse(
        "pillars",
        """\
...........
..#..#..#..
...........
..#..#..#..
...........
.#...#...#.
...........
..#..#..#..
...........
..#..#..#..
...........""",
    ),
    GridMap.parse(
        "rooms",
        """\
....#......
....#..##..
...........
###.#..#...
....#..#.##
..#.....#..
##.#..#....
...#..#.###
...........
..##..#....
......#....""",
    ),
    GridMap.parse(
        "corridors",
        """\
...........
.####.####.
...........
.#.#####.#.
.#.......#.
...##.##...
.#.......#.
.#.#####.#.
...........
.####.####.
...........""",
    ),
    GridMap.parse(
        "diagonals",
        """\
...........
..#........
...#...##..
....#......
.#.....#...
.#.......#.
...#.....#.
......#....
..##...#...
........#..
...........""",
    ),
)


@dataclass(frozen=True)
class Tables:
    """What the kernels read of all maps. L is the loadout, 0 scout and 1 guard."""

    ground: npt.NDArray[np.uint8]  # [maps, cells], OPEN, RED_ZONE and BLUE_ZONE as bits; 0 is a wall
    moves: npt.NDArray[np.uint64]  # [maps, L, cells], the legal actions that need no target, a bit each
    reach: npt.NDArray[np.uint64]  # [maps, L, cells, W], the set of cells that a shot from a cell reaches
    sight: npt.NDArray[np.uint64]  # [maps, cells, W], the set of cells that a cell sees


@functools.cache
def tables() -> Tables:
    """The tables of MAPS."""
    made = Tables(
        ground=np.stack([_ground(grid_map) for grid_map in MAPS]),
        moves=np.stack([[_moves(grid_map, count) for count in LOADOUT_MOVES] for grid_map in MAPS]),
        reach=np.stack(
            [[grid_map.sight & reach(grid_map.shape, int(radius)) for radius in RANGES] for grid_map in MAPS]
        ),
        sight=np.stack([grid_map.sight for grid_map in MAPS]),
    )
    for table in (made.ground, made.moves, made.reach, made.sight):
        table.flags.writeable = False
    return made


def _ground(grid_map: GridMap) -> npt.NDArray[np.uint8]:
    zones = np.zeros(grid_map.shape, np.uint8)
    zones[:, :ZONE] = RED_ZONE
    zones[:, -ZONE:] = BLUE_ZONE
    return np.where(grid_map.walls, 0, OPEN | zones).astype(np.uint8).reshape(-1)


def _moves(grid_map: GridMap, count: int) -> npt.NDArray[np.uint64]:
    """Bit i of a cell: action i < count is stay, or leads along a line of sight to an open cell of the map."""
    height, width = grid_map.shape
    bits = np.zeros(grid_map.cells, np.uint64)
    for cell in grid_map.open_cells.tolist():
        for action in range(count):
            row, column = cell // width + int(DOWN[action]), cell % width + int(RIGHT[action])
            to = row * width + column
            inside = 0 <= row < height and 0 <= column < width
            if inside and not grid_map.walls[row, column] and grid_map.sees(cell, to):
                bits[cell] |= np.uint64(1 << action)
    return bits
