"""What an agent observes, put together from parts: views of the grid, and numbers.

Enters: what a game's author wants each kind of agent to see, and where a state keeps it. Leaves: specs, and observers,
which bind a spec to the bytes of a state.
Invariant: a spec says what is seen and knows nothing of bytes; agents of one loadout share one, wherever a state keeps
them.

    >>> GROUND = Sum.of(seen=1, walls=-2)  # 1 on open cells, -1 on walls
    >>> SCOUT = ObservationSpec((View((GROUND, "opponents"), radius=2), Number("health", of=3)))
    >>> SCOUT.size((11, 11))
    51
    >>> red = Observer(
    ...     spec=SCOUT, cell=Field(0), things={"opponents": (Thing(Field(1)),)}, numbers={"health": Field(2)}
    ... )
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from games.errors import BadSpec

SEEN, WALLS = "seen", "walls"  # planes that every view may have; all other names are things of the observer
FIELD_SIZES = (1, 2)  # bytes
MAX_RADIUS = 127
MAX_WEIGHT = 127  # of all terms of a plane together, so that what a map gives to a value fits a byte


@dataclass(frozen=True, slots=True)
class Sum:
    """A plane that shows several things at once: the sum of planes, each times a whole number.

    Attributes:
        terms: (name, weight) of planes that a view may name, each once, in the order in which they are added.
    """

    terms: tuple[tuple[str, int], ...]

    def __post_init__(self) -> None:
        if not self.terms or len({name for name, _ in self.terms}) < len(self.terms):
            raise BadSpec(f"Sum.terms = {self.terms}: give at least one, each name once")
        weights = [weight for _, weight in self.terms]
        if 0 in weights or sum(map(abs, weights)) > MAX_WEIGHT:
            raise BadSpec(f"Sum.terms = {self.terms}: give weights other than 0, together up to {MAX_WEIGHT}")

    @classmethod
    def of(cls, **weights: int) -> Sum:
        """`Sum.of(allies=1, opponents=-1)` is 1 where an ally is, -1 where an opponent is."""
        return cls(tuple(weights.items()))


@dataclass(frozen=True, slots=True)
class View:
    """Planes over a piece of the grid, f32[planes, height, width], as one cell sees it.

    A plane SEEN is 1 where a cell is seen, a plane WALLS where a wall is seen. Any other name is a group of things: the
    plane has the mark of each thing of the group that stands on a seen cell (the sum, if two stand on one), and 0
    elsewhere. A `Sum` adds such planes up to one. Who stands nowhere sees nothing: all planes are 0.

    Attributes:
        planes: their names, or sums of names, in order.
        radius: how far is seen, in rows and in columns; None for the whole grid.
        centred: a square of 2 * radius + 1 with the observer in its middle, cells off the grid unseen; else a view of
            the whole grid, always in the same frame.
        sight: walls hide what is behind them (`games.sight`); else everything within the radius is seen.
    """

    planes: tuple[str | Sum, ...]
    radius: int | None = None
    centred: bool = True
    sight: bool = True

    def __post_init__(self) -> None:
        if not self.planes or len(set(self.planes)) < len(self.planes):
            raise BadSpec(f"View.planes = {self.planes}: give at least one, each once")
        if self.radius is not None and not 0 <= self.radius <= MAX_RADIUS:
            raise BadSpec(f"View.radius = {self.radius}: give 0 to {MAX_RADIUS}, or None")
        if self.centred and self.radius is None:
            raise BadSpec("View.radius = None: a centred view needs one; or give centred=False")

    def shape(self, grid: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of a plane."""
        if not self.centred or self.radius is None:
            return grid
        return 2 * self.radius + 1, 2 * self.radius + 1

    def size(self, grid: tuple[int, int]) -> int:
        """How many values, on a grid of that (height, width)."""
        height, width = self.shape(grid)
        return len(self.planes) * height * width

    def names(self) -> set[str]:
        """Every name in its planes."""
        return {name for plane in self.planes for name, _ in terms(plane)}


def terms(plane: str | Sum) -> tuple[tuple[str, int], ...]:
    """What adds up to a plane, (name, weight) each."""
    return ((plane, 1),) if isinstance(plane, str) else plane.terms


