"""The replay format: how states, actions, observations and the rest lie in logged bytes and in shards.

In: nothing. Out: `FORMAT_VERSION`, the columns of a message and of a shard as data, what an encoding's name means.
Invariant: what is here is what avro/, streams/chunk.py, streams/shard_table.py and docs/replay-format.md say; a test
compares all of them, and holds the version to the digest that the document has for it.

    >>> [column.name for column in COLUMNS if column.rows == "segment"][0]
    'successor_state'
    >>> len(digest())
    16
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import astuple, dataclass
from typing import Literal

from streams.errors import StreamsError

# Rises whenever a reader of the version before would misread bytes. The document says what each version changed.
FORMAT_VERSION = 1

Rows = Literal["row", "segment"]


class UnknownFormat(StreamsError):
    """A shard of a version of the format that this build does not read."""


@dataclass(frozen=True, slots=True)
class LoggedColumn:
    """One `bytes` column of a TransitionChunk.

    Attributes:
        name: of the field in `avro/transition_chunk.avsc`.
        dtype: of one number, little-endian: numpy's name without the byte order.
        width: how many of them a row has: 1, or S, O, A, W, R (see the document).
        rows: whether there is a value for each row or for the last row of each segment.
        optional: whether the column may be empty though there are rows.
        shard: the shard's columns that hold it; the first that the encoding allows is there.
    """

    name: str
    dtype: str
    width: str
    rows: Rows
    optional: bool
    shard: tuple[str, ...]


COLUMNS = (
    LoggedColumn("episode", "i8", "1", "row", False, ("episode",)),
    LoggedColumn("step", "i4", "1", "row", False, ("step",)),
    LoggedColumn("player", "u1", "1", "row", False, ("player",)),
    LoggedColumn("state", "u1", "S", "row", False, ("state",)),
    LoggedColumn("obs", "u1", "O", "row", False, ("obs", "obs_bytes")),
    LoggedColumn(
        "action", "u1", "A", "row", False, ("action", "action_tuple", "action_vector", "action_bytes")
    ),
    LoggedColumn("legal_mask", "u8", "W", "row", True, ("legal_mask", "legal_mask_words")),
    LoggedColumn("reward", "f4", "R", "row", False, ("reward", "rewards")),
    LoggedColumn("terminated", "u1", "1", "row", False, ("terminated",)),
    LoggedColumn("truncated", "u1", "1", "row", False, ("truncated",)),
    LoggedColumn("behaviour_log_prob", "f4", "1", "row", True, ("behaviour_log_prob",)),
    LoggedColumn("time_us", "i8", "1", "row", False, ("time",)),
    LoggedColumn("successor_state", "u1", "S", "segment", False, ("successor_state",)),
    LoggedColumn("successor_obs", "u1", "O", "segment", False, ("successor_obs", "successor_obs_bytes")),
    LoggedColumn(
        "successor_legal_mask",
        "u8",
        "W",
        "segment",
        True,
        ("successor_legal_mask", "successor_legal_mask_words"),
    ),
    LoggedColumn("successor_player", "u1", "1", "segment", False, ("successor_player",)),
)


@dataclass(frozen=True, slots=True)
class EncodingForm:
    """A form of encoding names, and what bytes of it are.

    Attributes:
        form: the name, with K for a number that is 1 or more and V for a version.
        dtype: of one number, little-endian; "" for bytes that only the game reads.
        numbers: how many of them a value has: "1", "K", or "" for bytes.
        shard: the shard's column.
        shard_type: its Arrow type, the list's element type for lists.
    """

    form: str
    dtype: str
    numbers: str
    shard: str
    shard_type: str


ENCODINGS = (
    EncodingForm("state:NAME:vV", "", "", "state", "fixed_size_binary"),
    EncodingForm("action:discrete:vV", "u4", "1", "action", "int32"),
    EncodingForm("action:u32xK:vV", "u4", "K", "action_tuple", "int32"),
    EncodingForm("action:f32xK:vV", "f4", "K", "action_vector", "float"),
    EncodingForm("action:NAME:vV", "", "", "action_bytes", "fixed_size_binary"),
    EncodingForm("obs:f32xK:vV", "f4", "K", "obs", "float"),
    EncodingForm("obs:NAME:vV", "", "", "obs_bytes", "fixed_size_binary"),
)


def check_version(said: bytes | str | None) -> None:
    """Take what a shard's footer has under `cartridge.replay_format`; None if it has nothing, which is version 1.

    Raises:
        UnknownFormat: it is no version from 1 to FORMAT_VERSION.
    """
    text = said.decode("ascii", "backslashreplace") if isinstance(said, bytes) else said
    known = text is None or (re.fullmatch(r"[1-9][0-9]{0,8}", text) and int(text) <= FORMAT_VERSION)
    if not known:
        raise UnknownFormat(
            f"cartridge.replay_format = {text!r}: versions 1 to {FORMAT_VERSION} are known; read it with a newer build"
        )


def digest() -> str:
    """Sixteen hex digits that change whenever a column or an encoding does."""
    said = repr(([astuple(column) for column in COLUMNS], [astuple(form) for form in ENCODINGS]))
    return hashlib.sha256(said.encode()).hexdigest()[:16]
