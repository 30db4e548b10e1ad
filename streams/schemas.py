"""The Avro schemas: read from avro/, known by fingerprint, published to cartridge.schemas.

In: avro/*.avsc, and avro/released/*.avsc, which holds every schema that records were ever written with. Out: parsed
schemas by record name and by CRC-64-AVRO fingerprint. Invariant: a schema is read from its file once a process.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

AVRO_FOLDER = Path(__file__).resolve().parent.parent / "avro"


@dataclass(frozen=True)
class Schema:
    """One record's schema."""

    name: str  # such as TransitionChunk
    fingerprint: bytes  # 8 bytes, little-endian CRC-64-AVRO of the canonical form
    parsed: Any  # as fastavro.parse_schema gives it
    text: str  # the JSON as released


@functools.cache
def all_schemas() -> dict[str, Schema]:
    """The schemas that records are written with, by record name."""
    return {schema.name: schema for schema in map(_read, sorted(AVRO_FOLDER.glob("*.avsc")))}


@functools.cache
def by_fingerprint() -> dict[bytes, Schema]:
    """Every schema that a record may have been written with, by fingerprint."""
    released = map(_read, sorted((AVRO_FOLDER / "released").glob("*.avsc")))
    return {schema.fingerprint: schema for schema in (*released, *all_schemas().values())}


def _read(path: Path) -> Schema:
    text = path.read_text()
    raw = json.loads(text)
    # fastavro gives this fingerprint in the byte order of single-object encoding: little-endian
    mark = bytes.fromhex(fingerprint(to_parsing_canonical_form(raw), "CRC-64-AVRO"))
    parsed = fastavro.parse_schema(raw, named_schemas={})  # versions of one record do not meet
    return Schema(str(raw["name"]), mark, parsed, text)
