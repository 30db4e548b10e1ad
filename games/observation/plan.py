"""A plan: observers of any loadouts, over maps of one shape, compiled to tables once and run on whole batches.

Enters: observers, maps, the size of a state; then state rows. Leaves: the joint observation, each observer's values one
after the other.
Invariant: a plan is made once and never changes; writing a batch is one kernel call that allocates nothing.

    >>> from games.maps import GridMap
    >>> from games.observation.spec import Field, Number, ObservationSpec, Observer, View
    >>> spec = ObservationSpec((View(("seen", "walls"), radius=1), Number("health", of=4)))
    >>> agent = Observer(spec, cell=Field(0), numbers={"health": Field(1)})
    >>> plan = ObservationPlan((agent,), (GridMap.parse("pit", "...\\n.#."),), state_bytes=2)
    >>> obs = np.empty((1, plan.size), np.float32)
    >>> plan.write(np.array([[1, 3]], np.uint8), obs)
    >>> obs.tolist()
    [[0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.75]]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import groupby

import numpy as np
import numpy.typing as npt

from games.batch import F32, U8, check_column
from games.errors import BadSpec, BadState
from games.maps import OUTSIDE, GridMap, frame, pack_sets, reach, unpack_sets
from games.observation import kernels
from games.observation.spec import (
    SEEN,
    WALLS,
    Bearing,
    Field,
    Number,
    Observer,
    OneOf,
    Part,
    Place,
    Sum,
    Thing,
    View,
    terms,
)
from games.sight import words_of

TEMPLATE_BYTES = 2**26  # most that the templates of all views may take, a byte a cell of a view

_FIXED = {SEEN, WALLS}


class ObservationPlan:
    """What several observers see of a state, for batches of any size.

    Attributes:
        size: O, values of the joint observation.
        slices: where each observer's values lie in it, in the order of the observers.
    """

    def __init__(
        self,
        observers: tuple[Observer, ...],
        maps: tuple[GridMap, ...],
        *,
        state_bytes: int,
        map_at: int | None = None,
    ) -> None:
        """
        Args:
            observers: at least one.
            maps: at least one, all of one shape.
            state_bytes: S, size of a state row.
            map_at: the byte of a state that has the number of its map; needed for more than one.

        Raises:
            BadSpec: an observer looks past the end of a state, maps differ in shape, or tables would be too large.
        """
        _check(observers, maps, state_bytes, map_at)
        self.state_bytes = state_bytes
        self._maps = maps
        self._grid = maps[0].shape
        self._map_at = -1 if map_at is None else map_at
        self._views: dict[tuple[int | None, bool, bool], int] = {}
        self._seen: list[npt.NDArray[np.uint64]] = []
        self._frames: list[npt.NDArray[np.int64]] = []
        self._templates: dict[tuple[tuple[str | Sum, ...], int | None, bool, bool], int] = {}
        self._blocks: list[npt.NDArray[np.uint8]] = [np.zeros(0, np.uint8)]
        self._steps: list[list[int]] = []
        self._marks: list[list[int]] = []
        self._bearings: list[list[int]] = []
        self._numbers: list[list[int]] = []
        self.slices = tuple(self._compile(observers))
        self.size = self.slices[-1].stop
        self._tables = self._freeze()

    def write(self, states: npt.NDArray[np.uint8], obs: npt.NDArray[np.float32]) -> None:
        """The joint observation of every row.

        Args:
            states: u8[N, S].
            obs: f32[N, O], written whole; must not overlap `states`.

        Raises:
            BadBatch: an array is not as said above.
            BadState: a row names a map that there is not; `obs` is undefined then.
        """
        check_column("states", states, U8, (len(states), self.state_bytes))
        check_column("obs", obs, F32, (len(states), self.size))
        tables = self._tables
        refused = kernels.write(
            states,
            self._map_at,
            tables.views,
            tables.marks,
            tables.bearings,
            tables.numbers,
            tables.templates,
            tables.seen,
            tables.frames,
            tables.grid,
            tables.places,
            obs,
        )
        if refused != kernels.OK:
            number = int(states[refused, self._map_at])
            raise BadState(
                refused, states[refused].tobytes(), f"map {number} is none of the {len(self._maps)} from 0"
            )

    def _compile(self, observers: tuple[Observer, ...]) -> Iterator[slice]:
        """Fill the lists of steps and marks; where each observer's values lie."""
        at = 0
        for observer in observers:
            start = at
            for part in observer.spec.parts:
                self._add(observer, part, at)
                at += part.size(self._grid)
            yield slice(start, at)

    def _add(self, observer: Observer, part: Part, at: int) -> None:
        match part:
            case View():
                self._add_view(observer, part, at)
            case Bearing():
                (thing,) = observer.things[part.name]
                view = self._view(View((SEEN,), radius=part.radius, sight=part.sight))
                cells = [field for cell in (observer.cell, thing.cell) for field in (cell.at, cell.size - 1)]
                self._bearings.append([at, *cells, view, part.radius])
            case Place():
                self._numbers.append([at, kernels.PLACE, observer.cell.at, observer.cell.size - 1, 0])
            case Number():
                kind = kernels.SHARE_LEFT if part.left else kernels.SHARE
                number = observer.numbers[part.name]
                self._numbers.append([at, kind, number.at, number.size - 1, part.of])
            case OneOf():
                number = observer.numbers[part.name]
                self._numbers.append([at, kernels.ONE_OF, number.at, number.size - 1, part.choices])

    def _add_view(self, observer: Observer, view: View, at: int) -> None:
        """One step for each run of planes that have a template, or have none."""
        height, width = view.shape(self._grid)
        for fixed, run in groupby(view.planes, _is_fixed):
            planes = tuple(run)
            count, first = len(planes) * height * width, len(self._marks)
            for index, plane in enumerate(planes):
                for name, weight in terms(plane):
                    group = () if name in _FIXED else observer.things[name]
                    self._marks += [_mark(thing, index * height * width, weight) for thing in group]
            template = self._template(view, planes) if fixed else -1
            tables = [template, first, len(self._marks), self._view(view)]
            self._steps.append([at, count, observer.cell.at, observer.cell.size - 1, *tables])
            at += count

    def _view(self, view: View) -> int:
        """The number of a view's tables, which views that differ in their planes only have in common."""
        key = (view.radius, view.centred, view.sight)
        if key not in self._views:
            self._views[key] = len(self._seen)
            self._seen.append(np.stack([_seen(view, grid_map) for grid_map in self._maps]))
            self._frames.append(_frame(view, self._grid))
        return self._views[key]

    def _template(self, view: View, planes: tuple[str | Sum, ...]) -> int:
        """Where the templates of some planes of a view, from every cell of every map, begin among all."""
        key = (planes, view.radius, view.centred, view.sight)
        if key not in self._templates:
            self._templates[key] = first = sum(len(block) for block in self._blocks)
            height, width = view.shape(self._grid)
            cells = self._maps[0].cells
            needed = first + len(self._maps) * cells * len(planes) * height * width
            if needed > TEMPLATE_BYTES:
                raise BadSpec(
                    f"View.radius = {view.radius}: its tables bring the plan to {needed} bytes; "
                    f"give smaller maps or views, at most {TEMPLATE_BYTES}"
                )
            blocks = [_template_of(view, planes, grid_map) for grid_map in self._maps]
            self._blocks.append(np.concatenate(blocks).reshape(-1))
        return self._templates[key]

    def _freeze(self) -> _Tables:
        cells = self._maps[0].cells
        height, width = self._grid
        grid = np.indices(self._grid).reshape(2, -1).T
        place = grid / np.maximum([height - 1, width - 1], 1)
        no_view = np.zeros((0, len(self._maps), cells, words_of(cells)), np.uint64)
        tables = _Tables(
            views=np.array(self._steps, np.int64).reshape(-1, 8),
            marks=np.array(self._marks, np.int64).reshape(-1, 7),
            bearings=np.array(self._bearings, np.int64).reshape(-1, 7),
            numbers=np.array(self._numbers, np.int64).reshape(-1, 5),
            templates=np.concatenate(self._blocks),
            seen=np.stack(self._seen) if self._seen else no_view,
            frames=np.stack(self._frames) if self._frames else np.zeros((0, 2, cells), np.int64),
            grid=np.ascontiguousarray(grid, np.int64),
            places=np.ascontiguousarray(place, np.float32),
        )
        for field in fields(tables):
            getattr(tables, field.name).flags.writeable = False
        return tables


