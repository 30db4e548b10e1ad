"""Single-object encoding: what is written is read back, by anybody; anything else is a BadRecord."""

from __future__ import annotations

import io
import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import fastavro
import pytest
from fastavro.schema import fingerprint, to_parsing_canonical_form
from hypothesis import given, settings
from hypothesis import strategies as st

from cartridge.wish import Wish, spec_of
from chunk_samples import sample_chunk
from streams import codec, schemas
from streams.errors import BadRecord
from streams.records import (
    RECORDS,
    DeadLetter,
    EpisodeChunk,
    Record,
    RunSpec,
    RunStatus,
    ShardSealed,
    TransitionChunk,
    WeightsPublished,
)

SCHEMAS: dict[str, dict[str, Any]] = {
    schema["name"]: schema
    for schema in (json.loads(path.read_text()) for path in schemas.AVRO_FOLDER.glob("*.avsc"))
}


def values_of(avro: Any) -> st.SearchStrategy[Any]:
    if isinstance(avro, dict):
        match avro["type"]:
            case "enum":
                return st.sampled_from(avro["symbols"])
            case "array":
                return st.lists(values_of(avro["items"]), max_size=4)
            case "map":
                return st.dictionaries(st.text(max_size=8), values_of(avro["values"]), max_size=4)
    return {
        "string": st.text(max_size=20),
        "int": st.integers(-(2**31), 2**31 - 1),
        "long": st.integers(-(2**63), 2**63 - 1),
        "bytes": st.binary(max_size=40),
        "float": st.floats(width=32, allow_nan=False),
        "double": st.floats(allow_nan=False),
        "boolean": st.booleans(),
    }[avro]


def records_of(name: str) -> st.SearchStrategy[Record]:
    columns = {field["name"]: values_of(field["type"]) for field in SCHEMAS[name]["fields"]}
    return st.builds(RECORDS[name], **columns)


RECORD = st.sampled_from(sorted(SCHEMAS)).flatmap(records_of)

SAMPLES: list[Record] = [
    sample_chunk(1),
    EpisodeChunk(
        run="r",
        actor=0,
        incarnation=1,
        sequence=2,
        weights_version=3,
        env_id="g",
        count=1,
        players=2,
        episode=b"12345678",
        length=b"1234",
        returns=b"12345678",
        truncated=b"\0",
        ended_us=b"12345678",
    ),
    ShardSealed(
        shard="s",
        run="r",
        env_id="g",
        build_id="b",
        state_encoding="s",
        action_encoding="a",
        obs_encoding="o",
        schema_version=1,
        mask_words=1,
        topic="t",
        partition=0,
        first_offset=1,
        last_offset=2,
        object="k",
        rows=3,
        bytes=4,
        sha256="00",
        first_time_us=5,
        last_time_us=6,
        first_weights_version=7,
        last_weights_version=8,
        sealed_us=9,
        replaces=["x", "y"],
    ),
    WeightsPublished(
        run="r",
        version=1,
        checkpoint="c",
        manifest_sha256="00",
        gradient_steps=1,
        samples=2,
        inserted_rows=3,
        allowed_rows=4,
        evaluation={"strength": 0.5},
        verdict="unbeatable",
        final=True,
        published_us=5,
    ),
    replace(spec_of(Wish(env_id="tictactoe")), exploration=0.5, learning_rate=0.25),
    RunStatus(
        run="r",
        component="actor-0",
        state="RUNNING",
        message="",
        incarnation=0,
        weights_version=1,
        numbers={"a": 1.5},
        time_us=2,
    ),
    DeadLetter(
        topic="t",
        partition=0,
        offset=1,
        key=b"k",
        value=b"v",
        reason="why",
        rejected_by="compactor",
        rejected_us=2,
    ),
]


def crc_64_avro(data: bytes) -> bytes:
    """Avro 1.12 specification, "Schema Fingerprints", bit by bit; in the byte order of single-object encoding."""
    empty = 0xC15D213AA4D7A795
    mark = empty
    for byte in data:
        mark ^= byte
        for _ in range(8):
            mark = (mark >> 1) ^ (empty if mark & 1 else 0)
    return mark.to_bytes(8, "little")


def test_the_samples_are_of_every_record() -> None:
    assert {type(record).__name__ for record in SAMPLES} == set(RECORDS)


@settings(max_examples=200, deadline=None)
@given(record=RECORD)
def test_what_is_encoded_is_decoded(record: Record) -> None:
    assert codec.decode(codec.encode(record), type(record)) == record


def test_a_runs_settings_come_out_of_the_log_as_they_were_given() -> None:
    # 0.002 has no 32-bit float: the record must hold it as the person gave it
    spec = spec_of(Wish(env_id="tictactoe", learning_rate=2e-3, exploration=0.1, samples_per_insert=0.3))
    assert codec.decode(codec.encode(spec), RunSpec) == spec


