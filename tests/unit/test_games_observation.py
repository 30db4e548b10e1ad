"""Observation plans equal a plain-Python reference, whatever the specs, maps and bytes; and allocate nothing."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from games import registry
from games.arena.arenas import MAPS
from games.arena.loadouts import observer, plan
from games.arena.state import STATE_BYTES
from games.batch import Outcomes
from games.errors import BadBatch, BadSpec, BadState
from games.maps import GridMap
from games.observation.plan import ObservationPlan
from games.observation.spec import (
    Bearing,
    Field,
    Number,
    ObservationSpec,
    Observer,
    OneOf,
    Part,
    Place,
    Sum,
    Thing,
    View,
)
from observation_oracle import values

ROOT = Path(__file__).resolve().parents[2]
BYTES = 8
PIT = GridMap.parse("pit", "...\n.#.")
SPEC = ObservationSpec((View(("seen",), radius=1),))
FIELDS = st.builds(Field, st.integers(0, BYTES - 2), st.sampled_from([1, 2]))
THINGS = st.builds(Thing, FIELDS, st.none() | FIELDS, st.integers(1, 300))
GROUPS = ("allies", "opponents", "flags")


NAMES = st.sampled_from(["seen", "walls", *GROUPS])
WEIGHTS = st.integers(-20, 20).filter(bool)
SUMS = st.lists(st.tuples(NAMES, WEIGHTS), min_size=1, max_size=5, unique_by=lambda term: term[0]).map(
    lambda terms: Sum(tuple(terms))
)


@st.composite
def views(draw: st.DrawFn) -> View:
    planes = draw(st.lists(NAMES | SUMS, min_size=1, max_size=5, unique=True))
    centred = draw(st.booleans())
    radius = draw(st.integers(0, 3) if centred else st.none() | st.integers(0, 3))
    return View(tuple(planes), radius=radius, centred=centred, sight=draw(st.booleans()))


NUMBERS = st.builds(Number, st.just("n"), of=st.integers(1, 300), left=st.booleans())
CHOICES = st.builds(OneOf, st.just("n"), choices=st.integers(1, 6))
BEARINGS = st.builds(Bearing, st.just("home"), radius=st.integers(1, 4), sight=st.booleans())
PARTS: st.SearchStrategy[Part] = st.one_of(views(), BEARINGS, st.just(Place()), NUMBERS, CHOICES)
SPECS = st.lists(PARTS, min_size=1, max_size=4).map(lambda parts: ObservationSpec(tuple(parts)))
OBSERVERS = st.builds(
    Observer,
    SPECS,
    FIELDS,
    st.fixed_dictionaries(
        {name: st.lists(THINGS, max_size=3).map(tuple) for name in GROUPS} | {"home": st.tuples(THINGS)}
    ),
    st.fixed_dictionaries({"n": FIELDS}),
)


@st.composite
def map_sets(draw: st.DrawFn) -> tuple[GridMap, ...]:
    height, width = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    row = st.lists(st.sampled_from("...#"), min_size=width, max_size=width).map("".join)
    rows = st.lists(row, min_size=height, max_size=height).map(tuple)
    drawn = draw(st.lists(rows, min_size=1, max_size=3))
    return tuple(GridMap(f"map {number}", text) for number, text in enumerate(drawn))


@settings(max_examples=150, deadline=None)
@given(st.lists(OBSERVERS, min_size=1, max_size=4), map_sets(), st.integers(0, 2**32 - 1))
def test_every_plan_equals_the_reference(
    observers: list[Observer], maps: tuple[GridMap, ...], seed: int
) -> None:
    # Cells on the grid mostly, and bytes of any value: a state may say whatever it likes.
    generator = np.random.default_rng(seed)
    states = generator.integers(0, maps[0].cells + 2, (12, BYTES)).astype(np.uint8)
    states[::3] = generator.integers(0, 256, states[::3].shape)
    states[:, 1::2] *= generator.integers(0, 2, (12, 1), np.uint8)
    states[:, 7] = generator.integers(0, len(maps), 12)
    made = ObservationPlan(tuple(observers), maps, state_bytes=BYTES, map_at=7)
    obs = np.full((12, made.size), np.nan, np.float32)
    made.write(states, obs)
    for row, state in enumerate(map(bytes, states)):
        for one, part in zip(observers, made.slices, strict=True):
            wanted = np.array(values(one, maps[state[7]].rows, state), np.float32)
            assert obs[row, part].tolist() == wanted.tolist()


def test_slices_follow_each_other_and_sizes_agree() -> None:
    made = plan()
    sizes = [observer(agent).spec.size((11, 11)) for agent in range(4)]
    assert [part.stop - part.start for part in made.slices] == sizes
    assert [made.slices[0].start, *(part.stop for part in made.slices)] == np.cumsum([0, *sizes]).tolist()
    assert made.size == registry.get("arena").spec.obs_size


def test_observers_of_one_loadout_share_their_tables() -> None:
    alone = ObservationPlan((observer(0),), MAPS, state_bytes=STATE_BYTES, map_at=16)
    together = ObservationPlan((observer(0), observer(2)), MAPS, state_bytes=STATE_BYTES, map_at=16)
    assert together._tables.templates.nbytes == alone._tables.templates.nbytes
    assert together._tables.seen.nbytes == alone._tables.seen.nbytes


def arena_rows(rows: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    states = registry.get("arena").reset(np.arange(rows, dtype=np.uint64)).states
    return states, np.zeros((rows, plan().size), np.float32)


def test_a_row_is_observed_alike_in_any_batch() -> None:
    states, obs = arena_rows(64)
    plan().write(states, obs)
    for row in range(64):
        alone = np.zeros((1, plan().size), np.float32)
        plan().write(states[row : row + 1], alone)
        assert alone.tobytes() == obs[row].tobytes()


@pytest.mark.parametrize("rows", [1, 4096])
def test_a_call_allocates_nothing(rows: int) -> None:
    states, obs = arena_rows(rows)
    made, address = plan(), obs.ctypes.data
    made.write(states, obs)
    tracemalloc.start()
    try:
        made.write(states, obs)
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        made.write(states, obs)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Python's own small objects of a call (shapes, flags, integers), however many rows; numpy traces its buffers here.
    assert peak - before < 2_000
    assert obs.ctypes.data == address


def test_the_kernel_asks_for_no_memory() -> None:
    runtime = importlib.import_module("numba.core.runtime")

    def asked(call: Callable[[], object]) -> int:
        call()
        runtime._nrt_python.memsys_enable_stats()
        try:
            before = runtime.rtsys.get_allocation_stats().alloc
            call()
            return int(runtime.rtsys.get_allocation_stats().alloc - before)
        finally:
            runtime._nrt_python.memsys_disable_stats()

    made, game = plan(), registry.get("arena")
    for rows in (1, 512):
        states, obs = arena_rows(rows)
        out, actions = Outcomes.empty(game.spec, rows), np.zeros((rows, 16), np.uint8)
        # Numba wraps each array that it is given: states, nine tables, obs. The kernel adds none.
        assert asked(partial(made.write, states, obs)) == 11
        # That of the rules has twelve, and two of its own: it counts.
        assert asked(partial(game.step, states, actions, out=out)) == 11 + 12 + 2


def test_planes_add_up_by_weight_and_a_bearing_points() -> None:
    # Of the cells 0 to 5, the observer stands on 3; 4 is a wall that hides 2 and 5.
    things = {name: (Thing(Field(at)),) for name, at in (("likes", 1), ("dislikes", 2), ("home", 3))}
    mixed = Sum.of(seen=3, walls=-5, likes=2, dislikes=-1)
    spec = ObservationSpec((View((mixed,), centred=False), Bearing("home", radius=2)))
    made = ObservationPlan((Observer(spec, Field(0), things),), (PIT,), state_bytes=4)
    obs = np.empty((3, made.size), np.float32)
    # Home is above to the right, then behind the wall, then off the grid.
    made.write(np.array([[3, 0, 0, 1], [3, 0, 9, 5], [3, 5, 1, 6]], np.uint8), obs)
    assert obs.tolist() == [
        [4, 3, 0, 3, -2, 0, 1, -0.5, 0.5],
        [5, 3, 0, 3, -2, 0, 0, 0, 0],
        [3, 2, 0, 3, -2, 0, 0, 0, 0],
    ]


def test_an_observer_that_is_nowhere_sees_nothing() -> None:
    states, obs = arena_rows(1)
    states[0, 20], states[0, 24] = 255, 0
    plan().write(states, obs)
    part = obs[0, plan().slices[0]]
    assert not part[:-2].any()
    assert part[-1] == 1  # the steps left are known to all


@pytest.mark.parametrize(
    ("states", "obs", "message"),
    [
        (np.zeros((2, 7), np.uint8), np.zeros((2, 9), np.float32), r"states: is uint8\[2, 7\]"),
        (np.zeros((2, 8), np.int8), np.zeros((2, 9), np.float32), "states: is int8"),
        (np.zeros((2, 8), np.uint8), np.zeros((2, 8), np.float32), r"obs: is float32\[2, 8\]"),
        (np.zeros((2, 8), np.uint8), np.zeros((1, 9), np.float32), r"obs: is float32\[1, 9\]"),
        (np.zeros((2, 8), np.uint8), np.zeros((2, 18), np.float32)[:, ::2], "obs: .* not contiguous"),
    ],
)
def test_arrays_of_another_kind_are_refused(
    states: npt.NDArray[np.uint8], obs: npt.NDArray[np.float32], message: str
) -> None:
    made = ObservationPlan((Observer(SPEC, Field(0)),), (PIT,), state_bytes=8)
    with pytest.raises(BadBatch, match=message):
        made.write(states, obs)


def test_a_map_that_there_is_not_is_refused_with_its_row() -> None:
    made = ObservationPlan((Observer(SPEC, Field(0)),), (PIT, PIT), state_bytes=2, map_at=1)
    with pytest.raises(BadState, match=r"states\[1\] = 0x0002: map 2 is none of the 2 from 0"):
        made.write(np.array([[0, 1], [0, 2]], np.uint8), np.zeros((2, 9), np.float32))


HUGE = GridMap("huge", ("." * 64,) * 64)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: View(()), "planes"),
        (lambda: View(("seen", "seen"), radius=1), "planes"),
        (lambda: View(("seen",)), "needs one"),
        (lambda: View(("seen",), radius=-1), "radius = -1"),
        (lambda: View(("seen",), radius=128), "radius = 128"),
        (lambda: Sum(()), "at least one"),
        (lambda: Sum((("seen", 1), ("seen", 2))), "each name once"),
        (lambda: Sum.of(seen=0), "other than 0"),
        (lambda: Sum.of(seen=100, walls=-28), "up to 127"),
        (lambda: Bearing("flag", radius=0), "radius = 0"),
        (lambda: Bearing("flag", radius=128), "radius = 128"),
        (lambda: Observer(ObservationSpec((View((Sum.of(foes=1),), radius=1),)), Field(0)), "'foes'"),
        (lambda: Observer(ObservationSpec((Bearing("flag", radius=1),)), Field(0)), "'flag' of one thing"),
        (
            lambda: Observer(
                ObservationSpec((Bearing("flag", radius=1),)), Field(0), {"flag": (Thing(Field(0)),) * 2}
            ),
            "'flag' of one thing",
        ),
        (lambda: Number("n", of=0), "of = 0"),
        (lambda: OneOf("n", choices=0), "choices = 0"),
        (lambda: Thing(Field(0), of=0), "of = 0"),
        (lambda: Field(-1), "at = -1"),
        (lambda: Field(0, 4), "size = 4"),
        (lambda: ObservationSpec(()), "parts"),
        (lambda: Observer(ObservationSpec((View(("foes",), radius=1),)), Field(0)), "'foes'"),
        (lambda: Observer(ObservationSpec((Number("n", of=1),)), Field(0)), "'n'"),
        (lambda: ObservationPlan((), (PIT,), state_bytes=1), "0 observers"),
        (lambda: ObservationPlan((Observer(SPEC, Field(0)),), (), state_bytes=1), "0 maps"),
        (lambda: ObservationPlan((Observer(SPEC, Field(0)),), (PIT, PIT), state_bytes=1), "map_at = None"),
        (lambda: ObservationPlan((Observer(SPEC, Field(0)),), (PIT, HUGE), state_bytes=1, map_at=0), "shape"),
        (lambda: ObservationPlan((Observer(SPEC, Field(1)),), (PIT,), state_bytes=1), "1 bytes"),
        (lambda: ObservationPlan((Observer(SPEC, Field(0, 2)),), (PIT,), state_bytes=1), "1 bytes"),
        (lambda: ObservationPlan((Observer(SPEC, Field(0)),), (PIT,), state_bytes=1, map_at=1), "1 bytes"),
        (
            lambda: ObservationPlan(
                (Observer(ObservationSpec((View(("seen",), radius=127),)), Field(0)),), (HUGE,), state_bytes=1
            ),
            "give smaller maps or views",
        ),
    ],
)
def test_a_plan_that_cannot_be_is_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(BadSpec, match=message):
        make()


def bench(*arguments: str) -> str:
    command = [sys.executable, str(ROOT / "bench" / "observation.py"), "--seconds", "0.01", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def test_the_benchmark_measures_every_size() -> None:
    results = json.loads(bench("--json", "--environments", "1", "64"))
    assert [(result["call"], result["environments"]) for result in results] == [
        ("observe", 1),
        ("observe", 64),
        ("step", 1),
        ("step", 64),
    ]
    assert all(result["ns_per_environment"] > 0 for result in results)
    head, row = bench("--calls", "observe", "--environments", "4").splitlines()
    assert head.split() == ["call", "environments", "ns/environment", "environments/s", "GB/s"]
    assert row.split()[:2] == ["observe", "4"]
