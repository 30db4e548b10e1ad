"""SQL over sealed shards: exactly the announced rows, each with what followed it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
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
from sealed_shards import BUCKET, FolderWarehouse, seal
from streams import views
from streams.records import ShardSealed
from streams.shard_table import PlacedChunk


@pytest.fixture
def warehouse(tmp_path: Path) -> FolderWarehouse:
    return FolderWarehouse(tmp_path)


def transitions(shards: Sequence[ShardSealed]) -> str:
    return views.transitions(shards, BUCKET)


def sample_log(layout: Layout, *, run: str = "run-a") -> list[list[PlacedChunk]]:
    """Chunks of two partitions as the compactor would group them into three shards."""

    def at(partition: int, offset: int, segments: tuple[int, ...]) -> PlacedChunk:
        chunk = sample_chunk(7 * offset + partition, segments=segments, layout=layout, run=run)
        return placed(chunk, partition, offset)

    return [
        [at(0, 3, (3, 1, 4)), at(0, 4, (1,)), at(0, 9, (2, 2))],
        [at(1, 3, (5,)), at(1, 4, (1, 1, 1))],
        [at(0, 10, (2, 6)), at(0, 11, (4,))],
    ]


def next_of(item: PlacedChunk, layout: Layout) -> list[dict[str, Any]]:
    """Every row's place and successor, by walking the message's bytes."""
    chunk = item.chunk
    episode = np.frombuffer(chunk.episode, "<i8").tolist()
    sizes = {
        "state": layout.state_bytes,
        "obs": layout.obs_bytes,
        "legal_mask": 8 * layout.mask_words,
        "player": 1,
    }
    rows, segment = [], 0
    for row in range(chunk.count):
        found: dict[str, Any] = {
            "log_partition": item.partition,
            "log_offset": item.offset,
            "log_row": row,
        }
        ends = row + 1 == chunk.count or episode[row + 1] != episode[row]
        for name, size in sizes.items():
            source, at = (
                (getattr(chunk, f"successor_{name}"), segment) if ends else (getattr(chunk, name), row + 1)
            )
            found[f"next_{name}"] = source[at * size : (at + 1) * size]
        segment += ends
        rows.append(found)
    return rows


def columns_of(layout: Layout) -> str:
    """The places and successors in the view's columns of a game of this layout."""
    obs = "obs" if layout.obs_encoding.startswith("obs:f32x") else "obs_bytes"
    mask = "legal_mask" if layout.mask_words <= 1 else "legal_mask_words"
    return (
        f"log_partition, log_offset, log_row, next_state, next_{obs} AS next_obs, next_{mask} AS next_legal_mask,"
        " next_player"
    )


