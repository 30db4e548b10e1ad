"""What a picture of a position holds, independent of any toolkit.

Enters: how a picture is wanted (`RenderSpec`), and a game's drawing. Leaves: a `RenderPlan`, a list of commands.
Invariant: a plan is frozen and says everything; the same state and spec give the same plan on every machine.

Lengths are in cells: a cell is a square of 1 by 1, x goes right, y goes down, (0, 0) is the top left corner. What comes
later in a plan lies above what came before. Colours are "#rrggbb".

In a terminal a cell is two characters wide and one high. A shape's `glyph` is what stands for it there: one character
in the first column of each cell (whose middle is inside the shape) or, for a line, along it. Without a glyph a shape is
only seen by its colour. A stroke of width 0 is not drawn; its colour is that of the glyph.

    >>> plan = RenderPlan(2, 1, LIGHT.background, (Rectangle(0, 0, 1, 1, fill="#ff0000", glyph="#"),))
    >>> plan.commands[0].fill
    '#ff0000'
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

from games.errors import BadPicture

MOST_CELLS = 512  # a side; what is larger is not seen as a whole anyway
MOST_COMMANDS = 100_000
_FARTHEST = 4 * MOST_CELLS  # from the corner; adapters step along lines
_LENGTHS = ("width", "height", "radius", "stroke_width", "size")
_COLOUR = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours that games draw with; each "#rrggbb".

    Attributes:
        background: below everything.
        ink: text and outlines.
        faint: grid lines, labels, what matters less.
        board: a playing field.
        wall: what cannot be passed.
        goal: what is to be reached.
        players: of player or agent 0, 1, ...; from the first again where there are more.
        shade: laid over what a viewpoint does not see.
    """

    background: str = "#ffffff"
    ink: str = "#1f2328"
    faint: str = "#8c959f"
    board: str = "#eaeef2"
    wall: str = "#57606a"
    goal: str = "#2da44e"
    players: tuple[str, ...] = (
        "#0969da",
        "#cf222e",
        "#bf8700",
        "#8250df",
        "#1b7c83",
        "#bc4c00",
        "#4d2d00",
        "#99286e",
    )
    shade: str = "#1f2328"

    def player(self, number: int) -> str:
        """The colour of player or agent `number`."""
        return self.players[number % len(self.players)]


LIGHT = Palette()
DARK = Palette(
    background="#0d1117",
    ink="#e6edf3",
    faint="#6e7681",
    board="#21262d",
    wall="#8b949e",
    goal="#3fb950",
    players=("#58a6ff", "#ff7b72", "#e3b341", "#bc8cff", "#39c5cf", "#ffa657", "#d29922", "#f778ba"),
    shade="#010409",
)


@dataclass(frozen=True, slots=True)
class RenderSpec:
    """How a picture is wanted.

    Attributes:
        cell_px: pixels of a cell's side, 4 to 256; adapters without pixels take no notice.
        viewpoint: number of the agent or player whose sight it shows, None for all that there is.
        palette: the colours.
    """

    cell_px: int = 48
    viewpoint: int | None = None
    palette: Palette = LIGHT

    def __post_init__(self) -> None:
        if not 4 <= self.cell_px <= 256:
            raise BadPicture(f"RenderSpec.cell_px = {self.cell_px}: give 4 to 256 pixels")
        if self.viewpoint is not None and self.viewpoint < 0:
            raise BadPicture(f"RenderSpec.viewpoint = {self.viewpoint}: give the number of an agent, from 0")


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A rectangle by its top left corner and size; `radius` rounds its corners."""

    x: float
    y: float
    width: float
    height: float
    fill: str | None = None
    stroke: str | None = None
    stroke_width: float = 0.04
    radius: float = 0
    opacity: float = 1
    glyph: str = ""


@dataclass(frozen=True, slots=True)
class Circle:
    """A circle by its centre and radius."""

    x: float
    y: float
    radius: float
    fill: str | None = None
    stroke: str | None = None
    stroke_width: float = 0.04
    opacity: float = 1
    glyph: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line with round ends."""

    x1: float
    y1: float
    x2: float
    y2: float
    stroke: str
    stroke_width: float = 0.04
    opacity: float = 1
    glyph: str = ""