@dataclass(frozen=True)
class _Tables:
    """The arguments of `kernels.write` between the map's byte and the output; its docstring says what each is."""

    views: npt.NDArray[np.int64]
    marks: npt.NDArray[np.int64]
    bearings: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]
    templates: npt.NDArray[np.uint8]
    seen: npt.NDArray[np.uint64]
    frames: npt.NDArray[np.int64]
    grid: npt.NDArray[np.int64]
    places: npt.NDArray[np.float32]


def _check(
    observers: tuple[Observer, ...], maps: tuple[GridMap, ...], state_bytes: int, map_at: int | None
) -> None:
    if not observers or not maps:
        raise BadSpec(f"plan of {len(observers)} observers on {len(maps)} maps: give at least one of each")
    shapes = {grid_map.shape for grid_map in maps}
    if len(shapes) > 1:
        raise BadSpec(f"maps of shapes {sorted(shapes)}: give maps of one shape")
    if len(maps) > 1 and map_at is None:
        raise BadSpec(f"map_at = None: say which byte of a state names one of {len(maps)} maps")
    looked = [Field(map_at)] if map_at is not None else []
    for place in (*looked, *(place for observer in observers for place in observer.fields())):
        if place.at + place.size > state_bytes:
            raise BadSpec(f"{place}: a state has {state_bytes} bytes")


