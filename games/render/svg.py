"""A plan as SVG.

Enters: a `RenderPlan`. Leaves: one SVG document as text. Invariant: a command is an element, in the plan's order; the
same plan gives the same text.

    >>> from games.render.plan import Circle, RenderPlan
    >>> svg(RenderPlan(1, 1, "#ffffff", (Circle(0.5, 0.5, 0.4, fill="#ff0000"),))).splitlines()[2]
    '<circle cx="0.5" cy="0.5" r="0.4" fill="#ff0000"/>'
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape

from games.render.plan import Circle, Command, Line, Polygon, Rectangle, RenderPlan, Text

_SVG = "http" + "://www.w3.org/2000/svg"  # the name of the format; nothing is asked for there
_MONO = "ui-monospace, Menlo, Consolas, monospace"
_SANS = "system-ui, sans-serif"
_ADVANCE = 0.5  # cells a character of size 1 of mono text
_LETTERS = 0.8  # of a text's size, the font's: a line has space above and below


def svg(plan: RenderPlan) -> str:
    """The document, of the plan's cells times `cell_px` pixels; ends with a newline."""
    size = f'width="{_n(plan.width * plan.cell_px)}" height="{_n(plan.height * plan.cell_px)}"'
    box = f'viewBox="0 0 {_n(plan.width)} {_n(plan.height)}"'
    lines = [
        f'<svg xmlns="{_SVG}" {size} {box}>',
        f'<rect width="{_n(plan.width)}" height="{_n(plan.height)}" fill="{plan.background}"/>',
        *map(_element, plan.commands),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _element(command: Command) -> str:
    match command:
        case Rectangle():
            place = {"x": command.x, "y": command.y, "width": command.width, "height": command.height}
            corners = {"rx": command.radius} if command.radius else {}
            return _shape("rect", command, place | corners)
        case Circle():
            return _shape("circle", command, {"cx": command.x, "cy": command.y, "r": command.radius})
        case Line():
            place = {"x1": command.x1, "y1": command.y1, "x2": command.x2, "y2": command.y2}
            return _shape("line", command, place)
        case Polygon():
            points = " ".join(f"{_n(x)},{_n(y)}" for x, y in command.points)
            return _shape("polygon", command, {"points": points})
        case Text():
            return _text(command)


def _shape(name: str, shape: Rectangle | Circle | Line | Polygon, place: Mapping[str, float | str]) -> str:
    attributes: dict[str, float | str] = dict(place)
    if not isinstance(shape, Line):
        attributes["fill"] = shape.fill or "none"
    if shape.stroke is not None:
        attributes |= {"stroke": shape.stroke, "stroke-width": shape.stroke_width}
        if isinstance(shape, Line):
            attributes["stroke-linecap"] = "round"
    return f"<{name} {_attributes(attributes, shape.opacity)}/>"


def _text(text: Text) -> str:
    attributes: dict[str, float | str] = {
        "x": text.x,
        "y": text.y,
        "fill": text.fill,
        "font-size": _LETTERS * text.size,
        "font-family": _MONO if text.mono else _SANS,
        "dominant-baseline": "central",
    }
    if text.anchor != "start":
        attributes["text-anchor"] = text.anchor
    if text.mono:
        attributes |= {"xml:space": "preserve", "textLength": _ADVANCE * text.size * len(text.text)}
    return f"<text {_attributes(attributes, text.opacity)}>{escape(text.text)}</text>"


def _attributes(attributes: Mapping[str, float | str], opacity: float) -> str:
    if opacity != 1:
        attributes = {**attributes, "opacity": opacity}
    return " ".join(
        f'{name}="{value if isinstance(value, str) else _n(value)}"' for name, value in attributes.items()
    )


def _n(value: float) -> str:
    """A number with four decimals at most, and none that are 0."""
    return f"{value:.4f}".rstrip("0").rstrip(".")
