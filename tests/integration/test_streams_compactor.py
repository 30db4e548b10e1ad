"""The compactor on the real broker and store: chunks in, exactly their rows in announced shards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from confluent_kafka import KafkaError, KafkaException
from minio.error import S3Error

from cartridge.objects import ObjectStore, StoreUnavailable
from chunk_samples import BYTES, NO_MASK, WIDE_MASK, sample_chunk
from log_oracle import (
    Offsets,
    announced,
    check_exactly_once,
    dead_letters,
    messages,
    object_of,
    shard_table,
)
from stage import Stage, until
from streams import codec, metrics
from streams.compactor import Compactor
from streams.errors import Fenced
from streams.records import DeadLetter, ShardSealed, TransitionChunk
from streams.shard_buffer import CutPolicy

QUICK = CutPolicy(rows=10_000, age_s=0.05)


@contextmanager
def compacting(stage: Stage, *, member: str = "m0", **options: Any) -> Iterator[Compactor]:
    options.setdefault("store", stage.store())
    options.setdefault("policy", QUICK)
    compactor = Compactor(bootstrap=stage.kafka, member=member, **options)
    compactor.start()
    try:
        yield compactor
    finally:
        compactor.close()


def compact_all(stage: Stage, *compactors: Compactor) -> None:
    """Runs until everything that is in the log now is committed."""
    with Offsets(stage) as offsets:
        goal = offsets.ends()

        def done() -> bool:
            for compactor in compactors:
                compactor.run_once()
            return offsets.committed() == goal

        until(done, f"not everything up to {goal} was committed")


def log_sample(stage: Stage, *, run: str = "run-a", first: int = 0, chunks: int = 12) -> None:
    stage.log_chunks([(seed % 4, sample_chunk(seed, run=run)) for seed in range(first, first + chunks)])


def test_chunks_become_exactly_their_rows_in_announced_shards(stage: Stage) -> None:
    log_sample(stage)
    with compacting(stage) as compactor:
        compact_all(stage, compactor)
        log_sample(stage, first=12)
        compact_all(stage, compactor)
    assert check_exactly_once(stage, junk=set()) == 24 * 8
    assert len(announced(stage)) >= 8


def test_an_announcement_says_what_the_object_is(stage: Stage) -> None:
    stage.log_chunks(
        [
            (2, sample_chunk(seed, weights_version=seed + 3, time_us=b"\1\0\0\0\0\0\0\0" * 8))
            for seed in range(3)
        ]
    )
    with compacting(stage, policy=CutPolicy(rows=24)) as compactor:
        compact_all(stage, compactor)
    (shard,) = announced(stage)
    (message,) = messages(stage, "shards")
    assert message.key == shard["shard"].encode()
    assert {
        name: shard[name] for name in ("run", "env_id", "partition", "rows", "mask_words", "replaces")
    } == {
        "run": "run-a",
        "env_id": "some-game",
        "partition": 2,
        "rows": 24,
        "mask_words": 1,
        "replaces": [],
    }
    assert (shard["first_offset"], shard["last_offset"]) == (0, 2)
    assert (shard["first_weights_version"], shard["last_weights_version"]) == (3, 5)
    assert shard["first_time_us"] == shard["last_time_us"] == 1
    assert f"/{2:05d}/{0:020d}-{2:020d}" in shard["object"]
    footer = pq.read_metadata(pa.BufferReader(object_of(stage, shard["object"]))).metadata
    assert footer[b"cartridge.run"] == b"run-a"
    assert footer[b"cartridge.env_id"] == b"some-game"
    assert footer[b"cartridge.replay_format"] == b"1"


def test_two_runs_at_once_do_not_mix(stage: Stage) -> None:
    stage.log_chunks([(seed % 2, sample_chunk(seed, run=f"run-{seed % 3}")) for seed in range(18)])
    with compacting(stage) as compactor:
        compact_all(stage, compactor)
    check_exactly_once(stage, junk=set())
    shards = announced(stage)
    assert {shard["run"] for shard in shards} == {"run-0", "run-1", "run-2"}
    for run in ("run-0", "run-1", "run-2"):
        assert sum(shard["rows"] for shard in shards if shard["run"] == run) == 6 * 8
    assert all(f"/run={shard['run']}/" in shard["object"] for shard in shards)


def test_games_of_every_encoding_are_compacted(stage: Stage) -> None:
    layouts = {"bytes": BYTES, "none": NO_MASK, "wide": WIDE_MASK}
    stage.log_chunks(
        [(0, sample_chunk(at, layout=layout, run=name)) for at, (name, layout) in enumerate(layouts.items())]
    )
    with compacting(stage) as compactor:
        compact_all(stage, compactor)
    tables = {shard["run"]: shard_table(stage, shard) for shard in announced(stage)}
    assert {name: table.num_rows for name, table in tables.items()} == dict.fromkeys(layouts, 8)
    assert b"".join(tables["bytes"]["obs_bytes"].to_pylist()) == sample_chunk(0, layout=BYTES).obs


JUNK: dict[str, tuple[bytes | None, str]] = {
    "no bytes": (b"", "single-object"),
    "tombstone": (None, "single-object"),
    "text": (b"hello", "single-object"),
    "unknown schema": (b"\xc3\x01" + bytes(20), "fingerprint"),
    "cut": (codec.encode(sample_chunk(1))[:-7], "TransitionChunk"),
    "longer": (codec.encode(sample_chunk(1)) + b"x", "after its end"),
    "another record": (
        codec.encode(
            DeadLetter(
                topic="t", partition=0, offset=0, key=b"", value=b"", reason="", rejected_by="", rejected_us=0
            )
        ),
        "DeadLetter",
    ),
    "a short column": (codec.encode(sample_chunk(1, reward=b"123")), "reward"),
    "actions of eight bytes": (codec.encode(sample_chunk(1, action=bytes(64))), "action"),
    "observations of other floats": (codec.encode(sample_chunk(1, obs=bytes(8 * 16))), "obs"),
    "no rows": (codec.encode(sample_chunk(1, count=0)), "count"),
    "no run": (codec.encode(sample_chunk(1, run="")), "run"),
    "a run with a path": (codec.encode(sample_chunk(1, run="../../up")), "run"),
}


def test_junk_goes_to_dead_letters_whole_with_place_and_reason_and_the_stream_goes_on(stage: Stage) -> None:
    counted = metrics.DEAD_LETTERS._value.get()
    log_sample(stage)
    stage.produce("transitions", [(1, value) for value, _ in JUNK.values()], key=b"whose")
    log_sample(stage, first=12)
    with compacting(stage) as compactor:
        compact_all(stage, compactor)
    letters = dead_letters(stage)
    assert len(letters) == len(JUNK)
    for at, ((value, said), letter) in enumerate(zip(JUNK.values(), letters, strict=True)):
        assert (letter["topic"], letter["partition"], letter["offset"]) == (
            stage.topic("transitions"),
            1,
            3 + at,
        )
        assert (letter["key"], letter["value"]) == (b"whose", value or b"")
        assert said in letter["reason"]
        assert "\n" not in letter["reason"]
        assert letter["rejected_by"] == "compactor"
    keys = [message.key for message in messages(stage, "dead-letters")]
    assert keys == [f"{stage.topic('transitions')}/1/{3 + at}".encode() for at in range(len(JUNK))]
    assert check_exactly_once(stage, junk={(1, 3 + at) for at in range(len(JUNK))}) == 24 * 8
    assert metrics.DEAD_LETTERS._value.get() == counted + len(JUNK)


def test_junk_alone_is_committed_too(stage: Stage) -> None:
    stage.produce("transitions", [(0, b"junk")])
    with compacting(stage) as compactor:
        compact_all(stage, compactor)
    assert check_exactly_once(stage, junk={(0, 0)}) == 0
    assert len(dead_letters(stage)) == 1


def test_a_large_junk_message_fits_among_the_dead_letters(stage: Stage) -> None:
    stage.produce("transitions", [(0, b"\xff" * 900_000)])
    with compacting(stage) as compactor:
        compact_all(stage, compactor)
    assert [len(letter["value"]) for letter in dead_letters(stage)] == [900_000]


class FlakyStore(ObjectStore):
    """Refuses the first `refusals` objects."""

    def __init__(self, store: ObjectStore, *, refusals: int) -> None:
        super().__init__(store._client, store.bucket)
        self.refusals = refusals

    def put(self, key: str, body: bytes | memoryview) -> None:
        if self.refusals:
            self.refusals -= 1
            raise StoreUnavailable(f"object {key} was not stored: disk full")
        super().put(key, body)


def test_a_store_that_is_away_is_waited_for_and_nothing_is_lost(stage: Stage) -> None:
    log_sample(stage)
    store = FlakyStore(stage.store(), refusals=2)
    with compacting(stage, store=store) as compactor:
        compact_all(stage, compactor)
        log_sample(stage, first=12)
        compact_all(stage, compactor)
    assert store.refusals == 0
    assert check_exactly_once(stage, junk=set()) == 24 * 8


class ForgetfulStore(ObjectStore):
    """Says that it stored what it did not."""

    def __init__(self, store: ObjectStore) -> None:
        super().__init__(store._client, store.bucket)

    def put(self, key: str, body: bytes | memoryview) -> None:
        """Does nothing."""


def once(step: str, action: Callable[[], None]) -> Callable[[str], None]:
    """An observer that acts the first time that `step` comes."""
    left = [step]

    def observe(name: str) -> None:
        if left and name == left[0]:
            left.clear()
            action()

    return observe


@pytest.mark.parametrize("step", ["produce", "send_offsets", "commit"])
def test_an_aborted_transaction_leaves_nothing_and_is_done_again(stage: Stage, step: str) -> None:
    def fail() -> None:
        raise KafkaException(KafkaError(KafkaError._FAIL, "made up", False, False, True))

    stage.produce("transitions", [(3, b"junk")])
    log_sample(stage)
    with compacting(stage, at_step=once(step, fail)) as compactor:
        compact_all(stage, compactor)
    assert check_exactly_once(stage, junk={(3, 0)}) == 12 * 8


def test_a_fenced_zombie_ends_and_its_successor_does_the_work(stage: Stage) -> None:
    log_sample(stage)
    with compacting(stage, policy=CutPolicy(rows=10**9, age_s=1000)) as zombie:
        until(lambda: zombie.run_once() or zombie._buffer.rows == 12 * 8, "the zombie read nothing")
        with compacting(stage) as successor:
            with pytest.raises(Fenced, match="m0"):
                zombie.flush()
            zombie.close()
            compact_all(stage, successor)
    assert check_exactly_once(stage, junk=set()) == 12 * 8


def test_a_member_that_joins_shares_the_work_and_repeats_none(stage: Stage) -> None:
    log_sample(stage, chunks=20)
    with compacting(stage, member="m0", policy=CutPolicy(rows=10**9, age_s=0.5)) as first:
        until(lambda: first.run_once() or first._buffer.rows > 0, "the first member read nothing")
        with compacting(stage, member="m1") as second:
            # what the first has buffered is given up with its partitions, and consumed again by whoever gets them
            def both() -> bool:
                first.run_once()
                second.run_once()
                return first.assigned and second.assigned

            until(both, "the second member got no partition")
            log_sample(stage, first=20, chunks=20)
            compact_all(stage, first, second)
    assert check_exactly_once(stage, junk=set()) == 40 * 8


def test_without_messages_nothing_is_announced(stage: Stage) -> None:
    with compacting(stage) as compactor:
        until(lambda: compactor.run_once() or compactor.assigned, "no partitions were assigned")
        assert compactor.flush() == 0
    assert announced(stage) == []


def test_a_closed_members_buffer_stays_in_the_log(stage: Stage) -> None:
    log_sample(stage)
    with compacting(stage, policy=CutPolicy(rows=10**9, age_s=1000)) as first:
        until(lambda: first.run_once() or first._buffer.rows == 12 * 8, "the first member read nothing")
    assert announced(stage) == []
    with compacting(stage) as second:
        compact_all(stage, second)
    assert check_exactly_once(stage, junk=set()) == 12 * 8


@pytest.mark.parametrize("fault", ["a row twice", "a shard less", "another object"])
def test_the_oracle_of_these_tests_notices(stage: Stage, fault: str) -> None:
    log_sample(stage)
    with compacting(stage) as compactor:
        compact_all(stage, compactor)
    shard = ShardSealed(**announced(stage)[0])
    if fault == "a row twice":
        stage.say("shards", replace(shard, shard="another"))
    elif fault == "another object":
        stage.store().put(shard.object, b"PAR1")
    else:
        stage.log_chunks([(0, sample_chunk(99))])
        with Offsets(stage) as offsets, compacting(stage, store=ForgetfulStore(stage.store())) as compactor:
            before = offsets.committed()
            until(lambda: compactor.run_once() or offsets.committed() != before, "nothing was committed")
    with pytest.raises((AssertionError, S3Error)):
        check_exactly_once(stage, junk=set())


def test_the_largest_chunk_is_compacted(stage: Stage) -> None:
    chunk: TransitionChunk = sample_chunk(1, segments=(16,) * 800)
    stage.log_chunks([(0, chunk)])
    with compacting(stage) as compactor:
        compact_all(stage, compactor)
    assert check_exactly_once(stage, junk=set()) == 16 * 800