@dataclass(frozen=True, slots=True)
class Bearing:
    """Three values: where from the observer the one thing of a group lies. 1 if it is seen; how many rows down and how
    many columns to the right, over the radius. All are 0 if it is not seen.

    Attributes:
        name: the group, of exactly one thing.
        radius: how far is seen, in rows and in columns; it counts as 1.
        sight: walls hide what is behind them (`games.sight`).
    """

    name: str
    radius: int
    sight: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.radius <= MAX_RADIUS:
            raise BadSpec(f"Bearing.radius = {self.radius}: give 1 to {MAX_RADIUS}")

    def size(self, grid: tuple[int, int]) -> int:
        """How many values."""
        del grid
        return 3


@dataclass(frozen=True, slots=True)
class Place:
    """Two values: the observer's own row and column, 0 at the top and left edge, 1 at the others; 0 where it stands
    nowhere, and along an axis of one cell."""

    def size(self, grid: tuple[int, int]) -> int:
        """How many values."""
        del grid
        return 2


@dataclass(frozen=True, slots=True)
class Number:
    """One value: a number of the observer, as a share.

    Attributes:
        name: which of the observer's numbers.
        of: what counts as 1; the value is number / of.
        left: the value is (of - number) / of instead, such as the steps that are left.
    """

    name: str
    of: int
    left: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.of < 2**31:
            raise BadSpec(f"Number.of = {self.of}: give 1 to {2**31 - 1}")

    def size(self, grid: tuple[int, int]) -> int:
        """How many values."""
        del grid
        return 1


@dataclass(frozen=True, slots=True)
class OneOf:
    """`choices` values: 1 at the place that a number of the observer says, 0 elsewhere.

    Attributes:
        name: which of the observer's numbers.
        choices: how many there are; a number past the last gives zeros.
    """

    name: str
    choices: int

    def __post_init__(self) -> None:
        if not 1 <= self.choices < 2**16:
            raise BadSpec(f"OneOf.choices = {self.choices}: give 1 to {2**16 - 1}")

    def size(self, grid: tuple[int, int]) -> int:
        """How many values."""
        del grid
        return self.choices


Part = View | Bearing | Place | Number | OneOf


@dataclass(frozen=True, slots=True)
class ObservationSpec:
    """All that agents of one loadout observe: the values of the parts, one after the other.

    Attributes:
        parts: at least one.
    """

    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise BadSpec("ObservationSpec.parts = (): give at least one")

    def size(self, grid: tuple[int, int]) -> int:
        """How many values, on a grid of that (height, width)."""
        return sum(part.size(grid) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Field:
    """A whole number in a state row, little-endian.

    Attributes:
        at: its first byte.
        size: how many bytes, 1 or 2.
    """

    at: int
    size: int = 1

    def __post_init__(self) -> None:
        if self.at < 0 or self.size not in FIELD_SIZES:
            raise BadSpec(
                f"Field.at = {self.at}, size = {self.size}: give a place from 0 and a size of 1 or 2"
            )


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that may stand on the grid.

    Attributes:
        cell: the number of its cell; any number past the last cell says that it is not there.
        value: what its mark on a plane is a share of, number / of, such as health; None for a mark of 1.
        of: what counts as 1.
    """

    cell: Field
    value: Field | None = None
    of: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.of < 2**31:
            raise BadSpec(f"Thing.of = {self.of}: give 1 to {2**31 - 1}")


@dataclass(frozen=True)
class Observer:
    """One agent: a spec, and where the state keeps what the spec speaks of.

    Attributes:
        spec: what it observes.
        cell: where it stands.
        things: the groups that its views and bearings name, from this agent's side ("opponents" are others for each
            team).
        numbers: the numbers that its parts name.
    """

    spec: ObservationSpec
    cell: Field
    things: Mapping[str, tuple[Thing, ...]] = field(default_factory=dict)
    numbers: Mapping[str, Field] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for part in self.spec.parts:
            if isinstance(part, View):
                missing = part.names() - {SEEN, WALLS} - set(self.things)
                if missing:
                    raise BadSpec(
                        f"Observer.things = {sorted(self.things)}: a view shows {min(missing)!r} too"
                    )
            elif isinstance(part, Bearing) and len(self.things.get(part.name, ())) != 1:
                raise BadSpec(
                    f"Observer.things = {sorted(self.things)}: a bearing needs a {part.name!r} of one thing"
                )
            elif isinstance(part, Number | OneOf) and part.name not in self.numbers:
                raise BadSpec(f"Observer.numbers = {sorted(self.numbers)}: a part reads {part.name!r} too")

    def fields(self) -> tuple[Field, ...]:
        """Every place of the state that it looks at."""
        things = [thing for group in self.things.values() for thing in group]
        values = [thing.value for thing in things if thing.value is not None]
        return (self.cell, *(thing.cell for thing in things), *values, *self.numbers.values())
