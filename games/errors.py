"""What a game refuses, and why.

Enters: the offending row and value. Leaves: exceptions whose text is one line that names the field, the value and what
to do next. Invariant: whoever catches one of these knows that no array given to the game was changed.
"""

from __future__ import annotations


class GameError(ValueError):
    """Base of everything that games raise about their input."""


class UnknownGame(GameError):
    """No game of that name is registered.

    Attributes:
        env_id: the name that was asked for.
        known: the names that there are, sorted.
    """

    def __init__(self, env_id: str, known: tuple[str, ...]) -> None:
        self.env_id = env_id
        self.known = known
        super().__init__(f"env_id {env_id!r}: no such game; there are: {', '.join(known) or 'none'}")


class BrokenPlugin(GameError):
    """A plugin of that name is installed, and no game could be made of it.

    Attributes:
        env_id: the name that was asked for.
        reason: why, in one line.
    """

    def __init__(self, env_id: str, reason: str) -> None:
        self.env_id = env_id
        self.reason = reason
        super().__init__(f"env_id {env_id!r}: {reason}; repair or remove that package and restart")


class BadSpec(GameError):
    """A game describes itself in a way that cannot be."""


class BadEncoding(GameError):
    """An encoding's name is not of the form kind:layout:vN, or its layout is not known."""


class NotOffered(GameError):
    """A game is asked for something that only some games have, such as lines of sight."""


class BadHint(GameError):
    """A reset hint that the game does not understand."""


class BadBatch(GameError):
    """An array's dtype, shape or memory layout is not what the game's spec says."""


class RowError(GameError):
    """One row of a batch was refused, and the whole batch with it.

    Attributes:
        row: index of the first refused row.
        field: the column, "states" or "actions".
        value: the refused bytes.
        reason: what is wrong with it, without a full stop.
    """

    field = "rows"

    def __init__(self, row: int, value: bytes, reason: str) -> None:
        self.row = row
        self.value = value
        self.reason = reason
        super().__init__(f"{self.field}[{row}] = 0x{value.hex()}: {reason}")


class BadState(RowError):
    """State bytes that no sequence of moves leads to, or a step from a state where the episode has ended."""

    field = "states"


class IllegalAction(RowError):
    """Action bytes that are outside the action space or not legal in that row's state."""

    field = "actions"


class BadPicture(GameError):
    """A picture that cannot be drawn: its size, a number or a colour of it, or whose sight it should show."""


class BadActionText(GameError):
    """A person's move that the game cannot read."""
