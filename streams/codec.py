"""Avro single-object encoding: C3 01, the schema's fingerprint, the body.

In: a record dataclass. Out: bytes that name their own schema, and back.
Invariant: `decode(encode(record)) == record`; bytes that are anything else raise BadRecord.
Source: Avro 1.12 specification, "Single-object encoding".
"""

from __future__ import annotations

import io
from typing import Any, TypeVar

import fastavro

from streams import schemas
from streams.errors import BadRecord
from streams.records import RECORDS, Record

_MARKER = b"\xc3\x01"
_HEADER_BYTES = 10

R = TypeVar("R", bound=Record)


def encode(record: Record) -> bytes:
    """`record` in single-object encoding."""
    schema = schemas.all_schemas()[type(record).__name__]
    out = io.BytesIO()
    out.write(_MARKER)
    out.write(schema.fingerprint)
    fastavro.schemaless_writer(out, schema.parsed, vars(record))
    return out.getvalue()


def decode(value: bytes, kind: type[R]) -> R:
    """The record of type `kind` in `value`. Raises BadRecord."""
    record = decode_any(value)
    if not isinstance(record, kind):
        raise BadRecord(f"record is a {type(record).__name__}: expected {kind.__name__}")
    return record


def decode_any(value: bytes | None) -> Record:
    """The record in `value`, whatever its type. Raises BadRecord."""
    if value is None or len(value) < _HEADER_BYTES or value[:2] != _MARKER:
        raise BadRecord(
            f"value begins {(value or b'')[:2].hex() or 'empty'}: expected Avro single-object marker c301"
        )
    schema = schemas.by_fingerprint().get(value[2:_HEADER_BYTES])
    if schema is None:
        raise BadRecord(f"schema fingerprint {value[2:_HEADER_BYTES].hex()} is unknown")
    body = io.BytesIO(value)
    body.seek(_HEADER_BYTES)
    try:
        fields: Any = fastavro.schemaless_reader(body, schema.parsed, _reader_of(schema))
    except (
        EOFError,
        ValueError,
        IndexError,
        TypeError,
        OverflowError,
        UnicodeDecodeError,
        MemoryError,
    ) as error:
        raise BadRecord(f"{schema.name} cannot be read: {str(error) or type(error).__name__}") from error
    if body.tell() != len(value):
        raise BadRecord(f"{schema.name} has {len(value) - body.tell()} bytes after its end")
    return RECORDS[schema.name](**fields)


def _reader_of(schema: schemas.Schema) -> Any:
    """The schema that today's record has, where it is not the one that was written: new fields get their defaults."""
    today = schemas.all_schemas()[schema.name]
    return None if today.fingerprint == schema.fingerprint else today.parsed
