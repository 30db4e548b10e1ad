"""A sealed shard becomes transitions: the rows that the run asks for, in log order, with their true successors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import duckdb
import numpy as np
import pytest

from chunk_samples import (
    AGENTS,
    FLOATS,
    NO_MASK,
    TUPLE,
    VECTOR,
    WIDE_MASK,
    Layout,
    placed,
    sample_chunk,
    spec_of,
)
from games.choices import LEVELS, Choices
from learner import shard_reader
from learner.errors import BadRun, BadShard
from learner.window import Transitions
from sealed_shards import BUCKET, FolderWarehouse, seal
from streams.records import ShardSealed
from streams.shard_table import PlacedChunk

ONE_OF_NINE = replace(NO_MASK, action_encoding="action:u32x1:v1")  # a choice of which every one is legal


def sample_shard(layout: Layout) -> list[PlacedChunk]:
    # many messages, so that rows that come out of a hash table come out of order
    return [
        placed(sample_chunk(offset, layout=layout, segments=(3, 1, 4)), 2, offset) for offset in range(40)
    ]


def read(folder: Path, shard: ShardSealed, *, where: str = "", layout: Layout = FLOATS) -> Transitions:
    connection = cast(duckdb.DuckDBPyConnection, FolderWarehouse(folder))
    return shard_reader.read(connection, shard, bucket=BUCKET, where=where, choices=Choices(spec_of(layout)))


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


@pytest.mark.parametrize("layout", [FLOATS, ONE_OF_NINE, WIDE_MASK], ids=["one word", "no mask", "two words"])
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


def test_actions_of_several_numbers_become_choices(tmp_path: Path) -> None:
    chunks = sample_shard(TUPLE)
    found = read(tmp_path, seal(tmp_path, chunks), layout=TUPLE)
    triples = np.concatenate([item.columns.action.view("<u4") for item in chunks])
    assert found.action.tolist() == [
        81 * first + 9 * second + third for first, second, third in triples.tolist()
    ]


def test_continuous_actions_become_the_nearest_choices(tmp_path: Path) -> None:
    chunks = sample_shard(VECTOR)
    found = read(tmp_path, seal(tmp_path, chunks), layout=VECTOR)
    levels = np.linspace(-3, 3, LEVELS)
    pairs = np.concatenate([item.columns.action.view("<f4") for item in chunks])
    nearest = np.abs(pairs[:, :, None] - levels).argmin(axis=2)
    assert found.action.tolist() == (LEVELS * nearest[:, 0] + nearest[:, 1]).tolist()


def test_a_row_of_several_agents_is_a_transition_for_each(tmp_path: Path) -> None:
    chunks = sample_shard(AGENTS)
    found = read(tmp_path, seal(tmp_path, chunks), layout=AGENTS, where="rewards[2] > 0")
    row = 0
    for item in chunks:
        columns, segment = item.columns, 0
        for at in range(item.chunk.count):
            ends = bool(columns.segment_end[at])
            after_obs = columns.successor_obs[segment] if ends else columns.obs[at + 1]
            after_mask = columns.successor_legal_mask[segment] if ends else columns.legal_mask[at + 1]
            segment += ends
            if columns.reward[at, 1] <= 0:
                continue
            for agent in range(4):
                own = slice(agent * (agent + 1) // 2, (agent + 1) * (agent + 2) // 2)
                indication = [float(agent == other) for other in range(4)]
                for obs, shown in ((columns.obs[at], found.obs[row]), (after_obs, found.next_obs[row])):
                    seen = obs.view("<f4")[own].tolist()
                    assert shown.tolist() == seen + [0.0] * (4 - len(seen)) + indication
                assert found.next_mask[row].tolist() == [after_mask[agent]]
                assert found.action[row] == columns.action[at].view("<u4")[agent]
                assert found.reward[row] == columns.reward[at, agent]
                assert found.terminated[row] == columns.terminated[at]
                assert (found.log_offset[row], found.log_row[row]) == (item.offset, at)
                row += 1
    assert row == len(found) > 0


def test_where_an_episode_was_cut_off_every_choice_may_be_the_best(tmp_path: Path) -> None:
    chunks = sample_shard(FLOATS)
    ended = [replace(item.chunk, successor_legal_mask=bytes(8 * 3)) for item in chunks]
    chunks = [placed(chunk, item.partition, item.offset) for chunk, item in zip(ended, chunks, strict=True)]
    found = read(tmp_path, seal(tmp_path, chunks))
    wanted = reference(chunks, FLOATS)
    cut_off = [not any(row["next_mask"]) and not row["terminated"] for row in wanted]
    for row, mask, shown in zip(wanted, found.next_mask.tolist(), cut_off, strict=True):
        assert mask == ([2**64 - 1] if shown else row["next_mask"])
    assert 0 < sum(cut_off) < sum(not any(row["next_mask"]) for row in wanted)


def test_a_shard_of_other_encodings_is_refused_by_name(tmp_path: Path) -> None:
    shard = seal(tmp_path, sample_shard(FLOATS))
    with pytest.raises(BadShard, match=r"masks of 1 words: some-game has .* and 2 now"):
        read(tmp_path, shard, layout=WIDE_MASK)


def test_a_condition_means_the_shards_own_column(tmp_path: Path) -> None:
    chunks = sample_shard(VECTOR)
    shard = seal(tmp_path, chunks)
    assert len(read(tmp_path, shard, where="action IS NULL", layout=VECTOR)) == 320
    kept = read(tmp_path, shard, where="action_vector[1] > 0", layout=VECTOR)
    assert len(kept) == sum(int((item.columns.action.view("<f4")[:, 0] > 0).sum()) for item in chunks)
