"""The protobuf wire format, as far as batches need it: fields in, fields out, no copies.

Enters: bytes of a message. Leaves: where its fields lie; or tags, lengths and padding to build one.
Invariant: whatever any protobuf library writes can be read, and whatever is written here any library can read.

Batches go this way rather than through the generated classes because those copy every column twice. Lengths are
written as four-byte varints, longer than need be but valid, so that a message's layout depends on the row count only;
`padding` fields put columns of wide numbers on multiples of eight bytes, where numpy and numba want them.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.errors import WireError
from engine.limits import MAX_FIELDS, MAX_STREAM_FIELDS

ALIGNMENT = 8
LENGTH_BYTES = 4
MAX_LENGTH = 2 ** (7 * LENGTH_BYTES) - 1
PADDING_FIELD = 15  # of every batch message, and of the stream's
COLUMN_HEAD = 1 + LENGTH_BYTES  # tag and length of fields 1-15

_VARINT, _I64, _BYTES, _I32 = 0, 1, 2, 5
_MAX_FIELD = 2**29 - 1
_VALUE = -1


def fields(
    message: bytes, start: int, stop: int, *, most: int = MAX_FIELDS
) -> Iterator[tuple[int, int, int]]:
    """Fields of the message in message[start:stop], in the order of the wire.

    Args:
        message: what holds them.
        start: where they begin.
        stop: where they end.
        most: fields that there may be, known or not.

    Yields:
        (number, value, -1) for a number, (number, from, to) for bytes or a nested message. Fixed-width fields, which
        no batch message has, are passed over.

    Raises:
        WireError: cut short, not protobuf, or more than `most` fields.
    """
    at = start
    left = most
    while at < stop:
        left -= 1
        if left < 0:
            raise WireError(f"message: has more than {most} fields; send fewer")
        key = message[at]
        at += 1
        if key >= 0x80:
            key, at = varint(message, at - 1, stop)
        number, kind = key >> 3, key & 7
        if not 0 < number <= _MAX_FIELD:
            raise WireError(f"field {number} at byte {at}: is not a field number; send a protobuf message")
        if kind == _BYTES:
            length, at = varint(message, at, stop)
            if length > stop - at:
                raise WireError(
                    f"field {number}: {length} bytes announced, {stop - at} there; the message is cut short"
                )
            yield number, at, at + length
            at += length
        elif kind == _VARINT:
            value, at = varint(message, at, stop)
            yield number, value, _VALUE
        elif kind in (_I64, _I32):
            at += 8 if kind == _I64 else 4
            if at > stop:
                raise WireError(f"field {number}: the message is cut short at byte {stop}")
        else:
            raise WireError(
                f"field {number} at byte {at}: wire type {kind} is not one; send a protobuf message"
            )


def varint(message: bytes, at: int, stop: int) -> tuple[int, int]:
    """The number at message[at:] and where it ends. Raises WireError."""
    value = shift = 0
    while at < stop and shift < 70:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7
    raise WireError(f"number at byte {at}: has no end; send a protobuf message")


def number_field(number: int, value: int) -> bytes:
    """A whole varint field; number 1-15."""
    out = bytearray([number << 3 | _VARINT])
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def column_head(number: int, length: int) -> bytes:
    """Tag and length of a bytes field, COLUMN_HEAD bytes; number 1-15. Raises WireError above MAX_LENGTH."""
    if length > MAX_LENGTH:
        raise WireError(f"field {number}: {length} bytes is over {MAX_LENGTH}; split the batch")
    return bytes(
        (
            number << 3 | _BYTES,
            length & 0x7F | 0x80,
            length >> 7 & 0x7F | 0x80,
            length >> 14 & 0x7F | 0x80,
            length >> 21,
        )
    )


def padding(at: int, after: int) -> bytes:
    """Padding to put at byte `at` so that what follows `after` more bytes lies on a multiple of ALIGNMENT."""
    missing = -(at + after) % ALIGNMENT
    if missing == 0:
        return b""
    if missing == 1:  # a field takes two bytes at least
        missing += ALIGNMENT
    return bytes((PADDING_FIELD << 3 | _BYTES, missing - 2)) + bytes(missing - 2)


# A batch in a stream's message: eight bytes, then its content from a multiple of eight to a multiple of eight.
_STREAM_PADDING = padding(0, COLUMN_HEAD)
STREAM_HEAD = len(_STREAM_PADDING) + COLUMN_HEAD
_BATCHES_FIELD = 1


def stream_head(content_bytes: int) -> bytes:
    """What comes before one batch of `content_bytes` in a StepStreamRequest or StepStreamResponse."""
    return _STREAM_PADDING + column_head(_BATCHES_FIELD, content_bytes)


def stream_batches(message: bytes) -> Iterator[tuple[int, int]]:
    """Where the batches of a StepStreamRequest or StepStreamResponse lie in it. Raises WireError."""
    for number, start, stop in fields(message, 0, len(message), most=MAX_STREAM_FIELDS):
        if number == _BATCHES_FIELD:
            if stop == _VALUE:
                raise WireError(f"batches = {start}: is a number; send a StepStreamRequest")
            yield start, stop
