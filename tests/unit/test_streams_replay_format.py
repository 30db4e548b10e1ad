"""The replay format is what its document, the Avro schema, the reader, the shards and the encodings' grammar say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
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
from streams.replay_format import COLUMNS, ENCODINGS, FORMAT_VERSION, EncodingForm, LoggedColumn, digest
from streams.shard_table import table_of

DOCUMENT = (ROOT / "docs" / "replay-format.md").read_text()
SCHEMA = json.loads((ROOT / "avro" / "transition_chunk.avsc").read_text())
LAYOUTS = [FLOATS, NO_MASK, WIDE_MASK, BYTES, TUPLE, VECTOR, AGENTS]
AVRO_TYPES = {"i64": "i8", "i32": "i4", "u8": "u1", "u64": "u8", "f32": "f4"}

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
    # Changed on purpose: raise FORMAT_VERSION if old bytes would be misread, and add a row with the new digest.
    version, newest, *_ = rows(section(DOCUMENT, "Version"))[-1]
    assert (int(version), newest) == (FORMAT_VERSION, digest())


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


def reader() -> Callable[[dict[str, Any]], Any]:
    """The document's reader, run as it stands there."""
    lines = [
        line[4:] for line in section(DOCUMENT, "A reader").splitlines() if line.startswith("    ") or not line
    ]
    scope: dict[str, Any] = {}
    exec("\n".join(lines), scope)
    transitions: Callable[[dict[str, Any]], Any] = scope["transitions"]
    return transitions


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_documents_reader_reads_what_the_code_reads(layout: Layout) -> None:
    chunk = sample_chunk(5, layout=layout)
    columns = columns_of(chunk)
    read = list(reader()(asdict(chunk)))
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
