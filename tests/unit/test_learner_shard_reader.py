"""A sealed shard becomes transitions: the rows that the run asks for, in log order, with their true successors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import duckdb
import numpy as np
import pytest

from chunk_samples import FLOATS, NO_MASK, WIDE_MASK, Layout, placed, sample_chunk
from learner import shard_reader
from learner.errors import BadRun, BadShard
from learner.window import Transitions
from sealed_shards import BUCKET, FolderWarehouse, seal
from streams.records import ShardSealed
from streams.shard_table import PlacedChunk


def sample_shard(layout: Layout) -> list[PlacedChunk]:
    # many messages, so that rows that come out of a hash table come out of order
    return [
        placed(sample_chunk(offset, layout=layout, segments=(3, 1, 4)), 2, offset) for offset in range(40)
    ]


def read(folder: Path, shard: ShardSealed, *, where: str = "", layout: Layout = FLOATS) -> Transitions:
    connection = cast(duckdb.DuckDBPyConnection, FolderWarehouse(folder))
    return shard_reader.read(connection, shard, bucket=BUCKET, where=where, mask_words=layout.mask_words)


def reference(chunks: Sequence[PlacedChunk], layout: Layout) -> list[dict[str, Any]]:
    """Row by row, from the messages."""
    rows = []
    for item in chunks:
        columns, segment = item.columns, 0
        for row in range(item.chunk.count):
            ends = bool(columns.segment_end[row])
            after = {
                name: getattr(columns, f"successor_{name}")[segment]
                if ends
                else getattr(columns, name)[row + 1]
                for name in ("obs", "legal_mask", "player")
            }
            segment += ends
            rows.append(
                {
                    "obs": columns.obs[row].view("<f4").tolist(),
                    "action": int(columns.action[row].view("<u4")[0]),
                    "reward": float(columns.reward[row]),
                    "terminated": int(columns.terminated[row]),
                    "next_obs": after["obs"].view("<f4").tolist(),
                    "next_mask": after["legal_mask"].tolist() if layout.mask_words else [],
                    "same_player": int(after["player"] == columns.player[row]),
                    "log_partition": item.partition,
                    "log_offset": item.offset,
                    "log_row": row,
                    "step": int(columns.step[row]),
                    "player": int(columns.player[row]),
                }
            )
    return rows


def rows_of(transitions: Transitions) -> list[dict[str, Any]]:
    columns = {name: column.tolist() for name, column in vars(transitions).items()}
    return [{name: column[row] for name, column in columns.items()} for row in range(len(transitions))]


def only_shown(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in ("step", "player")} for row in rows]


@pytest.mark.parametrize("layout", [FLOATS, NO_MASK, WIDE_MASK], ids=["one word", "no mask", "two words"])
def test_a_shard_is_read_as_it_was_logged(layout: Layout, tmp_path: Path) -> None:
    chunks = sample_shard(layout)
    found = read(tmp_path, seal(tmp_path, chunks), layout=layout)
    assert rows_of(found) == only_shown(reference(chunks, layout))
    for name, kind in (
        ("obs", np.float32),
        ("action", np.int64),
        ("next_mask", np.uint64),
        ("reward", np.float32),
    ):
        column = getattr(found, name)
        assert column.dtype == kind
        assert column.flags.c_contiguous


def test_a_condition_lets_in_the_rows_it_is_true_of(tmp_path: Path) -> None:
    chunks = sample_shard(FLOATS)
    found = read(tmp_path, seal(tmp_path, chunks), where="step % 2 = 0 AND reward > 0")
    wanted = [row for row in reference(chunks, FLOATS) if row["step"] % 2 == 0 and row["reward"] > 0]
    assert 0 < len(wanted) < 320
    assert rows_of(found) == only_shown(wanted)


def test_a_condition_may_ask_about_the_successor(tmp_path: Path) -> None:
    chunks = sample_shard(FLOATS)
    found = read(tmp_path, seal(tmp_path, chunks), where="next_player <> player")
    wanted = [row for row in reference(chunks, FLOATS) if not row["same_player"]]
    assert 0 < len(wanted) < 320
    assert rows_of(found) == only_shown(wanted)


def test_a_condition_that_is_null_lets_nothing_in(tmp_path: Path) -> None:
    found = read(tmp_path, seal(tmp_path, sample_shard(FLOATS)), where="behaviour_log_prob > 0")
    assert len(found) == 0


def test_a_shard_of_fewer_rows_than_announced_is_refused(tmp_path: Path) -> None:
    shard = replace(seal(tmp_path, sample_shard(FLOATS)), rows=321)
    with pytest.raises(BadShard, match="has 320 rows: 321 were announced"):
        read(tmp_path, shard)


def test_a_shard_that_is_out_of_log_order_is_refused(tmp_path: Path) -> None:
    shard = seal(tmp_path, [placed(sample_chunk(1), 0, 5), placed(sample_chunk(2), 0, 4)])
    with pytest.raises(BadShard, match="breaks at offset 4 row 0"):
        read(tmp_path, shard)


@pytest.mark.parametrize("where", ["no_such_column = 1", "SELECT", "1 = 1) --", "step ="])
def test_a_condition_that_is_none_is_refused_before_anything_is_read(where: str) -> None:
    with duckdb.connect() as connection, pytest.raises(BadRun, match=r"^where is ") as error:
        shard_reader.check_where(connection, where)
    assert where in str(error.value)


@pytest.mark.parametrize(
    "where", ["step < 3", "next_player = player", "terminated OR reward > 0", "len(obs) > 2"]
)
def test_a_sound_condition_is_taken(where: str) -> None:
    with duckdb.connect() as connection:
        shard_reader.check_where(connection, where)
