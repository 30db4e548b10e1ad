"""CartPole in text and as a picture: the cart on its track, and pushes by name.

Enters: a typed state, or what a person typed. Leaves: text, a plan, or a push 0..1.
Invariant: a column is 0.1 m and a line 0.2 m; left is left. The same state gives the same text on every machine.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from games.cartpole.kernels import HORIZON, LARGEST_THETA, LARGEST_X
from games.errors import BadActionText
from games.render.board import board_plan, column_labels
from games.render.plan import Circle, Command, Line, Rectangle, RenderPlan, RenderSpec
from games.trigonometry import sincos

PUSHES = ("left", "right")

_MIDDLE = 26  # the column of x = 0; the track goes 24 columns to either side
_POLE_LINES = 5  # a pole of 1 m

# In the picture a cell is 0.2 m.
_CELLS_A_METRE = 5.0
_CENTRE, _GROUND = 13.5, 7.0  # where x = 0 and the track are
_CART = (2.0, 1.0)  # width and height
_FARTHEST = 2.5  # metres; what has gone farther is drawn there


def track_text(state: Any) -> str:
    """One `STATE` record in nine lines: the pole, the cart on its track, a scale, the numbers and how it stands."""
    numbers = [float(state[name]) for name in ("x", "x_dot", "theta", "theta_dot")]
    cart = _column(10.0 * max(-2.5, min(2.5, numbers[0])))
    track = list(f"{'':2}{'-' * 49}")
    for place, mark in zip((cart - 1, cart, cart + 1), "[o]", strict=True):
        track[place : place + 1] = mark
    lines = [*_pole_lines(cart, numbers[2]), "".join(track), f"{'-2.4':<24}{'0':^5}{'2.4':>23}"]
    return "\n".join([*lines, _numbers_text(state)])


def track_picture(state: Any, spec: RenderSpec) -> RenderPlan:
    """One `STATE` record: the cart, its pole and the track, to scale."""
    palette = spec.palette
    x = _CENTRE + _CELLS_A_METRE * max(-_FARTHEST, min(_FARTHEST, float(state["x"])))
    end = _CELLS_A_METRE * LARGEST_X
    sines, cosines = np.empty(1), np.empty(1)
    sincos(np.array([float(state["theta"])]), sines, cosines)
    width, height = _CART
    top = _GROUND - height
    tip = x + _POLE_LINES * float(sines[0]), top - _POLE_LINES * float(cosines[0])
    commands: list[Command] = [
        Line(_CENTRE - end, _GROUND, _CENTRE + end, _GROUND, palette.faint, 0.06, glyph="-"),
        *(
            mark
            for name, place in (("-2.4", -end), ("0", 0.0), ("2.4", end))
            for mark in column_labels([name], palette, x=_CENTRE + place - 0.5, y=_GROUND + 0.5)
        ),
        Rectangle(x - width / 2, top, width, height, palette.ink, radius=0.1, glyph="="),
        Line(x, top, *tip, palette.player(2), 0.3, glyph="|"),
        Circle(x, top, 0.15, palette.player(0), glyph="o"),
    ]
    return board_plan(2 * _CENTRE, _GROUND + 1.5, commands, _numbers_text(state), spec)


def _numbers_text(state: Any) -> str:
    """The numbers of one `STATE` record and how it stands, in two lines."""
    x, x_dot, theta, theta_dot = (float(state[name]) for name in ("x", "x_dot", "theta", "theta_dot"))
    return (
        f"x {x:+.4f} m, {x_dot:+.4f} m/s; theta {theta:+.4f} rad, {theta_dot:+.4f} rad/s\n"
        f"step {int(state['steps'])} of {HORIZON}: {_status_text(x, theta, int(state['steps']))}"
    )


def parse_push(text: str) -> int:
    """The push that a person means by "left" or "0".

    Raises:
        BadActionText: it is neither.
    """
    word = text.strip().lower()
    if word in _PUSHES:
        return _PUSHES[word]
    raise BadActionText(f"push {text.strip()!r}: not one; type left or right, or 0 or 1")


def _pole_lines(cart: int, theta: float) -> list[str]:
    """The pole above the cart's column, from its top."""
    sines, cosines = np.empty(1), np.empty(1)
    sincos(np.array([theta]), sines, cosines)
    lean = 2.0 * float(sines[0]) / float(cosines[0])  # columns a line
    columns = [cart + _round(lean * line) for line in range(_POLE_LINES + 1)]
    return [
        " " * upper + ("|" if upper == lower else "/" if upper > lower else "\\")
        for upper, lower in zip(columns[:0:-1], columns[-2::-1], strict=True)
    ]


def _status_text(x: float, theta: float, steps: int) -> str:
    if abs(theta) > LARGEST_THETA:
        return "the pole has fallen"
    if abs(x) > LARGEST_X:
        return "the cart has left the track"
    return "time is up" if steps == HORIZON else "goes on"


def _column(tenths: float) -> int:
    return _MIDDLE + _round(tenths)


def _round(number: float) -> int:
    return math.floor(number + 0.5)


_PUSHES = {name: push for push, name in enumerate(PUSHES)} | {str(push): push for push in range(2)}
