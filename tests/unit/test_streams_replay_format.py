"""The replay format is what its document, the Avro schema, the reader, the shards and the encodings' grammar say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chunk_samples import (
    AGENTS,
    BYTES,
    FLOATS,
    NO_MASK,
    TUPLE,
    VECTOR,
    WIDE_MASK,
    Layout,
    placed,
    sample_chunk,
)
from games import encodings
from games.errors import BadEncoding
from markdown import rows, section
from source_tree import ROOT
from streams import chunk as chunks
from streams.chunk import columns_of
from streams.replay_format import (
    COLUMNS,
    ENCODINGS,
    FORMAT_VERSION,
    EncodingForm,
    LoggedColumn,
    UnknownFormat,
    check_version,
    digest,
)
from streams.shard_table import table_of

DOCUMENT = (ROOT / "docs" / "replay-format.md").read_text()
SCHEMA = json.loads((ROOT / "avro" / "transition_chunk.avsc").read_text())
LAYOUTS = [FLOATS, NO_MASK, WIDE_MASK, BYTES, TUPLE, VECTOR, AGENTS]
AVRO_TYPES = {"i64": "i8", "i32": "i4", "u8": "u1", "u64": "u8", "f32": "f4"}

RELEASED = ROOT / "tests" / "released_formats"


def releases() -> list[tuple[Path, dict[str, Any]]]:
    return [(path, json.loads(path.read_text())) for path in sorted(RELEASED.iterdir())]


encoding_names = st.one_of(
    st.builds(
        "{}:{}{}:v{}".format,
        st.sampled_from(["state", "action", "obs"]),
        st.sampled_from(["f32x", "u32x", "packed_u8", "discrete", "i32x", "f64x", "f32x0"]),
        st.sampled_from(["", "1", "7", "29", "0", "x"]),
        st.integers(1, 12),
    )
)


def test_the_documents_columns_are_those_of_the_code() -> None:
    said = [row[:5] for row in rows(section(DOCUMENT, "Columns of a message"))]
    assert said == [
        [column.name, column.dtype, column.width, column.rows, "yes" if column.optional else "no"]
        for column in COLUMNS
    ]


def test_the_documents_encodings_are_those_of_the_code() -> None:
    said = rows(section(DOCUMENT, "Encodings by name"))
    assert said == [
        [form.form, form.dtype or "bytes", form.numbers or "–", form.shard, form.shard_type]
        for form in ENCODINGS
    ]


def test_a_changed_format_needs_a_row_in_the_document() -> None:
    # Changed on purpose: raise FORMAT_VERSION if old bytes would be misread, add a row with the new digest, and keep
    # `released_now()` as tests/released_formats/DIGEST.json.
    version, newest, *_ = rows(section(DOCUMENT, "Version"))[-1]
    assert (int(version), newest) == (FORMAT_VERSION, digest())
    assert json.loads((RELEASED / f"{newest}.json").read_text()) == json.loads(released_now())


def released_now() -> str:
    """The tables as they are kept of each release."""
    tables = {
        "version": FORMAT_VERSION,
        "columns": [astuple(column) for column in COLUMNS],
        "encodings": [astuple(form) for form in ENCODINGS],
    }
    return json.dumps(tables, indent=1) + "\n"


def test_every_row_of_the_document_is_a_release_and_every_release_has_its_row() -> None:
    said = [(int(version), made) for version, made, *_ in rows(section(DOCUMENT, "Version"))]
    assert said == sorted(said, key=lambda row: row[0])
    assert sorted(said) == sorted((released["version"], path.stem) for path, released in releases())


@pytest.mark.parametrize("release", sorted(path.name for path in RELEASED.iterdir()))
def test_a_released_format_is_as_it_was_released(release: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed file no longer has the digest that is its name."""
    tables = json.loads((RELEASED / release).read_text())
    columns = tuple(
        LoggedColumn(name, dtype, width, each, optional, tuple(shard))
        for name, dtype, width, each, optional, shard in tables["columns"]
    )
    forms = tuple(EncodingForm(*values) for values in tables["encodings"])
    monkeypatch.setattr("streams.replay_format.COLUMNS", columns)
    monkeypatch.setattr("streams.replay_format.ENCODINGS", forms)
    assert f"{digest()}.json" == release


