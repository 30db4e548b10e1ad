"""Lines of sight equal a geometric reference, are symmetric, and turn with the map; what maps compute once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from games import registry
from games.arena.arenas import MAPS
from games.errors import BadBatch, BadSpec, BadState, NotOffered
from games.maps import MAX_CELLS, OUTSIDE, GridMap, frame, pack_sets, reach, unpack_sets
from games.sight import sees, sight_table
from sight_oracle import seen_from
from sight_oracle import sees as sees_by_geometry

Pairs = npt.NDArray[np.bool_]  # [cells, cells]


@st.composite
def drawn_maps(draw: st.DrawFn, *, most: int = 7) -> tuple[str, ...]:
    height, width = draw(st.integers(1, most)), draw(st.integers(1, most))
    row = st.lists(st.sampled_from("...#"), min_size=width, max_size=width).map("".join)
    return tuple(draw(st.lists(row, min_size=height, max_size=height)))


def walls_of(rows: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    return np.array([[cell == "#" for cell in row] for row in rows], np.uint8)


def pairs(walls: npt.NDArray[np.uint8]) -> Pairs:
    return unpack_sets(sight_table(walls), walls.size)


@settings(max_examples=60, deadline=None)
@given(drawn_maps(most=6))
def test_the_table_equals_geometry(rows: tuple[str, ...]) -> None:
    walls = walls_of(rows)
    wanted = [[b in seen_from(rows, a) for b in range(walls.size)] for a in range(walls.size)]
    assert pairs(walls).tolist() == wanted


@pytest.mark.parametrize("grid_map", MAPS, ids=lambda grid_map: grid_map.name)
def test_the_arenas_maps_have_the_sight_of_geometry(grid_map: GridMap) -> None:
    table = unpack_sets(grid_map.sight, grid_map.cells)
    for a in range(0, grid_map.cells, 3):
        assert set(np.flatnonzero(table[a]).tolist()) == seen_from(grid_map.rows, a)


@settings(max_examples=200, deadline=None)
@given(drawn_maps(most=12))
def test_sight_is_symmetric_pair_by_pair(rows: tuple[str, ...]) -> None:
    # The kernel of one pair, both ways: the table traces each pair once and could not show a difference.
    walls = walls_of(rows)
    flat, cells = walls.reshape(-1), walls.size
    both = [[sees(flat, walls.shape[1], a, b) for b in range(cells)] for a in range(cells)]
    assert (np.array(both) == np.array(both).T).all()
    assert (pairs(walls) == np.array(both)).all()


@settings(max_examples=200, deadline=None)
@given(drawn_maps(most=12))
def test_sight_turns_and_mirrors_with_the_map(rows: tuple[str, ...]) -> None:
    walls = walls_of(rows)
    numbers = np.arange(walls.size).reshape(walls.shape)
    seen = pairs(walls)
    for change in (np.flipud, np.fliplr, np.transpose, np.rot90):
        order = np.ascontiguousarray(change(numbers)).reshape(-1)  # new cell -> old cell
        changed = pairs(np.ascontiguousarray(change(walls)))
        assert (changed == seen[np.ix_(order, order)]).all()


@settings(max_examples=100, deadline=None)
@given(drawn_maps(most=10), st.data())
def test_a_wall_more_shows_nothing_more(rows: tuple[str, ...], data: st.DataObject) -> None:
    walls = walls_of(rows)
    more = walls.copy()
    more.reshape(-1)[data.draw(st.integers(0, walls.size - 1))] = 1
    assert not (pairs(more) & ~pairs(walls)).any()


@pytest.mark.parametrize(
    ("drawing", "is_seen"),
    [
        ("A..B", True),
        ("A#.B", False),
        ("A/#/B", False),
        ("A./.B", True),
        ("A#/.B", True),  # past one corner
        ("A./#B", True),
        ("A#/#B", False),  # two walls touch in the corner
        ("A#./#.#/.#B", False),
        ("A../.#./..B", False),
        ("A.#/#.B", True),  # between the two, each on its side
        ("A.../.#.B", True),  # past its upper corner
        ("A../.#B", False),
        ("A..../....B", True),
        ("B.#/..A", True),
        ("A", True),
    ],
)
def test_drawn_cases(drawing: str, is_seen: bool) -> None:
    rows = tuple(drawing.split("/"))
    flat = "".join(rows)
    a = flat.index("A")
    b = flat.index("B") if "B" in flat else a
    bare = tuple(row.replace("A", ".").replace("B", ".") for row in rows)
    assert GridMap("drawing", bare).sees(a, b) is is_seen
    assert sees_by_geometry(bare, a, b) is is_seen


def test_walls_are_seen_and_hide_what_is_behind_them() -> None:
    corridor = GridMap.parse("corridor", "..#.")
    assert [corridor.sees(0, cell) for cell in range(4)] == [True, True, True, False]
    assert [corridor.sees(2, cell) for cell in range(4)] == [True] * 4
    assert [corridor.sees(3, cell) for cell in range(4)] == [False, False, True, True]


def test_a_table_of_more_than_a_word_a_row() -> None:
    hall = GridMap("hall", ("." * 70,) * 2)
    assert hall.sight.shape == (140, 3)
    assert unpack_sets(hall.sight, 140).all()
    assert (hall.sight[:, 2] >> np.uint64(12) == 0).all()  # no bit of a cell that there is not


def test_what_a_map_computes_is_computed_once_and_read_only() -> None:
    grid_map = MAPS[0]
    assert grid_map.sight is grid_map.sight
    assert grid_map.walls is grid_map.walls
    assert frame(grid_map.shape, 2) is frame(grid_map.shape, 2)
    assert reach(grid_map.shape, 2) is reach(grid_map.shape, 2)
    for table in (grid_map.sight, grid_map.walls, grid_map.open_cells, frame((3, 4), 1), reach((3, 4), 1)):
        assert not table.flags.writeable


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 4))
def test_frames_and_reaches_equal_plain_loops(height: int, width: int, radius: int) -> None:
    around, near = frame((height, width), radius), unpack_sets(reach((height, width), radius), height * width)
    for cell in range(height * width):
        r, c = divmod(cell, width)
        wanted = [
            (r + down) * width + c + right if 0 <= r + down < height and 0 <= c + right < width else OUTSIDE
            for down in range(-radius, radius + 1)
            for right in range(-radius, radius + 1)
        ]
        assert around[cell].tolist() == wanted
        assert set(np.flatnonzero(near[cell]).tolist()) == set(wanted) - {OUTSIDE}


@given(st.integers(0, 5), st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_sets_survive_their_packing(rows: int, cells: int, seed: int) -> None:
    member = np.random.default_rng(seed).random((rows, cells)) < 0.5
    sets = pack_sets(member)
    assert sets.shape == (rows, -(-cells // 64))
    assert (unpack_sets(sets, cells) == member).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'odd': give rows of one length"),
        ("..\n.", "'odd': give rows of one length"),
        (".x", "'odd': has 'x'"),
        ("\n".join(["." * 65] * 64), f"'odd': has 4160 cells; give at most {MAX_CELLS}"),
    ],
)
def test_a_map_that_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(BadSpec, match=message):
        GridMap.parse("odd", text)


def test_a_game_answers_what_is_visible_by_its_map() -> None:
    game = registry.get("arena")
    states = np.concatenate(
        [game.reset(np.arange(121, dtype=np.uint64), bytes([number])).states for number in range(len(MAPS))]
    )
    cells = np.tile(np.arange(121, dtype=np.uint32), len(MAPS))
    seen = game.visible(states, cells)
    assert seen.shape == (len(states), 2)
    assert seen.dtype == np.uint64
    assert seen.tobytes() == b"".join(grid_map.sight.tobytes() for grid_map in MAPS)
    per_map = unpack_sets(seen, 121).reshape(len(MAPS), 121, 121)
    assert (per_map == per_map.transpose(0, 2, 1)).all()


def test_a_question_of_sight_that_makes_no_sense_is_refused() -> None:
    game = registry.get("arena")
    states = game.reset(np.zeros(2, np.uint64)).states
    with pytest.raises(BadBatch, match=r"cells\[1\] = 121: the grid has 11 x 11 cells"):
        game.visible(states, np.array([0, 121], np.uint32))
    with pytest.raises(BadBatch, match="cells: is int64"):
        game.visible(states, np.zeros(2, np.int64))
    states[1, 16] = 9
    with pytest.raises(BadState, match=r"states\[1\]"):
        game.visible(states, np.zeros(2, np.uint32))
    other = registry.get("tictactoe")
    with pytest.raises(NotOffered, match="tictactoe"):
        other.visible(other.reset(np.zeros(1, np.uint64)).states, np.zeros(1, np.uint32))
