"""2048 in text and as a picture: the board, and moves by name.

Enters: a typed state, an action 0..3, or what a person typed. Leaves: text, a plan, or an action.
Invariant: the first line is the top row; tiles are shown as numbers, not as exponents.
"""

from __future__ import annotations

from typing import Any

from games.errors import BadActionText
from games.game2048.state import ACTIONS, SIDE
from games.render.board import board_plan
from games.render.plan import Command, Rectangle, RenderPlan, RenderSpec, Text

_WIDTH = 6  # of 131072, the greatest tile
_TILE = 3  # cells a side of a tile's picture: its number has six places in a terminal
# Of the tiles 2, 4, 8, ...; of all greater ones the last. Letters are dark on the first two.
_COLOURS = (
    "#eee4da",
    "#ede0c8",
    "#f2b179",
    "#f59563",
    "#f67c5f",
    "#f65e3b",
    "#edcf72",
    "#edcc61",
    "#edc850",
    "#edc53f",
    "#edc22e",
    "#3c3a32",
)
_DARK, _BRIGHT = "#776e65", "#f9f6f2"
_SIZES = {1: 1.6, 2: 1.5, 3: 1.2, 4: 1.0, 5: 0.8, 6: 0.7}  # of a number, by its digits


def board_text(state: Any, *, ended: bool) -> str:
    """The board of one `STATE` record; the last line is its sum and whether a move is left."""
    rows = _tiles(state)
    lines = [" ".join(f"{tile or '.':>{_WIDTH}}" for tile in row) for row in rows]
    return "\n".join([*lines, _sum_text(rows, ended=ended)])


def board_picture(state: Any, spec: RenderSpec, *, ended: bool) -> RenderPlan:
    """The board of one `STATE` record: each tile in a colour of its own."""
    rows = _tiles(state)
    commands = [
        command
        for row in range(SIDE)
        for column in range(SIDE)
        for command in _tile(_TILE * column, _TILE * row, rows[row][column], spec)
    ]
    return board_plan(_TILE * SIDE, _TILE * SIDE, commands, _sum_text(rows, ended=ended), spec)


def _tiles(state: Any) -> list[list[int]]:
    return [[2**exponent if exponent else 0 for exponent in row] for row in state["exponents"].tolist()]


def _sum_text(rows: list[list[int]], *, ended: bool) -> str:
    return f"sum {sum(map(sum, rows))}{', no move is left' if ended else ''}"


def _tile(x: int, y: int, tile: int, spec: RenderSpec) -> list[Command]:
    place = tile.bit_length() - 2
    fill = _COLOURS[min(place, len(_COLOURS) - 1)] if tile else spec.palette.board
    colour = (_DARK if place < 2 else _BRIGHT) if tile else spec.palette.faint
    number = str(tile) if tile else "."
    size = _SIZES[len(number)] if tile else 0.5
    return [
        Rectangle(x + 0.08, y + 0.08, _TILE - 0.16, _TILE - 0.16, fill, radius=0.15),
        Text(x + _TILE / 2, y + _TILE / 2, number, colour, size, "middle"),
    ]


def parse_move(text: str) -> int:
    """The action that a person means by "left", "l" or "0".

    Raises:
        BadActionText: it is none.
    """
    word = text.strip().lower()
    if word in _MOVES:
        return _MOVES[word]
    raise BadActionText(
        f"move {text.strip()!r}: not a direction; type left, up, right or down, its first letter, or a number 0-3"
    )


_MOVES = {
    word: action for action, name in enumerate(ACTIONS) for word in (name, name[0], str(action))
}  # no two directions share a first letter
