"""Pendulum in text and as a picture: the rod in its circle, and torques as numbers.

Enters: a typed state, a torque, or what a person typed. Leaves: text, a plan, or a torque.
Invariant: up is up, and a positive theta leans to the left. The same state gives the same text on every machine, and a
torque's text gives back its bits.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from games.errors import BadActionText
from games.pendulum.kernels import HORIZON, LARGEST_TORQUE
from games.render.board import board_plan
from games.render.plan import Circle, Command, Line, RenderPlan, RenderSpec
from games.trigonometry import sincos

_REACH = 4  # lines from the pivot to the end of the rod; a line is as high as two columns are wide
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.ASCII)


def circle_text(state: Any) -> str:
    """One `STATE` record in eleven lines: the rod from its pivot `o` to its end `@`, the numbers, and how it stands."""
    sine, cosine = _direction(state)
    picture = [["."] * (4 * _REACH + 1) for _ in range(2 * _REACH + 1)]
    for part in (*range(1, 2 * _REACH), 0, 2 * _REACH):
        line = _round(_REACH - part / 2 * cosine)
        column = _round(2 * _REACH - part * sine)
        picture[line][column] = {0: "o", 2 * _REACH: "@"}.get(part, "*")
    return "\n".join([*("".join(line) for line in picture), _numbers_text(state)])


def circle_picture(state: Any, spec: RenderSpec) -> RenderPlan:
    """One `STATE` record: the rod from its pivot to its end, and the circle that the end runs on."""
    palette, middle = spec.palette, _REACH + 1.0
    sine, cosine = _direction(state)
    end = middle - _REACH * sine, middle - _REACH * cosine
    commands: list[Command] = [
        Circle(middle, middle, _REACH, stroke=palette.faint),
        Line(middle, middle, *end, palette.player(1), 0.4, glyph="*"),
        Circle(middle, middle, 0.15, palette.ink, glyph="o"),
        Circle(*end, 0.35, palette.player(0), glyph="@"),
    ]
    return board_plan(2 * middle, 2 * middle, commands, _numbers_text(state), spec)


def _direction(state: Any) -> tuple[float, float]:
    """Sine and cosine of theta."""
    sines, cosines = np.empty(1), np.empty(1)
    sincos(np.array([float(state["theta"])]), sines, cosines)
    return float(sines[0]), float(cosines[0])


def _numbers_text(state: Any) -> str:
    """The numbers of one `STATE` record and how it stands, in two lines."""
    theta, theta_dot, steps = float(state["theta"]), float(state["theta_dot"]), int(state["steps"])
    return (
        f"theta {theta:+.4f} rad, {theta_dot:+.4f} rad/s\n"
        f"step {steps} of {HORIZON}: {'time is up' if steps == HORIZON else 'goes on'}"
    )


def torque_text(torque: float) -> str:
    """The shortest decimal that names this f32, e.g. "-1.25"."""
    return str(np.float32(torque))


def parse_torque(text: str) -> float:
    """The torque that a person means by "-1.25", rounded to f32.

    Raises:
        BadActionText: it is no decimal number from -2 to 2.
    """
    word = text.strip().lower()
    torque = float(word) if _NUMBER.fullmatch(word) else math.nan
    if abs(torque) <= LARGEST_TORQUE:
        return float(np.float32(torque))
    raise BadActionText(f"torque {text.strip()!r}: not one; type a number from -2 to 2 such as -1.25")


def _round(number: float) -> int:
    return math.floor(number + 0.5)
