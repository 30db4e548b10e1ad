"""A plan as text for a terminal, with or without colour.

Enters: a `RenderPlan`. Leaves: lines of text. Invariant: a cell is two characters wide and one high, whatever is drawn;
without colour the text is plain, with colour every line ends with the terminal's own colours.

    >>> from games.render.plan import Rectangle, RenderPlan
    >>> terminal(RenderPlan(2, 1, "#ffffff", (Rectangle(1, 0, 1, 1, glyph="#"),)))
    '  #'
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from games.render.plan import Circle, Command, Line, Polygon, Rectangle, RenderPlan, Text

Colour = tuple[int, int, int]

_COLUMNS = 2  # characters a cell
_RESET = "\x1b[0m"
_SEEN = 0.5  # a shape that is less opaque tints what is below and hides no character


class _Canvas:
    """Characters with a colour each and one behind them."""

    def __init__(self, plan: RenderPlan) -> None:
        texts = [command for command in plan.commands if isinstance(command, Text)]
        # Letters are wider here than in a picture.
        ends = [_first(text) + len(text.text) for text in texts]
        self.columns, self.rows = max(math.ceil(plan.width * _COLUMNS), *ends, 0), math.ceil(plan.height)
        background = _rgb(plan.background)
        self.characters = [[" "] * self.columns for _ in range(self.rows)]
        self.front = [[background] * self.columns for _ in range(self.rows)]
        self.back = [[background] * self.columns for _ in range(self.rows)]

    def holds(self, row: int, column: int) -> bool:
        return 0 <= row < self.rows and 0 <= column < self.columns

    def put(self, row: int, column: int, character: str, colour: Colour, opacity: float) -> None:
        if self.holds(row, column):
            self.characters[row][column] = character
            self.front[row][column] = _mixed(self.back[row][column], colour, opacity)

    def fill(self, row: int, column: int, colour: Colour, opacity: float) -> None:
        if self.holds(row, column):
            self.back[row][column] = _mixed(self.back[row][column], colour, opacity)
            self.front[row][column] = _mixed(self.front[row][column], colour, opacity)
            if opacity >= _SEEN:
                self.characters[row][column] = " "


def terminal(plan: RenderPlan, *, colour: bool = False) -> str:
    """The picture in lines without a trailing newline; 24-bit ANSI colours where `colour` is asked for."""
    canvas = _Canvas(plan)
    for command in plan.commands:
        _draw(canvas, command)
    if not colour:
        return "\n".join("".join(row).rstrip() for row in canvas.characters).rstrip("\n")
    return "\n".join(_coloured(canvas, row) for row in range(canvas.rows))


def _draw(canvas: _Canvas, command: Command) -> None:
    match command:
        case Text():
            for number, character in enumerate(command.text):
                if character != " ":
                    row = math.floor(command.y)
                    canvas.put(row, _first(command) + number, character, _rgb(command.fill), command.opacity)
        case Line():
            if command.glyph:
                for row, column in _along(command):
                    canvas.put(row, column, command.glyph, _rgb(command.stroke), command.opacity)
        case _:
            _draw_shape(canvas, command)


def _first(text: Text) -> int:
    """The column of a text's first character."""
    before = {"start": 0.0, "middle": 0.5, "end": 1.0}[text.anchor]
    return math.floor(text.x * _COLUMNS - before * len(text.text))


def _draw_shape(canvas: _Canvas, shape: Rectangle | Circle | Polygon) -> None:
    colour = shape.fill or shape.stroke
    left, top, right, bottom = _box(shape)
    for row in range(max(0, math.floor(top)), min(canvas.rows, math.ceil(bottom))):
        for cell in range(max(0, math.floor(left)), min(-(-canvas.columns // _COLUMNS), math.ceil(right))):
            if not _inside(shape, cell + 0.5, row + 0.5):
                continue
            column = cell * _COLUMNS
            # Of round and pointed shapes in a cell the glyph is seen; behind it stays what was there.
            if isinstance(shape, Rectangle) and shape.fill:
                for beside in range(_COLUMNS):
                    canvas.fill(row, column + beside, _rgb(shape.fill), shape.opacity)
            if shape.glyph:
                front = _rgb(colour) if colour and not (isinstance(shape, Rectangle) and shape.fill) else None
                canvas.put(
                    row, column, shape.glyph, front or _contrast(canvas.back[row][column]), shape.opacity
                )


def _box(shape: Rectangle | Circle | Polygon) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what a shape can cover."""
    match shape:
        case Rectangle():
            return shape.x, shape.y, shape.x + shape.width, shape.y + shape.height
        case Circle():
            radius = shape.radius
            return shape.x - radius, shape.y - radius, shape.x + radius, shape.y + radius
        case Polygon():
            xs, ys = [x for x, _ in shape.points], [y for _, y in shape.points]
            return min(xs), min(ys), max(xs), max(ys)


def _inside(shape: Rectangle | Circle | Polygon, x: float, y: float) -> bool:
    match shape:
        case Rectangle():
            return shape.x <= x <= shape.x + shape.width and shape.y <= y <= shape.y + shape.height
        case Circle():
            # Of a circle smaller than a cell its own cell counts.
            near = math.floor(shape.x) == math.floor(x) and math.floor(shape.y) == math.floor(y)
            return near or (shape.x - x) ** 2 + (shape.y - y) ** 2 <= shape.radius**2
        case Polygon():
            return _in_polygon(shape.points, x, y)


def _in_polygon(points: tuple[tuple[float, float], ...], x: float, y: float) -> bool:
    """Even-odd rule: how often a ray to the right crosses an edge."""
    inside = False
    for (x1, y1), (x2, y2) in zip(points, points[1:] + points[:1], strict=True):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
            inside = not inside
    return inside


def _along(line: Line) -> Iterator[tuple[int, int]]:
    """Rows and columns that a line touches, in steps of half a character."""
    across, down = (line.x2 - line.x1) * _COLUMNS, line.y2 - line.y1
    steps = max(1, math.ceil(2 * max(abs(across), abs(down))))
    for step in range(steps + 1):
        part = step / steps
        yield math.floor(line.y1 + part * down), math.floor(line.x1 * _COLUMNS + part * across)


def _coloured(canvas: _Canvas, row: int) -> str:
    parts, last = [], None
    for character, front, back in zip(
        canvas.characters[row], canvas.front[row], canvas.back[row], strict=True
    ):
        if (front, back) != last:
            parts.append("\x1b[38;2;{};{};{};48;2;{};{};{}m".format(*front, *back))
            last = front, back
        parts.append(character)
    return "".join(parts) + _RESET


def _rgb(colour: str) -> Colour:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _mixed(below: Colour, above: Colour, opacity: float) -> Colour:
    red, green, blue = (round(a + (b - a) * opacity) for a, b in zip(below, above, strict=True))
    return red, green, blue


def _contrast(back: Colour) -> Colour:
    """Black or white, whichever is seen better on `back`."""
    return (0, 0, 0) if sum(back) > 3 * 127 else (255, 255, 255)