def test_what_was_released_under_this_version_is_still_read_so() -> None:
    """Else FORMAT_VERSION rises."""
    now = {column.name: column for column in COLUMNS}
    for path, tables in releases():
        if tables["version"] != FORMAT_VERSION:
            continue
        for name, *bytes_of_it, shard in tables["columns"]:
            assert list(astuple(now[name])[1:-1]) == bytes_of_it, (path.name, name)
            assert set(shard) <= set(now[name].shard), (path.name, name)
        forms = [astuple(form) for form in ENCODINGS]
        kept = [tuple(form) for form in tables["encodings"]]
        assert [form for form in forms if form in kept] == kept, path.name


@pytest.mark.parametrize("said", [None, b"1", "1", str(FORMAT_VERSION)])
def test_a_known_version_is_taken(said: bytes | str | None) -> None:
    check_version(said)


@pytest.mark.parametrize(
    "said", [b"", b"0", b"01", b"-1", b"\xff", "one", b"9" * 5000, str(FORMAT_VERSION + 1)]
)
def test_another_version_is_refused(said: bytes | str) -> None:
    with pytest.raises(UnknownFormat, match=f"versions 1 to {FORMAT_VERSION} are known"):
        check_version(said)


def test_the_columns_are_the_bytes_fields_of_the_schema() -> None:
    fields = {field["name"]: field["doc"] for field in SCHEMA["fields"] if field["type"] == "bytes"}
    assert list(fields) == [column.name for column in COLUMNS]
    for column in COLUMNS:
        typed = re.match(r"([iuf](?:8|32|64))(?::| words)", fields[column.name])
        if typed is not None:
            assert AVRO_TYPES[typed[1]] == column.dtype, column.name
        segment = re.search("for the last row of each segment only", fields[column.name])
        assert (segment is not None) == (column.rows == "segment"), column.name
        if column.rows == "row":
            assert ("Empty where" in fields[column.name]) == column.optional, column.name


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_message_is_read_as_the_columns_say(layout: Layout) -> None:
    chunk = sample_chunk(1, layout=layout)
    columns = columns_of(chunk)
    widths = {
        "S": layout.state_bytes,
        "O": layout.obs_bytes,
        "A": layout.action_bytes,
        "W": layout.mask_words,
        "R": layout.agents,
        "1": 1,
    }
    for column in COLUMNS:
        raw: bytes = getattr(chunk, column.name)
        read = getattr(columns, column.name)
        if read is None:
            assert (column.optional, raw) == (True, b"")
            continue
        many = chunk.count if column.rows == "row" else 3
        assert read.dtype == np.dtype(f"<{column.dtype}"), column.name
        assert read.reshape(many, -1).shape == (many, widths[column.width]), column.name
        assert len(raw) == many * widths[column.width] * read.dtype.itemsize
        assert raw or column.optional


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_shard_holds_each_column_where_the_format_says(layout: Layout) -> None:
    table = table_of([placed(sample_chunk(1, layout=layout), 0, 0)])
    names = set(table.schema.names)
    for column in COLUMNS:
        there = [name for name in column.shard if name in names]
        assert there, column.name
        assert len(there) == (2 if column.name == "reward" and layout.agents > 1 else 1), column.name
    known = {name for column in COLUMNS for name in column.shard}
    assert names - known == {"log_partition", "log_offset", "log_row", "actor", "weights_version"}
    for name in (layout.obs_encoding, layout.action_encoding, "state:packed_u8:v1"):
        form = form_of(name)
        kind = table.schema.field(form.shard).type
        kind = kind.value_type if pa.types.is_fixed_size_list(kind) else kind
        assert str(kind).split("[")[0] == form.shard_type


