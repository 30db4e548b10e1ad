"""2048 in text: the board, and moves by name.

Enters: a typed state, an action 0..3, or what a person typed. Leaves: text, or an action.
Invariant: the first line is the top row; tiles are shown as numbers, not as exponents.
"""

from __future__ import annotations

from typing import Any

from games.errors import BadActionText
from games.game2048.state import ACTIONS

_WIDTH = 6  # of 131072, the greatest tile


def board_text(state: Any, *, ended: bool) -> str:
    """The board of one `STATE` record; the last line is its sum and whether a move is left."""
    rows = [[2**exponent if exponent else 0 for exponent in row] for row in state["exponents"].tolist()]
    lines = [" ".join(f"{tile or '.':>{_WIDTH}}" for tile in row) for row in rows]
    return "\n".join([*lines, f"sum {sum(map(sum, rows))}{', no move is left' if ended else ''}"])


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
