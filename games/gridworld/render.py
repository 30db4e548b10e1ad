"""Gridworld in text and as a picture: the grid, and moves by name.

Enters: a typed state, an action 0..3, or what a person typed. Leaves: text, a plan, or an action.
Invariant: the top left cell is x = 0, y = 0; the goal is the bottom right one.
"""

from __future__ import annotations

from typing import Any

from games.errors import BadActionText
from games.gridworld.state import ACTIONS, STEPS_A_CELL
from games.render.board import board_plan, disc, flag, tiles
from games.render.plan import RenderPlan, RenderSpec


def grid_text(state: Any) -> str:
    """The grid of one `STATE` record, `@` who walks and `G` the goal; the last line counts the steps."""
    x, y, w, h, steps = (int(state[field]) for field in ("x", "y", "w", "h", "steps"))
    rows = [["."] * w for _ in range(h)]
    rows[-1][-1] = "G"
    rows[y][x] = "@"
    return "\n".join([*map(" ".join, rows), _status_text(x, y, w, h, steps)])


def grid_picture(state: Any, spec: RenderSpec) -> RenderPlan:
    """The grid of one `STATE` record: who walks, and the goal."""
    x, y, w, h, steps = (int(state[field]) for field in ("x", "y", "w", "h", "steps"))
    commands = [
        *tiles(w, h, spec.palette.board, x=0, y=0),
        *flag(w - 1, h - 1, spec.palette.goal, glyph="G"),
        *disc(x, y, spec.palette.player(0), glyph="@", radius=0.3),
    ]
    return board_plan(w, h, commands, _status_text(x, y, w, h, steps), spec)


def _status_text(x: int, y: int, w: int, h: int, steps: int) -> str:
    horizon = STEPS_A_CELL * w * h
    ended = ", at the goal" if (x, y) == (w - 1, h - 1) else ", out of time" if steps == horizon else ""
    return f"step {steps} of {horizon}{ended}"


def parse_move(text: str) -> int:
    """The action that a person means by "up", "u" or "0".

    Raises:
        BadActionText: it is none.
    """
    word = text.strip().lower()
    if word in _MOVES:
        return _MOVES[word]
    raise BadActionText(
        f"move {text.strip()!r}: not a direction; type up, down, left or right, its first letter, or a number 0-3"
    )


_MOVES = {
    word: action for action, name in enumerate(ACTIONS) for word in (name, name[0], str(action))
}  # no two directions share a first letter
