"""Observation specs evaluated cell by cell in plain Python, straight from state bytes.

In: an observer, a map as rows of text, a state. Out: its values, before rounding to f32.
Invariant: nothing is planned; sight is by geometry.
"""

from __future__ import annotations

import numpy as np

from games.observation.spec import SEEN, WALLS, Bearing, Field, Number, Observer, OneOf, Place, Sum, View
from sight_oracle import seen_from

Rows = tuple[str, ...]


def number(state: bytes, field: Field) -> int:
    return int.from_bytes(state[field.at : field.at + field.size], "little")


def values(observer: Observer, rows: Rows, state: bytes) -> list[float]:
    """All parts of an observer's spec, one after the other."""
    found: list[float] = []
    height, width = len(rows), len(rows[0])
    for part in observer.spec.parts:
        match part:
            case View():
                found += view_values(observer, part, rows, state)
            case Bearing():
                found += bearing_values(observer, part, rows, state)
            case Place():
                cell = number(state, observer.cell)
                row, column = divmod(cell, width) if cell < height * width else (0, 0)
                found += [row / max(height - 1, 1), column / max(width - 1, 1)]
            case Number():
                value = number(state, observer.numbers[part.name])
                found.append((part.of - value if part.left else value) / part.of)
            case OneOf():
                value = number(state, observer.numbers[part.name])
                found += [float(choice == value) for choice in range(part.choices)]
    return found


def view_values(observer: Observer, view: View, rows: Rows, state: bytes) -> list[float]:
    own, width, cells = number(state, observer.cell), len(rows[0]), len(rows) * len(rows[0])
    if view.centred and view.radius is not None:
        span = range(-view.radius, view.radius + 1)
        places = [(own // width + down, own % width + right) for down in span for right in span]
    else:
        places = [divmod(cell, width) for cell in range(cells)]
    seen = [own < cells and is_seen(view, rows, divmod(own, width), place) for place in places]
    found: list[float] = []
    for plane in view.planes:
        marks = plane_marks(observer, plane, rows, state)
        found += [marks.get(place, 0.0) if shown else 0.0 for place, shown in zip(places, seen, strict=True)]
    return found


def bearing_values(observer: Observer, bearing: Bearing, rows: Rows, state: bytes) -> list[float]:
    own, width, cells = number(state, observer.cell), len(rows[0]), len(rows) * len(rows[0])
    there = number(state, observer.things[bearing.name][0].cell)
    if own >= cells or there >= cells:
        return [0.0, 0.0, 0.0]
    here, place = divmod(own, width), divmod(there, width)
    if not is_seen(bearing, rows, here, place):
        return [0.0, 0.0, 0.0]
    return [1.0, *((to - of) / bearing.radius for to, of in zip(place, here, strict=True))]


def is_seen(view: View | Bearing, rows: Rows, own: tuple[int, int], place: tuple[int, int]) -> bool:
    width = len(rows[0])
    on_grid = 0 <= place[0] < len(rows) and 0 <= place[1] < width
    far = max(abs(own[0] - place[0]), abs(own[1] - place[1]))
    if not on_grid or (view.radius is not None and far > view.radius):
        return False
    return not view.sight or place[0] * width + place[1] in seen_from(rows, own[0] * width + own[1])


def plane_marks(
    observer: Observer, plane: str | Sum, rows: Rows, state: bytes
) -> dict[tuple[int, int], float]:
    """What a plane would show to somebody who sees everything; the map's share first, then f32 sums of marks."""
    width, cells = len(rows[0]), len(rows) * len(rows[0])
    marks = dict.fromkeys((divmod(cell, width) for cell in range(cells)), np.float32(0))
    parts = [(plane, 1)] if isinstance(plane, str) else list(plane.terms)
    for name, weight in sorted(parts, key=lambda part: part[0] not in (SEEN, WALLS)):
        if name in (SEEN, WALLS):
            for r, c in marks:
                marks[r, c] += np.float32(weight * (name == SEEN or rows[r][c] == "#"))
            continue
        for thing in observer.things[name]:
            cell = number(state, thing.cell)
            if cell < cells:
                share = 1.0 if thing.value is None else number(state, thing.value) / thing.of
                marks[divmod(cell, width)] += np.float32(weight * share)
    return {place: float(mark) for place, mark in marks.items()}
