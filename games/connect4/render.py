"""Connect four in text: the board, and columns by name.

Enters: a typed state, a column 0..6, or what a person typed. Leaves: text, or a column.
Invariant: columns are a-g from the left; rows are 1-6 from the bottom, as stones pile up.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from games.connect4.state import COLUMNS, DRAWN, GOES_ON, ROWS, WON_BY_0
from games.errors import BadActionText

STONES = ".XO"  # empty, player 0, player 1
_LETTERS = "abcdefg"


def board_text(state: Any) -> str:
    """The board of one `STATE` record, in eight lines.

    The last line says who is to move or how it ended.
    """
    stones = state["stones"][:, :, np.newaxis]
    first, second = np.unpackbits(stones, axis=2, count=COLUMNS, bitorder="little")
    cells = first + 2 * second
    lines = [f"{ROWS - row} {' '.join(STONES[int(cell)] for cell in cells[row])}" for row in range(ROWS)]
    footer = f"  {' '.join(_LETTERS)}"
    return "\n".join([*lines, footer, status_text(int(state["status"]), int(state["player"]))])


def status_text(status: int, player: int) -> str:
    """Who is to move, or how the episode ended, e.g. "X to move"."""
    if status == GOES_ON:
        return f"{STONES[1 + player]} to move"
    if status == DRAWN:
        return "drawn"
    return f"{'X' if status == WON_BY_0 else 'O'} has won"


def column_text(column: int) -> str:
    """The name of column 0..6, "a".."g"."""
    return _LETTERS[column]


def parse_column(text: str) -> int:
    """The column that a person means by "d" or "3".

    Raises:
        BadActionText: it is neither.
    """
    word = text.strip().lower()
    if word in _COLUMN_OF:
        return _COLUMN_OF[word]
    raise BadActionText(
        f"move {text.strip()!r}: not a column; type a letter a-g, or a number 0-{COLUMNS - 1} from the left"
    )


_COLUMN_OF = {letter: column for column, letter in enumerate(_LETTERS)} | {
    str(column): column for column in range(COLUMNS)
}