@dataclass(frozen=True, slots=True)
class Polygon:
    """A closed polygon of at least three points (x, y)."""

    points: tuple[tuple[float, float], ...]
    fill: str | None = None
    stroke: str | None = None
    stroke_width: float = 0.04
    opacity: float = 1
    glyph: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """One line of text.

    Attributes:
        x, y: where the text starts, has its middle or ends (by `anchor`), and its middle line.
        size: height of the letters' line.
        anchor: "start", "middle" or "end".
        mono: every character is half a cell times size wide, as in a terminal.
    """

    x: float
    y: float
    text: str
    fill: str
    size: float = 0.7
    anchor: str = "start"
    opacity: float = 1
    mono: bool = False


Command = Rectangle | Circle | Line | Polygon | Text


@dataclass(frozen=True, slots=True)
class RenderPlan:
    """A picture of `width` by `height` cells: its commands in the order in which they are drawn.

    Raises:
        BadPicture: a size, a number or a colour that nothing could draw.
    """

    width: float
    height: float
    background: str
    commands: tuple[Command, ...]
    cell_px: int = 48

    def __post_init__(self) -> None:
        if not (0 < self.width <= MOST_CELLS and 0 < self.height <= MOST_CELLS):
            raise BadPicture(
                f"RenderPlan of {self.width} x {self.height} cells: give more than 0, {MOST_CELLS} at most"
            )
        if len(self.commands) > MOST_COMMANDS:
            raise BadPicture(f"RenderPlan of {len(self.commands)} commands: give {MOST_COMMANDS} at most")
        _check_colour("RenderPlan.background", self.background)
        for command in self.commands:
            _check(command)


def text_plan(text: str, spec: RenderSpec) -> RenderPlan:
    """Lines of text as a picture, every character half a cell wide: what a game without a picture of its own shows."""
    lines = text.split("\n")
    commands = tuple(
        Text(0.5, number + 0.9, line, spec.palette.ink, size=1, mono=True)
        for number, line in enumerate(lines)
        if line.strip()
    )
    width = 1 + max(map(len, lines)) / 2
    return RenderPlan(width, len(lines) + 0.8, spec.palette.background, commands, spec.cell_px)


def _check(command: Command) -> None:
    kind = type(command).__name__
    for field in fields(command):
        value = getattr(command, field.name)
        numbers = [number for point in value for number in point] if field.name == "points" else [value]
        for number in numbers:
            if isinstance(number, int | float) and not abs(number) <= _FARTHEST:
                raise BadPicture(f"{kind}.{field.name} = {number}: give a number up to {_FARTHEST}")
        if field.name in _LENGTHS and value < 0:
            raise BadPicture(f"{kind}.{field.name} = {value}: give 0 or more")
    for name in ("fill", "stroke"):
        if (colour := getattr(command, name, None)) is not None:
            _check_colour(f"{kind}.{name}", colour)
    if not 0 <= command.opacity <= 1:
        raise BadPicture(f"{kind}.opacity = {command.opacity}: give 0 to 1")
    if isinstance(command, Text):
        if command.anchor not in ("start", "middle", "end") or "\n" in command.text:
            raise BadPicture(
                f"Text.text = {command.text!r}, anchor = {command.anchor!r}: give one line, and an anchor"
            )
    elif len(command.glyph) > 1:
        raise BadPicture(f"{kind}.glyph = {command.glyph!r}: give one character, or none")
    if isinstance(command, Polygon) and len(command.points) < 3:
        raise BadPicture(f"Polygon.points = {command.points}: give at least three")


def _check_colour(name: str, colour: str) -> None:
    if not _COLOUR.fullmatch(colour):
        raise BadPicture(f"{name} = {colour!r}: give a colour as #rrggbb in small letters")
