"""A shard is the log's bytes with types: nothing lost, nothing changed, readable by anybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

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
from streams.records import TransitionChunk
from streams.shard_table import PlacedChunk, parquet_of, table_of

LAYOUTS = {
    "floats": FLOATS,
    "no mask": NO_MASK,
    "two words": WIDE_MASK,
    "bytes": BYTES,
    "tuple": TUPLE,
    "vector": VECTOR,
    "agents": AGENTS,
}
ACTIONS = {"discrete": ("action", "<u4"), "u": ("action_tuple", "<u4"), "f": ("action_vector", "<f4")}


def sample_shard(layout: Layout) -> list[PlacedChunk]:
    return [
        placed(sample_chunk(1, layout=layout, segments=(3, 1, 4)), 2, 10),
        placed(sample_chunk(2, layout=layout, segments=(1,), weights_version=9, actor=0), 2, 11),
        placed(sample_chunk(3, layout=layout, segments=(1, 1, 5, 2)), 2, 15),
    ]


def values(column: bytes, kind: str, width: int = 1) -> list[Any]:
    """A column of a chunk as Python sees it; lists where a row has several values."""
    flat = np.frombuffer(column, kind).tolist()
    return flat if width == 1 else [flat[at : at + width] for at in range(0, len(flat), width)]


def pieces(column: bytes, width: int) -> list[bytes]:
    return [column[at : at + width] for at in range(0, len(column), width)]


def spread(ends: list[bool], of_segments: list[Any]) -> list[Any]:
    """The k-th value at the k-th end, None elsewhere."""
    left = iter(of_segments)
    return [next(left) if end else None for end in ends]


def expected_rows(
    chunk: TransitionChunk, partition: int, offset: int, layout: Layout
) -> list[dict[str, Any]]:
    rows = chunk.count
    episode = values(chunk.episode, "<i8")
    ends = [row + 1 == rows or episode[row + 1] != episode[row] for row in range(rows)]
    floats = layout.obs_encoding.startswith("obs:f32x")
    words = layout.mask_words

    def observations(column: bytes) -> list[Any]:
        return values(column, "<f4", layout.obs_bytes // 4) if floats else pieces(column, layout.obs_bytes)

    def masks(column: bytes, count: int) -> list[Any]:
        return values(column, "<u8", words) if words else [None] * count

    obs = "obs" if floats else "obs_bytes"
    action, dtype = next(
        (column for kind, column in ACTIONS.items() if layout.action_encoding.startswith(f"action:{kind}")),
        ("action_bytes", ""),
    )
    rewards = values(chunk.reward, "<f4", layout.agents)
    mask = "legal_mask" if words <= 1 else "legal_mask_words"
    columns = {
        "log_partition": [partition] * rows,
        "log_offset": [offset] * rows,
        "log_row": list(range(rows)),
        "actor": [chunk.actor] * rows,
        "weights_version": [chunk.weights_version] * rows,
        "episode": episode,
        "step": values(chunk.step, "<i4"),
        "player": values(chunk.player, "u1"),
        "state": pieces(chunk.state, layout.state_bytes),
        obs: observations(chunk.obs),
        action: values(chunk.action, dtype, layout.action_bytes // 4)
        if dtype
        else pieces(chunk.action, layout.action_bytes),
        mask: masks(chunk.legal_mask, rows),
        **(
            {"reward": rewards}
            if layout.agents == 1
            else {"reward": np.array(rewards, np.float32).sum(axis=1).tolist(), "rewards": rewards}
        ),
        "terminated": [flag == 1 for flag in chunk.terminated],
        "truncated": [flag == 1 for flag in chunk.truncated],
        "behaviour_log_prob": values(chunk.behaviour_log_prob, "<f4") or [None] * rows,
        "time": values(chunk.time_us, "<i8"),
        "successor_state": spread(ends, pieces(chunk.successor_state, layout.state_bytes)),
        f"successor_{obs}": spread(ends, observations(chunk.successor_obs)),
        f"successor_{mask}": spread(ends, masks(chunk.successor_legal_mask, sum(ends))),
        "successor_player": spread(ends, values(chunk.successor_player, "u1")),
    }
    return [{name: column[row] for name, column in columns.items()} for row in range(rows)]


def with_microseconds(table: pa.Table) -> list[dict[str, Any]]:
    at = table.schema.get_field_index("time")
    rows: list[dict[str, Any]] = table.set_column(
        at, "time", table.column("time").cast(pa.int64())
    ).to_pylist()
    return rows


@pytest.mark.parametrize("name", LAYOUTS)
def test_pyarrow_reads_back_exactly_what_was_logged(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    shard = sample_shard(layout)
    path = tmp_path / "shard.parquet"
    path.write_bytes(parquet_of(table_of(shard), {}).to_pybytes())
    expected = [
        row for item in shard for row in expected_rows(item.chunk, item.partition, item.offset, layout)
    ]
    assert with_microseconds(pq.read_table(path)) == expected


@pytest.mark.parametrize("name", LAYOUTS)
def test_duckdb_reads_back_exactly_what_was_logged(name: str, tmp_path: Path) -> None:
    layout = LAYOUTS[name]
    shard = sample_shard(layout)
    path = tmp_path / "shard.parquet"
    path.write_bytes(parquet_of(table_of(shard), {}).to_pybytes())
    with duckdb.connect() as connection:
        read = connection.execute(
            f"SELECT * REPLACE (epoch_us(time) AS time) FROM read_parquet('{path}')"
        ).to_arrow_table()
    expected = [
        row for item in shard for row in expected_rows(item.chunk, item.partition, item.offset, layout)
    ]
    assert read.to_pylist() == expected


def test_columns_have_the_types_that_readers_rely_on(tmp_path: Path) -> None:
    path = tmp_path / "shard.parquet"
    path.write_bytes(parquet_of(table_of(sample_shard(FLOATS)), {}).to_pybytes())
    with duckdb.connect() as connection:
        types = {
            name: kind
            for name, kind, *_ in connection.execute(f"DESCRIBE FROM read_parquet('{path}')").fetchall()
        }
    assert types == {
        "log_partition": "INTEGER",
        "log_offset": "BIGINT",
        "log_row": "INTEGER",
        "actor": "INTEGER",
        "weights_version": "BIGINT",
        "episode": "BIGINT",
        "step": "INTEGER",
        "player": "UTINYINT",
        "state": "BLOB",
        "obs": "FLOAT[]",
        "action": "INTEGER",
        "legal_mask": "UBIGINT",
        "reward": "FLOAT",
        "terminated": "BOOLEAN",
        "truncated": "BOOLEAN",
        "behaviour_log_prob": "FLOAT",
        "time": "TIMESTAMP WITH TIME ZONE",
        "successor_state": "BLOB",
        "successor_obs": "FLOAT[]",
        "successor_legal_mask": "UBIGINT",
        "successor_player": "UTINYINT",
    }


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_table_is_sound_arrow(name: str) -> None:
    table = table_of(sample_shard(LAYOUTS[name]))
    table.validate(full=True)
    for field in table.schema:
        assert field.nullable or table.column(field.name).null_count == 0


def test_successors_are_at_the_ends_of_segments_only() -> None:
    table = table_of(sample_shard(FLOATS))
    ends = [True if flag else None for flag in (0, 0, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 1)]
    for name in ("successor_state", "successor_obs", "successor_legal_mask", "successor_player"):
        assert [True if valid else None for valid in table.column(name).is_valid().to_pylist()] == ends


def test_the_footer_holds_what_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "shard.parquet"
    path.write_bytes(parquet_of(table_of(sample_shard(FLOATS)), {"cartridge.run": "run-a"}).to_pybytes())
    assert pq.read_metadata(path).metadata[b"cartridge.run"] == b"run-a"


def test_the_same_chunks_make_the_same_object() -> None:
    # A retry overwrites what a crash left: under one key there is ever one content.
    first, second = (parquet_of(table_of(sample_shard(FLOATS)), {"k": "v"}).to_pybytes() for _ in range(2))
    assert first == second
