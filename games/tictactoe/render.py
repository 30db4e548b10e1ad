"""Tic-tac-toe in text and as a picture: the board, and cells by name.

Enters: a typed state, a cell 0..8, or what a person typed. Leaves: text, a plan, or a cell.
Invariant: column letters a-c go right, row numbers 1-3 go down; cell 0 is a1, cell 4 is b2, cell 8 is c3.
"""

from __future__ import annotations

from typing import Any

from games.errors import BadActionText
from games.render.board import board_plan, column_labels, cross, ring, row_labels, tiles
from games.render.plan import Command, Line, RenderPlan, RenderSpec
from games.tictactoe.state import CELLS, DRAWN, GOES_ON, WON_BY_0

STONES = ".XO"  # empty, player 0, player 1
_LINES = ((0, 2), (3, 5), (6, 8), (0, 6), (1, 7), (2, 8), (0, 8), (2, 6))  # first and last cell


def board_text(state: Any) -> str:
    """The board of one `STATE` record, in five lines.

    The last line says who is to move or how it ended.
    """
    lines = ["  a b c"]
    for row in range(3):
        cells = (STONES[int(cell)] for cell in state["cells"][3 * row : 3 * row + 3])
        lines.append(f"{row + 1} {' '.join(cells)}")
    lines.append(status_text(int(state["status"]), int(state["player"])))
    return "\n".join(lines)


def status_text(status: int, player: int) -> str:
    """Who is to move, or how the episode ended, e.g. "X to move"."""
    if status == GOES_ON:
        return f"{STONES[1 + player]} to move"
    if status == DRAWN:
        return "drawn"
    return f"{'X' if status == WON_BY_0 else 'O'} has won"


def board_picture(state: Any, spec: RenderSpec) -> RenderPlan:
    """The board of one `STATE` record: crosses for player 0, rings for player 1, a stroke through a line."""
    palette, cells = spec.palette, [int(cell) for cell in state["cells"]]
    commands = [*column_labels("abc", palette), *row_labels("123", palette), *tiles(3, 3, palette.board)]
    for cell, stone in enumerate(cells):
        if stone:
            draw = cross if stone == 1 else ring
            commands += draw(1 + cell % 3, 1 + cell // 3, palette.player(stone - 1), glyph=STONES[stone])
    commands += [
        _stroke(first, last, spec)
        for first, last in _LINES
        if cells[first] and cells[first] == cells[(first + last) // 2] == cells[last]
    ]
    return board_plan(4.5, 4, commands, status_text(int(state["status"]), int(state["player"])), spec)


def _stroke(first: int, last: int, spec: RenderSpec) -> Command:
    x1, y1, x2, y2 = 1.5 + first % 3, 1.5 + first // 3, 1.5 + last % 3, 1.5 + last // 3
    return Line(x1, y1, x2, y2, spec.palette.ink, 0.08, 0.6)


def cell_text(cell: int) -> str:
    """The name of cell 0..8, "a1".."c3"."""
    return "abc"[cell % 3] + "123"[cell // 3]


def parse_cell(text: str) -> int:
    """The cell that a person means by "b2" or "4".

    Raises:
        BadActionText: it is neither.
    """
    word = text.strip().lower()
    if word in _CELLS:
        return _CELLS[word]
    raise BadActionText(
        f"move {text.strip()!r}: not a cell; type a column and a row such as b2, or a number 0-8"
    )


_CELLS = {cell_text(cell): cell for cell in range(CELLS)} | {str(cell): cell for cell in range(CELLS)}