def _is_fixed(plane: str | Sum) -> bool:
    """Whether map and cell decide something of a plane, which then has a template."""
    return any(name in _FIXED for name, _ in terms(plane))


def _mark(thing: Thing, at: int, weight: int) -> list[int]:
    value, of = thing.value or Field(0), thing.of if thing.value else 0
    return [at, thing.cell.at, thing.cell.size - 1, value.at, value.size - 1, of, weight]


def _seen(view: View, grid_map: GridMap) -> npt.NDArray[np.uint64]:
    """The set of cells that a view shows from each cell, u64[cells, W]."""
    everything = pack_sets(np.ones((grid_map.cells, grid_map.cells), np.bool_))
    near = everything if view.radius is None else reach(grid_map.shape, view.radius)
    return near & grid_map.sight if view.sight else near


def _frame(view: View, grid: tuple[int, int]) -> npt.NDArray[np.int64]:
    """Coordinate to tensor: cell `to` lies at [0, to] - [1, cell] in the plane of a view from `cell`."""
    row, column = (axis.reshape(-1) for axis in np.indices(grid))
    _, width = view.shape(grid)
    to = row * width + column
    if not view.centred or view.radius is None:
        return np.stack([to, np.zeros_like(to)])
    return np.stack([to, to - view.radius * (width + 1)])


def _template_of(view: View, planes: tuple[str | Sum, ...], grid_map: GridMap) -> npt.NDArray[np.uint8]:
    """What a map decides of planes, from each of its cells, u8[cells, planes * height * width], kernels.ZERO for 0."""
    cells = grid_map.cells
    seen, walls = unpack_sets(_seen(view, grid_map), cells), grid_map.walls.reshape(-1) != 0
    if view.centred and view.radius is not None:
        around = frame(grid_map.shape, view.radius)
        there = np.maximum(around, 0)  # off the grid nothing is seen, whichever cell is asked
        seen = np.take_along_axis(seen, there, axis=1) & (around != OUTSIDE)
        shown = {SEEN: seen, WALLS: seen & walls[there]}
    else:
        shown = {SEEN: seen, WALLS: seen & walls}
    blocks = []
    for plane in planes:
        weights = {name: weight for name, weight in terms(plane) if name in _FIXED}
        total = sum(weight * shown[name].astype(np.int64) for name, weight in weights.items())
        blocks.append((total + kernels.ZERO).astype(np.uint8))
    return np.hstack(blocks)