def as_bytes(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the view with its successor as bytes again."""
    obs, mask = row["next_obs"], row["next_legal_mask"]
    words = [] if mask is None else mask if isinstance(mask, list) else [mask]
    return row | {
        "next_obs": obs if isinstance(obs, bytes) else np.array(obs, "<f4").tobytes(),
        "next_legal_mask": np.array(words, "<u8").tobytes(),
        "next_player": bytes([row["next_player"]]),
    }


@pytest.mark.parametrize(
    "layout",
    [FLOATS, NO_MASK, WIDE_MASK, BYTES, AGENTS],
    ids=["floats", "no mask", "two words", "bytes", "agents"],
)
def test_every_row_has_what_really_followed_it(
    layout: Layout, tmp_path: Path, warehouse: FolderWarehouse
) -> None:
    log = sample_log(layout)
    shards = [seal(tmp_path, chunks) for chunks in log]
    found = warehouse.rows(
        f"SELECT {columns_of(layout)} FROM ({transitions(shards)}) ORDER BY log_partition, log_offset, log_row"
    )
    expected = [row for chunks in log for item in chunks for row in next_of(item, layout)]
    expected.sort(key=lambda row: (row["log_partition"], row["log_offset"], row["log_row"]))
    assert [as_bytes(row) for row in found] == expected


def test_the_view_has_the_runs_and_the_games_of_the_announcements(
    tmp_path: Path, warehouse: FolderWarehouse
) -> None:
    shards = [
        seal(tmp_path, [placed(sample_chunk(1, run="7"), 0, 0)]),
        seal(tmp_path, [placed(sample_chunk(2, run="2024-01-01", segments=(2,)), 0, 1)]),
    ]
    found = warehouse.rows(
        f"SELECT run, env_id, count(*) AS n FROM ({transitions(shards)}) GROUP BY ALL ORDER BY ALL"
    )
    assert found == [
        {"run": "2024-01-01", "env_id": "some-game", "n": 2},
        {"run": "7", "env_id": "some-game", "n": 8},
    ]


def test_messages_of_two_runs_do_not_follow_each_other(tmp_path: Path, warehouse: FolderWarehouse) -> None:
    # Two brokers' logs may both have an offset 0/5: the run keeps them apart.
    items = [placed(sample_chunk(seed, run=run), 0, 5) for seed, run in ((1, "run-a"), (2, "run-b"))]
    shards = [seal(tmp_path, [item]) for item in items]
    for item in items:
        found = warehouse.rows(
            f"SELECT {columns_of(FLOATS)} FROM ({transitions(shards)})"
            f" WHERE run = '{item.chunk.run}' ORDER BY log_row"
        )
        assert [as_bytes(row) for row in found] == next_of(item, FLOATS)


def test_only_announced_objects_are_read(tmp_path: Path, warehouse: FolderWarehouse) -> None:
    announced, _orphan, _ = (seal(tmp_path, chunks) for chunks in sample_log(FLOATS))
    found = warehouse.rows(
        f"SELECT DISTINCT log_partition, log_offset FROM ({transitions([announced])}) ORDER BY ALL"
    )
    assert [row["log_offset"] for row in found] == [3, 4, 9]


def test_replaced_shards_do_not_count(tmp_path: Path) -> None:
    first, second, third = (seal(tmp_path, chunks) for chunks in sample_log(FLOATS))
    merged = seal(tmp_path, sample_log(FLOATS)[0], shard="merged", replaces=[first.shard, third.shard])
    assert views.current([first, second, third, merged]) == [second, merged]


def test_a_chain_of_merges_leaves_the_last(tmp_path: Path) -> None:
    first, second, third = (seal(tmp_path, chunks) for chunks in sample_log(FLOATS))
    merged = seal(tmp_path, sample_log(FLOATS)[0], shard="m1", replaces=[first.shard, second.shard])
    again = seal(tmp_path, sample_log(FLOATS)[0], shard="m2", replaces=["m1", third.shard])
    assert views.current([first, second, merged, third, again]) == [again]


def test_a_shard_announced_twice_counts_once_with_its_later_record(tmp_path: Path) -> None:
    chunks = sample_log(FLOATS)[0]
    early, late = seal(tmp_path, chunks, sealed_us=1), seal(tmp_path, chunks, sealed_us=2)
    assert views.current([early, late]) == [late]


def test_without_shards_the_view_is_empty_and_has_every_column_of_any_game(
    tmp_path: Path, warehouse: FolderWarehouse
) -> None:
    def columns(sql: str) -> dict[str, str]:
        return {name: kind for name, kind, *_ in warehouse.execute(f"DESCRIBE {sql}").fetchall()}

    full: dict[str, str] = {}
    for layout in (FLOATS, WIDE_MASK, BYTES, TUPLE, VECTOR, AGENTS):
        kinds = columns(transitions([seal(tmp_path, sample_log(layout)[0])]))
        full |= {name: kind for name, kind in kinds.items() if not name.startswith(("next_", "successor_"))}
    empty = columns(transitions([]))
    assert {name: empty[name] for name in full} == full
    assert all(name in full or name.startswith(("next_", "successor_")) for name in empty)
    assert warehouse.rows(transitions([])) == []


def test_without_shards_there_are_no_episodes(warehouse: FolderWarehouse) -> None:
    warehouse.execute(f"CREATE VIEW transitions AS {transitions([])}")
    assert warehouse.rows(views.EPISODES) == []


def test_games_of_different_encodings_stand_in_one_view(tmp_path: Path, warehouse: FolderWarehouse) -> None:
    layouts = {
        "floats": FLOATS,
        "wide": WIDE_MASK,
        "none": NO_MASK,
        "bytes": BYTES,
        "tuple": TUPLE,
        "vector": VECTOR,
        "agents": AGENTS,
    }
    shards = [
        seal(tmp_path, [placed(sample_chunk(at, layout=layout, env_id=name, run=f"run-{name}"), 0, at)])
        for at, (name, layout) in enumerate(layouts.items())
    ]
    found = warehouse.rows(
        f"SELECT env_id, count(*) AS n FROM ({transitions(shards)}) GROUP BY ALL ORDER BY ALL"
    )
    assert found == [{"env_id": name, "n": 8} for name in sorted(layouts)]
    for at, (name, layout) in enumerate(layouts.items()):
        found = warehouse.rows(
            f"SELECT {columns_of(layout)} FROM ({transitions(shards)}) WHERE env_id = '{name}' ORDER BY log_row"
        )
        item = placed(sample_chunk(at, layout=layout, env_id=name, run=f"run-{name}"), 0, at)
        assert [as_bytes(row) for row in found] == next_of(item, layout)


def test_rows_keep_their_successors_in_large_shards_whatever_is_asked(
    tmp_path: Path, warehouse: FolderWarehouse
) -> None:
    # Several objects of several row groups on several threads: a successor is found by position.
    warehouse.execute("SET threads = 4")
    layout = Layout(obs_encoding="obs:f32x1:v1", obs_bytes=4, state_bytes=8)
    items = [
        placed(sample_chunk(offset, segments=(700, 1, 299) * 50, layout=layout), 0, offset)
        for offset in range(8)
    ]
    shards = [seal(tmp_path, items[:5]), seal(tmp_path, items[5:])]
    for item in items:
        ends = item.columns.segment_end
        follows = np.empty((item.chunk.count, 8), np.uint8)
        follows[:-1] = item.columns.state[1:]
        follows[ends] = item.columns.successor_state
        wanted = np.flatnonzero(item.columns.step % 7 == 3)
        table = warehouse.execute(
            f"SELECT log_row, next_state FROM ({transitions(shards)})"
            f" WHERE log_offset = {item.offset} AND step % 7 = 3 ORDER BY log_row"
        ).to_arrow_table()
        assert table.column("log_row").to_pylist() == wanted.tolist()
        assert b"".join(table.column("next_state").to_pylist()) == follows[wanted].tobytes()


def test_a_question_about_one_run_opens_that_runs_objects_only(
    tmp_path: Path, warehouse: FolderWarehouse
) -> None:
    shards = [seal(tmp_path, [placed(sample_chunk(1, run=run), 0, 0)]) for run in ("run-a", "run-b")]

    def scans(shards: Sequence[ShardSealed]) -> int:
        query = f"SELECT sum(len(next_obs)) FROM ({transitions(shards)}) WHERE run = 'run-b'"
        return str(warehouse.execute(f"EXPLAIN {query}").fetchall()).count("READ_PARQUET")

    assert scans(shards) == scans(shards[1:]) > 0


@pytest.mark.parametrize(
    "query", ["SELECT count(*)", "SELECT run, count(*)", "SELECT avg(reward), max(step)"]
)
def test_who_does_not_ask_for_successors_does_not_pay_for_them(
    query: str, tmp_path: Path, warehouse: FolderWarehouse
) -> None:
    shards = [seal(tmp_path, chunks) for chunks in sample_log(FLOATS)]
    group = " GROUP BY run" if "run" in query else ""

    def plan(sql: str) -> str:
        return str(warehouse.execute(f"EXPLAIN {sql}").fetchall())

    everything, asked = (
        plan(f"{what} FROM ({transitions(shards)}){by}")
        for what, by in (("SELECT next_obs", ""), (query, group))
    )
    assert "successor_obs" in everything
    assert "WINDOW" not in asked
    assert "HASH_JOIN" not in asked
    assert "successor" not in asked


def test_episodes_are_what_their_transitions_say(tmp_path: Path, warehouse: FolderWarehouse) -> None:
    log = sample_log(FLOATS)
    shards = [seal(tmp_path, chunks) for chunks in log]
    warehouse.execute(f"CREATE VIEW transitions AS {transitions(shards)}")
    found = {row["episode"]: row for row in warehouse.rows(views.EPISODES)}
    expected: dict[int, list[tuple[int, float, int, int, int]]] = {}
    for item in (item for chunks in log for item in chunks):
        columns = item.columns
        for at in range(item.chunk.count):
            expected.setdefault(int(columns.episode[at]), []).append(
                (
                    int(columns.step[at]),
                    float(columns.reward[at]),
                    int(columns.player[at]),
                    int(columns.terminated[at]),
                    int(columns.truncated[at]),
                )
            )
    assert found.keys() == expected.keys()
    for episode, steps in expected.items():
        row, last = found[episode], max(steps)
        assert row["length"] == len(steps)
        assert (row["last_reward"], row["last_player"]) == (last[1], last[2])
        assert row["terminated"] == any(step[3] for step in steps)
        assert row["truncated"] == any(step[4] for step in steps)


@pytest.mark.parametrize("text", ["plain", "o'clock", "''", "a'; DROP TABLE x; --", ""])
def test_a_quoted_text_is_itself(text: str, warehouse: FolderWarehouse) -> None:
    assert warehouse.execute(f"SELECT {views.quote(text)}").fetchall() == [(text,)]