@pytest.mark.parametrize("record", SAMPLES, ids=lambda record: type(record).__name__)
def test_the_header_is_the_specifications(record: Record) -> None:
    value = codec.encode(record)
    canonical = to_parsing_canonical_form(SCHEMAS[type(record).__name__])
    assert value[:2] == b"\xc3\x01"
    assert value[2:10] == crc_64_avro(canonical.encode())


@pytest.mark.parametrize("record", SAMPLES, ids=lambda record: type(record).__name__)
def test_the_body_is_plain_avro_of_the_schema_file(record: Record) -> None:
    schema = fastavro.parse_schema(SCHEMAS[type(record).__name__])
    body = io.BytesIO(codec.encode(record)[10:])
    read: Any = fastavro.schemaless_reader(body, schema, None)
    assert read == vars(record)
    assert list(read) == [field.name for field in fields(record)]
    assert body.read() == b""


@pytest.mark.parametrize("record", SAMPLES, ids=lambda record: type(record).__name__)
def test_a_record_cut_anywhere_is_refused(record: Record) -> None:
    value = codec.encode(record)
    for length in range(len(value)):
        with pytest.raises(BadRecord):
            codec.decode_any(value[:length])


@pytest.mark.parametrize("record", SAMPLES, ids=lambda record: type(record).__name__)
@pytest.mark.parametrize("tail", [b"\0", b"more"])
def test_bytes_after_the_end_are_refused(record: Record, tail: bytes) -> None:
    with pytest.raises(BadRecord, match=f"{type(record).__name__} has {len(tail)} bytes after its end"):
        codec.decode_any(codec.encode(record) + tail)


def test_an_unknown_fingerprint_is_refused_and_named() -> None:
    value = bytearray(codec.encode(SAMPLES[0]))
    value[2:10] = bytes(range(8))
    with pytest.raises(BadRecord, match="fingerprint 0001020304050607 is unknown"):
        codec.decode_any(bytes(value))


@pytest.mark.parametrize(
    "value", [None, b"", b"\xc3", b"\xc3\x01", b"{}", b"junk that is long enough", bytes(64)]
)
def test_what_is_not_single_object_encoding_is_refused(value: bytes | None) -> None:
    with pytest.raises(BadRecord, match="expected Avro single-object marker c301"):
        codec.decode_any(value)


def test_a_record_of_another_kind_is_refused() -> None:
    with pytest.raises(BadRecord, match="record is a DeadLetter: expected TransitionChunk"):
        codec.decode(codec.encode(SAMPLES[-1]), TransitionChunk)


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(sorted(SCHEMAS)), body=st.binary(max_size=200))
def test_any_bytes_are_a_record_or_a_bad_record(name: str, body: bytes) -> None:
    value = b"\xc3\x01" + schemas.all_schemas()[name].fingerprint + body
    try:
        record: Record | None = codec.decode_any(value)
    except BadRecord:
        record = None
    assert record is None or type(record) is RECORDS[name]


@settings(max_examples=200, deadline=None)
@given(
    which=st.integers(0, len(SAMPLES) - 1),
    places=st.lists(st.tuples(st.integers(0, 1 << 12), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_a_damaged_record_is_a_record_or_a_bad_record(which: int, places: list[tuple[int, int]]) -> None:
    value = bytearray(codec.encode(SAMPLES[which]))
    for place, byte in places:
        value[place % len(value)] = byte
    try:
        record = codec.decode_any(bytes(value))
    except BadRecord:
        return
    assert isinstance(record, Record)


RELEASED = sorted((schemas.AVRO_FOLDER / "released").glob("*.avsc"))


def test_every_schema_in_use_has_been_kept() -> None:
    assert {path.name.split(".")[0] for path in RELEASED} == {
        path.stem for path in schemas.AVRO_FOLDER.glob("*.avsc")
    }


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.name)
@given(st.data())
@settings(max_examples=10)
def test_records_of_every_released_schema_are_read(path: Path, data: st.DataObject) -> None:
    released = json.loads(path.read_text())
    written = {field["name"]: data.draw(values_of(field["type"])) for field in released["fields"]}
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(released, named_schemas={}), written)
    mark = next(mark for mark, schema in schemas.by_fingerprint().items() if schema.text == path.read_text())
    record = codec.decode_any(b"\xc3\x01" + mark + out.getvalue())
    assert type(record).__name__ == released["name"]
    assert {name: getattr(record, name) for name in written} == written


def test_what_an_older_record_lacks_is_its_default() -> None:
    newest = sample_chunk(1)
    old = json.loads((schemas.AVRO_FOLDER / "released" / "transition_chunk.1.avsc").read_text())
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(old, named_schemas={}), vars(newest))
    mark = bytes.fromhex(fingerprint(to_parsing_canonical_form(old), "CRC-64-AVRO"))
    assert codec.decode_any(b"\xc3\x01" + mark + out.getvalue()) == newest
