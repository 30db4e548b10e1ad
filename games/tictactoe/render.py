"""Tic-tac-toe in text: the board, and cells by name.

Enters: a typed state, a cell 0..8, or what a person typed. Leaves: text, or a cell.
Invariant: column letters a-c go right, row numbers 1-3 go down; cell 0 is a1, cell 4 is b2, cell 8 is c3.
"""

from __future__ import annotations

from typing import Any

from games.errors import BadActionText
from games.tictactoe.state import CELLS, DRAWN, GOES_ON, WON_BY_0

STONES = ".XO"  # empty, player 0, player 1


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
