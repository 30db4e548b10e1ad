"""When a shard is cut, and which chunks go together."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chunk_samples import BYTES, FLOATS, NO_MASK, placed, sample_chunk
from streams.shard_buffer import CutPolicy, ShardBuffer
from streams.shard_table import PlacedChunk

LOOSE: dict[str, Any] = {"rows": 10**9, "chunk_bytes": 10**9, "age_s": 10**9}


def of_rows(rows: int, *, offset: int = 0) -> PlacedChunk:
    return placed(sample_chunk(offset, segments=(rows,)), 0, offset)


def buffer_of(**policy: Any) -> ShardBuffer:
    return ShardBuffer(CutPolicy(**(LOOSE | policy)))


def test_an_empty_buffer_is_never_due() -> None:
    assert not buffer_of(rows=1, chunk_bytes=1, age_s=0.001).due(10**9)


def test_it_is_due_by_rows() -> None:
    buffer = buffer_of(rows=10)
    buffer.add(of_rows(9), value_bytes=1, now_s=0)
    assert not buffer.due(0)
    buffer.add(of_rows(1, offset=1), value_bytes=1, now_s=0)
    assert buffer.due(0)


def test_it_is_due_by_bytes_of_the_messages() -> None:
    buffer = buffer_of(chunk_bytes=100)
    buffer.add(of_rows(1), value_bytes=99, now_s=0)
    assert not buffer.due(0)
    buffer.add(of_rows(1, offset=1), value_bytes=1, now_s=0)
    assert buffer.due(0)


def test_it_is_due_by_the_age_of_the_oldest_chunk() -> None:
    buffer = buffer_of(age_s=2)
    buffer.add(of_rows(1), value_bytes=1, now_s=100)
    buffer.add(of_rows(1, offset=1), value_bytes=1, now_s=101.5)
    assert not buffer.due(101.99)
    assert buffer.due(102)


def test_rows_of_every_shard_count_together() -> None:
    buffer = buffer_of(rows=10)
    buffer.add(placed(sample_chunk(1, segments=(5,)), 0, 0), value_bytes=1, now_s=0)
    buffer.add(placed(sample_chunk(1, segments=(5,), run="run-b"), 1, 0), value_bytes=1, now_s=0)
    assert buffer.due(0)


def test_after_a_drain_it_begins_anew() -> None:
    buffer = buffer_of(rows=10, age_s=2)
    buffer.add(of_rows(10), value_bytes=1, now_s=0)
    assert len(list(buffer.drain())) == 1
    assert (buffer.rows, buffer.bytes, buffer.due(10**6)) == (0, 0, False)
    buffer.add(of_rows(1), value_bytes=1, now_s=100)
    assert not buffer.due(101.9)
    assert buffer.due(102)


def test_a_reader_waits_until_the_oldest_chunk_is_due() -> None:
    buffer = buffer_of(age_s=2)
    assert buffer.wait_s(50, longest_s=0.2) == 0.2
    buffer.add(of_rows(1), value_bytes=1, now_s=100)
    assert buffer.wait_s(100, longest_s=0.2) == 0.2
    assert buffer.wait_s(101.9, longest_s=0.2) == pytest.approx(0.1)
    assert buffer.wait_s(103, longest_s=0.2) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"run": "run-b"},
        {"env_id": "other-game"},
        {"build_id": "some-game-2"},
        {"state_encoding": "state:packed_u8:v2"},
        {"schema_version": 2},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_differs_in_run_or_encoding_goes_into_separate_shards(change: dict[str, Any]) -> None:
    buffer = buffer_of()
    for offset in range(4):
        changes = change if offset % 2 else {}
        buffer.add(placed(sample_chunk(offset, **changes), 0, offset), value_bytes=1, now_s=0)
    drained = list(buffer.drain())
    assert [[chunk.offset for chunk in chunks] for _, chunks in drained] == [[0, 2], [1, 3]]
    name, value = next(iter(change.items()))
    assert [getattr(key, name) for key, _ in drained] == [getattr(sample_chunk(0), name), value]


def test_partitions_and_widths_go_into_separate_shards() -> None:
    buffer = buffer_of()
    items = [
        placed(sample_chunk(0, layout=FLOATS), 0, 0),
        placed(sample_chunk(1, layout=FLOATS), 1, 0),
        placed(sample_chunk(2, layout=NO_MASK), 0, 1),
        placed(sample_chunk(3, layout=BYTES), 0, 2),
    ]
    for item in items:
        buffer.add(item, value_bytes=1, now_s=0)
    assert [chunks for _, chunks in buffer.drain()] == [[item] for item in items]


@given(
    sources=st.lists(st.tuples(st.sampled_from(["run-a", "run-b"]), st.integers(0, 2)), max_size=30),
    cuts=st.sets(st.integers(0, 30)),
)
def test_every_chunk_is_drained_once_in_log_order(sources: list[tuple[str, int]], cuts: set[int]) -> None:
    buffer = buffer_of()
    drained: list[PlacedChunk] = []
    for offset, (run, partition) in enumerate(sources):
        buffer.add(placed(sample_chunk(0, segments=(1,), run=run), partition, offset), value_bytes=1, now_s=0)
        if offset in cuts:
            drained += [chunk for _, chunks in buffer.drain() for chunk in chunks]
    drained += [chunk for _, chunks in buffer.drain() for chunk in chunks]
    assert Counter(chunk.offset for chunk in drained) == Counter(range(len(sources)))
    for source in set(sources):
        offsets = [chunk.offset for chunk in drained if (chunk.chunk.run, chunk.partition) == source]
        assert offsets == sorted(offsets)


@pytest.mark.parametrize("name", ["rows", "chunk_bytes", "age_s"])
@pytest.mark.parametrize("value", [0, -1])
def test_an_impossible_policy_is_refused(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=f"{name} is {value}: it must be above 0"):
        CutPolicy(**(LOOSE | {name: value}))
