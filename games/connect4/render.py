"""Connect four in text and as a picture: the board, and columns by name.

Enters: a typed state, a column 0..6, or what a person typed. Leaves: text, a plan, or a column.
Invariant: columns are a-g from the left; rows are 1-6 from the bottom, as stones pile up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from games.connect4.state import COLUMNS, DRAWN, GOES_ON, ROWS, WON_BY_0
from games.errors import BadActionText
from games.render.board import board_plan, column_labels, disc, row_labels, tiles
from games.render.plan import Command, Line, RenderPlan, RenderSpec

STONES = ".XO"  # empty, player 0, player 1
_LETTERS = "abcdefg"


def board_text(state: Any) -> str:
    """The board of one `STATE` record, in eight lines.

    The last line says who is to move or how it ended.
    """
    cells = _cells(state)
    lines = [f"{ROWS - row} {' '.join(STONES[int(cell)] for cell in cells[row])}" for row in range(ROWS)]
    footer = f"  {' '.join(_LETTERS)}"
    return "\n".join([*lines, footer, status_text(int(state["status"]), int(state["player"]))])


def board_picture(state: Any, spec: RenderSpec) -> RenderPlan:
    """The board of one `STATE` record: stones in the players' colours, a stroke through every four in a row."""
    palette, cells = spec.palette, _cells(state)
    commands = [
        *row_labels((str(ROWS - row) for row in range(ROWS)), palette, y=0),
        *tiles(COLUMNS, ROWS, palette.board, y=0),
        *column_labels(_LETTERS, palette, y=ROWS),
    ]
    for row, column in np.argwhere(cells > 0).tolist():
        stone = int(cells[row, column])
        commands += disc(1 + column, row, palette.player(stone - 1), glyph=STONES[stone])
    commands += _strokes(cells, palette.ink)
    words = status_text(int(state["status"]), int(state["player"]))
    return board_plan(COLUMNS + 1.5, ROWS + 1, commands, words, spec)


def _cells(state: Any) -> npt.NDArray[np.uint8]:
    """u8[ROWS, COLUMNS] from the top left: 0 empty, 1 player 0's stone, 2 player 1's."""
    stones = state["stones"][:, :, np.newaxis]
    first, second = np.unpackbits(stones, axis=2, count=COLUMNS, bitorder="little")
    cells: npt.NDArray[np.uint8] = first + 2 * second
    return cells


def _strokes(cells: npt.NDArray[np.uint8], colour: str) -> list[Command]:
    found: list[Command] = []
    for row, column in np.argwhere(cells > 0).tolist():
        for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
            last = row + 3 * down, column + 3 * right
            if not (last[0] < ROWS and 0 <= last[1] < COLUMNS):
                continue
            line = {int(cells[row + step * down, column + step * right]) for step in range(4)}
            if len(line) == 1:
                found.append(Line(1.5 + column, 0.5 + row, 1.5 + last[1], 0.5 + last[0], colour, 0.08, 0.6))
    return found


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
