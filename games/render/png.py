"""A plan as PNG.

Enters: a `RenderPlan`. Leaves: a PNG file's bytes, drawn by Pillow. Invariant: of the plan's cells times `cell_px`
pixels exactly, and never of more than `MOST_PIXELS`.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from games.errors import BadPicture
from games.render.plan import Circle, Command, Line, Polygon, Rectangle, RenderPlan, Text

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

MOST_PIXELS = 16_000_000
_FINER = 3  # drawn this many times larger, then made smaller: smooth edges
_LETTERS = 0.8  # of a text's size, the font's
_ADVANCE = 0.5  # cells a character of size 1 of mono text


def png(plan: RenderPlan) -> bytes:
    """The file.

    Raises:
        BadPicture: it would have more than `MOST_PIXELS` pixels.
    """
    from PIL import Image, ImageDraw

    width, height = round(plan.width * plan.cell_px), round(plan.height * plan.cell_px)
    if not 0 < width * height <= MOST_PIXELS:
        raise BadPicture(
            f"picture of {width} x {height} pixels: give 1 to {MOST_PIXELS} of them; choose another cell_px"
        )
    scale = _scale(width * height)
    picture = Image.new("RGB", (width * scale, height * scale), plan.background)
    # Blends what it draws by the colour's alpha, unlike a picture of mode RGBA.
    draw = ImageDraw.Draw(picture, "RGBA")
    for command in plan.commands:
        _draw(draw, command, plan.cell_px * scale)
    if scale > 1:
        picture = picture.resize((width, height), Image.Resampling.BOX)
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def _scale(pixels: int) -> int:
    """How much finer it is drawn, within the memory of the largest picture."""
    return next(scale for scale in range(_FINER, 0, -1) if scale == 1 or pixels * scale**2 <= MOST_PIXELS)


def _draw(draw: ImageDraw, command: Command, cell: int) -> None:
    match command:
        case Rectangle():
            _rectangle(draw, command, cell)
        case Circle():
            _circle(draw, command, cell)
        case Line():
            _line(draw, command, cell)
        case Polygon():
            points = [(x * cell, y * cell) for x, y in command.points]
            if command.fill is not None:
                draw.polygon(points, fill=_rgba(command.fill, command.opacity))
            if command.stroke is not None and command.stroke_width:
                width = _width(command.stroke_width, cell)
                colour = _rgba(command.stroke, command.opacity)
                draw.line([*points, *points[:2]], fill=colour, width=width, joint="curve")
        case Text():
            _text(draw, command, cell)


def _rectangle(draw: ImageDraw, shape: Rectangle, cell: int) -> None:
    left, top = shape.x * cell, shape.y * cell
    # Pillow's boxes hold their last pixel.
    right, bottom = max(left, left + shape.width * cell - 1), max(top, top + shape.height * cell - 1)
    stroke = shape.stroke if shape.stroke_width else None
    if stroke is None and shape.fill is None:
        return
    draw.rounded_rectangle(
        (left, top, right, bottom),
        shape.radius * cell,
        fill=None if shape.fill is None else _rgba(shape.fill, shape.opacity),
        outline=None if stroke is None else _rgba(stroke, shape.opacity),
        width=_width(shape.stroke_width, cell),
    )


def _circle(draw: ImageDraw, shape: Circle, cell: int) -> None:
    x, y, radius = shape.x * cell, shape.y * cell, shape.radius * cell
    stroke = shape.stroke if shape.stroke_width else None
    if stroke is None and shape.fill is None:
        return
    if stroke is not None:  # Pillow's outline lies inside, a stroke lies on the circle
        radius += shape.stroke_width * cell / 2
    draw.ellipse(
        (x - radius, y - radius, x + radius, y + radius),
        fill=None if shape.fill is None else _rgba(shape.fill, shape.opacity),
        outline=None if stroke is None else _rgba(stroke, shape.opacity),
        width=_width(shape.stroke_width, cell),
    )


def _line(draw: ImageDraw, line: Line, cell: int) -> None:
    ends = [(line.x1 * cell, line.y1 * cell), (line.x2 * cell, line.y2 * cell)]
    width, colour = _width(line.stroke_width, cell), _rgba(line.stroke, line.opacity)
    draw.line(ends, fill=colour, width=width)
    if width > 2 and line.opacity == 1:  # round ends; of what shines through they would show twice
        for x, y in ends:
            draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=colour)


def _text(draw: ImageDraw, text: Text, cell: int) -> None:
    font, colour = _font(_LETTERS * text.size * cell), _rgba(text.fill, text.opacity)
    if not text.mono:
        anchor = {"start": "lm", "middle": "mm", "end": "rm"}[text.anchor]
        draw.text((text.x * cell, text.y * cell), text.text, fill=colour, font=font, anchor=anchor)
        return
    advance = _ADVANCE * text.size
    shift = {"start": 0.0, "middle": 0.5, "end": 1.0}[text.anchor] * advance * len(text.text)
    for number, character in enumerate(text.text):
        middle = (text.x - shift + (number + 0.5) * advance) * cell
        draw.text((middle, text.y * cell), character, fill=colour, font=font, anchor="mm")


def _font(size: float) -> FreeTypeFont:
    from PIL import ImageFont

    font = ImageFont.load_default(max(1.0, size))
    assert isinstance(font, ImageFont.FreeTypeFont)  # of Pillow's own, whenever a size is given
    return font


def _rgba(colour: str, opacity: float) -> tuple[int, int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16), round(255 * opacity)


def _width(stroke_width: float, cell: int) -> int:
    return max(1, round(stroke_width * cell))
