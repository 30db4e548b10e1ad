"""Pieces of pictures of boards: labels, tiles, a line of words below.

Enters: where, how many, in which colours. Leaves: drawing commands.
Invariant: everything is in whole cells, so that the text for a terminal stands in columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from games.render.plan import Circle, Command, Line, Palette, Polygon, Rectangle, RenderPlan, RenderSpec, Text

LABEL = 0.5  # size of labels and of the words below
_LETTER = 0.55  # of a text's size, the width of a letter, for the width of a plan


def column_labels(names: Iterable[str], palette: Palette, *, x: float = 1, y: float = 0) -> list[Command]:
    """A name above (or below) each column, in the cells of row `y`, from column `x` on."""
    return [
        Text(x + number + 0.5, y + 0.5, name, palette.faint, LABEL, "middle")
        for number, name in enumerate(names)
    ]


def row_labels(names: Iterable[str], palette: Palette, *, x: float = 0, y: float = 1) -> list[Command]:
    """A name beside each row, in the cells of column `x`, from row `y` on."""
    return [
        Text(x + 0.5, y + number + 0.5, name, palette.faint, LABEL, "middle")
        for number, name in enumerate(names)
    ]


def tiles(
    columns: int, rows: int, fill: str, *, x: float = 1, y: float = 1, glyph: str = "."
) -> list[Command]:
    """A square in each cell, with a narrow gap between."""
    return [
        Rectangle(x + column + 0.03, y + row + 0.03, 0.94, 0.94, fill, radius=0.08, glyph=glyph)
        for row in range(rows)
        for column in range(columns)
    ]


def disc(x: float, y: float, colour: str, *, glyph: str, radius: float = 0.38) -> list[Command]:
    """A round stone in the cell (x, y)."""
    return [Circle(x + 0.5, y + 0.5, radius, colour, glyph=glyph)]


def ring(x: float, y: float, colour: str, *, glyph: str) -> list[Command]:
    """A ring in the cell (x, y)."""
    return [Circle(x + 0.5, y + 0.5, 0.28, stroke=colour, stroke_width=0.12, glyph=glyph)]


def cross(x: float, y: float, colour: str, *, glyph: str) -> list[Command]:
    """Two strokes in the cell (x, y)."""
    return [
        Line(x + 0.24, y + 0.24, x + 0.76, y + 0.76, colour, 0.12),
        Line(x + 0.24, y + 0.76, x + 0.76, y + 0.24, colour, 0.12),
        # Of no width: only its glyph is seen, and that in a terminal.
        Circle(x + 0.5, y + 0.5, 0.2, stroke=colour, stroke_width=0, glyph=glyph),
    ]


def flag(x: float, y: float, colour: str, *, glyph: str) -> list[Command]:
    """A flag on its pole in the cell (x, y)."""
    return [
        Line(x + 0.3, y + 0.15, x + 0.3, y + 0.85, colour, 0.08),
        Polygon(((x + 0.3, y + 0.15), (x + 0.8, y + 0.32), (x + 0.3, y + 0.5)), colour),
        # Of no width: only its glyph is seen, and that in a terminal.
        Circle(x + 0.5, y + 0.5, 0.2, stroke=colour, stroke_width=0, glyph=glyph),
    ]


def board_plan(
    columns: float, rows: float, commands: Sequence[Command], words: str, spec: RenderSpec
) -> RenderPlan:
    """A board of `columns` by `rows` cells with lines of words below it; as wide as the widest of them."""
    lines = words.split("\n")
    captions = [
        Text(0.3, rows + number + 0.5, line, spec.palette.ink, LABEL) for number, line in enumerate(lines)
    ]
    width = max(columns, 1 + LABEL * _LETTER * max(map(len, lines)))
    height = rows + len(lines)
    return RenderPlan(width, height, spec.palette.background, (*commands, *captions), spec.cell_px)