def form_of(name: str) -> EncodingForm:
    """The first form that fits an encoding's name, as the document has it."""
    for form in ENCODINGS:
        pattern = re.escape(form.form).replace("K", "([1-9][0-9]*)").replace("NAME", "[a-z][a-z0-9_]*")
        if re.fullmatch(pattern.replace("vV", "v[1-9][0-9]*"), name):
            return form
    raise BadEncoding(f"encoding {name!r}")


@given(encoding_names)
def test_games_and_streams_read_an_encodings_name_alike(name: str) -> None:
    form = form_of(name)
    kind = name.partition(":")[0]
    if kind == "action":
        column = chunks.action_column(name)
        assert column.name == form.shard
        try:
            dtype, numbers = encodings.action_layout(name)
        except BadEncoding:
            assert form.dtype == ""
            return
        assert np.dtype(f"<{form.dtype}") == dtype
        assert (column.numbers, form.numbers) == (numbers, "1" if "discrete" in name else "K")
    elif kind == "obs":
        floats = chunks.obs_floats(name)
        try:
            size = encodings.obs_size(name)
        except BadEncoding:
            assert (floats, form.dtype) == (None, "")
            return
        assert (floats, form.dtype) == (size, "f4")
    else:
        assert (encodings.parse(name).kind, form.dtype) == ("state", "")


def reader() -> dict[str, Callable[..., Any]]:
    """The functions of the document's reader, run as it stands there."""
    lines = [
        line[4:] for line in section(DOCUMENT, "A reader").splitlines() if line.startswith("    ") or not line
    ]
    scope: dict[str, Any] = {}
    exec("\n".join(lines), scope)
    return scope


@given(encoding_names)
@example("obs:u32x2:v1")
@example("obs:discrete:v1")
@example("action:u32x2:v1")
def test_the_documents_reader_reads_encodings_as_the_table_says(name: str) -> None:
    form, value = form_of(name), tuple(range(8))
    read = NUMBERS(name, value)
    assert number_bytes(name, read) == bytes(value)
    assert len(read) == (2 if form.dtype else 8)
    assert {type(number) for number in read} == {float if form.dtype == "f4" else int}


NUMBERS = reader()["numbers"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_documents_reader_reads_what_the_code_reads(layout: Layout) -> None:
    chunk = sample_chunk(5, layout=layout)
    columns = columns_of(chunk)
    read = list(reader()["transitions"](asdict(chunk)))
    assert len(read) == chunk.count
    segment = 0
    for row, (episode, step, state, obs, action, rewards, ended, after, obs_after) in enumerate(read):
        assert (episode, step, state) == (
            columns.episode[row],
            columns.step[row],
            columns.state[row].tobytes(),
        )
        assert number_bytes(layout.obs_encoding, obs) == columns.obs[row].tobytes()
        assert number_bytes(layout.action_encoding, action) == columns.action[row].tobytes()
        assert list(rewards) == np.atleast_1d(columns.reward[row]).tolist()
        assert ended == bool(columns.terminated[row] or columns.truncated[row])
        last = bool(columns.segment_end[row])
        next_state = columns.successor_state[segment] if last else columns.state[row + 1]
        next_obs = columns.successor_obs[segment] if last else columns.obs[row + 1]
        assert after == next_state.tobytes()
        assert number_bytes(layout.obs_encoding, obs_after) == next_obs.tobytes()
        segment += last


def number_bytes(encoding: str, numbers: tuple[float, ...]) -> bytes:
    form = form_of(encoding)
    return np.array(numbers, f"<{form.dtype}" if form.dtype else np.uint8).tobytes()


@pytest.mark.parametrize(
    "changed",
    [
        LoggedColumn("episode", "i4", "1", "row", False, ("episode",)),
        LoggedColumn("episode", "i8", "1", "segment", False, ("episode",)),
    ],
)
def test_any_change_of_a_column_changes_the_digest(
    changed: LoggedColumn, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = digest()
    monkeypatch.setattr("streams.replay_format.COLUMNS", (changed, *COLUMNS[1:]))
    assert digest() != before
