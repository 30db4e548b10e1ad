"""What must be true of the log and the shards, checked with other tools than the product's.

In: a stage. Out: messages, announcements, rows; and `check_exactly_once`.
Invariant: nothing here comes from streams/: Avro is read by fastavro and avro/*.avsc, Parquet by pyarrow, objects by
MinIO's client, topics by a bare consumer.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from minio import Minio

from stage import Stage, until

AVRO = Path(__file__).resolve().parent.parent / "avro"
_NO_LEADER_YET = {KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE}


@dataclass(frozen=True)
class Message:
    """One message as it lies in the log."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, str]


def messages(stage: Stage, name: str, *, committed: bool = True) -> list[Message]:
    """Every message of a topic, partition by partition, up to where it ends now."""
    consumer = Consumer(
        {
            "bootstrap.servers": stage.kafka,
            "group.id": "oracle",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 10,  # the end is told when a fetch comes back empty
            "isolation.level": "read_committed" if committed else "read_uncommitted",
        }
    )
    topic = stage.topic(name)
    partitions = list(consumer.list_topics(topic, timeout=10).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
    open_ends, found = set(partitions), []
    while open_ends:
        message = consumer.poll(10)
        assert message is not None, f"{topic} was not read to its end"
        error = message.error()
        if error is not None:
            assert error.code() == KafkaError._PARTITION_EOF, error
            open_ends.discard(message.partition())
            continue
        place = int(message.partition() or 0), int(message.offset() or 0)
        headers = {name: bytes(value).decode() for name, value in _headers(message)}
        found.append(Message(*place, message.key(), message.value(), headers))
    consumer.close()
    return sorted(found, key=lambda message: (message.partition, message.offset))


def _headers(message: Any) -> list[tuple[str, bytes]]:
    return message.headers() or []


def decoded(value: bytes, name: str) -> dict[str, Any]:
    """A value of a schema of avro/ without its header of ten bytes."""
    path = next(path for path in AVRO.glob("*.avsc") if json.loads(path.read_text())["name"] == name)
    body = io.BytesIO(value[10:])
    record: Any = fastavro.schemaless_reader(body, fastavro.parse_schema(json.loads(path.read_text())), None)
    assert body.read() == b""
    return dict(record)


def announced(stage: Stage) -> list[dict[str, Any]]:
    """Every committed ShardSealed, oldest first."""
    return [decoded(message.value or b"", "ShardSealed") for message in messages(stage, "shards")]


def dead_letters(stage: Stage) -> list[dict[str, Any]]:
    """Every committed DeadLetter, oldest first."""
    return [decoded(message.value or b"", "DeadLetter") for message in messages(stage, "dead-letters")]


class Offsets:
    """Where the transitions end, and what the compactor's group has committed of them; use it in a `with`."""

    def __init__(self, stage: Stage) -> None:
        self._consumer = Consumer(
            {"bootstrap.servers": stage.kafka, "group.id": stage.group, "enable.auto.commit": False}
        )
        topic = stage.topic("transitions")
        partitions = self._consumer.list_topics(topic, timeout=10).topics[topic].partitions
        self._places = [TopicPartition(topic, partition) for partition in sorted(partitions)]

    def __enter__(self) -> Offsets:
        return self

    def __exit__(self, *_error: object) -> None:
        self._consumer.close()

    def committed(self) -> dict[int, int]:
        """Partition -> next offset; 0 where nothing is committed."""
        places = self._consumer.committed(self._places, timeout=30)
        return {place.partition: max(place.offset, 0) for place in places}

    def ends(self) -> dict[int, int]:
        """Partition -> next offset."""
        return {place.partition: self._end(place) for place in self._places}

    def _end(self, place: TopicPartition) -> int:
        found: list[int] = []

        def answered() -> bool:
            try:
                found.append(self._consumer.get_watermark_offsets(place, timeout=10)[1])
            except KafkaException as error:  # a topic that was made a moment ago has no leader yet
                if error.args[0].code() not in _NO_LEADER_YET:
                    raise
            return bool(found)

        until(answered, f"{place.topic} has no leader")
        return found[0]


def object_store(stage: Stage) -> Minio:
    settings = stage.settings
    return Minio(
        settings.s3_endpoint,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key,
        secure=False,
    )


def object_of(stage: Stage, key: str) -> bytes:
    """The object's bytes; minio.error.S3Error if it is not there."""
    response = object_store(stage).get_object(stage.settings.bucket, key)
    try:
        return bytes(response.read())
    finally:
        response.close()
        response.release_conn()


def shard_table(stage: Stage, shard: dict[str, Any]) -> pa.Table:
    """The rows of an announced shard, whose object must be what was announced."""
    body = object_of(stage, shard["object"])
    assert len(body) == shard["bytes"]
    assert hashlib.sha256(body).hexdigest() == shard["sha256"]
    table = pq.read_table(pa.BufferReader(body))
    assert table.num_rows == shard["rows"]
    return table


def check_exactly_once(stage: Stage, *, junk: set[tuple[int, int]]) -> int:
    """Every row up to the committed offsets stands once in announced shards, and junk once among the dead letters.

    `junk` are the places (partition, offset) of messages that are no chunks. Returns how many rows were checked.
    """
    with Offsets(stage) as offsets:
        upto = offsets.committed()
    chunks = {
        (message.partition, message.offset): decoded(message.value or b"", "TransitionChunk")
        for message in messages(stage, "transitions", committed=False)
        if message.offset < upto[message.partition] and (message.partition, message.offset) not in junk
    }
    wanted = Counter(
        (partition, offset, row)
        for (partition, offset), chunk in chunks.items()
        for row in range(chunk["count"])
    )
    found: Counter[tuple[int, int, int]] = Counter()
    shards = announced(stage)
    assert len({shard["shard"] for shard in shards}) == len(shards)
    for shard in shards:
        table = shard_table(stage, shard)
        places = [table.column(name).to_pylist() for name in ("log_partition", "log_offset", "log_row")]
        found.update(zip(*places, strict=True))
        assert set(places[0]) == {shard["partition"]}
        assert (min(places[1]), max(places[1])) == (shard["first_offset"], shard["last_offset"])
        _check_columns(table, chunks, run=shard["run"])
    assert found == wanted
    dead = Counter((letter["partition"], letter["offset"]) for letter in dead_letters(stage))
    assert dead == Counter(place for place in junk if place[1] < upto[place[0]])
    return sum(wanted.values())


def _check_columns(table: pa.Table, chunks: dict[tuple[int, int], dict[str, Any]], *, run: str) -> None:
    """The shard's rows are its messages' rows, in their order."""
    order = list(
        dict.fromkeys(zip(table["log_partition"].to_pylist(), table["log_offset"].to_pylist(), strict=True))
    )
    source = [chunks[place] for place in order]
    assert {chunk["run"] for chunk in source} == {run}
    for name, kind in (
        ("episode", "<i8"),
        ("step", "<i4"),
        ("reward", "<f4"),
        ("player", "u1"),
        ("action", "<u4"),
    ):
        logged = np.concatenate([np.frombuffer(chunk[name], kind) for chunk in source])
        assert table[name].to_pylist() == logged.tolist()
    assert b"".join(table["state"].to_pylist()) == b"".join(chunk["state"] for chunk in source)
    assert np.concatenate(table["obs"].to_pylist()).astype("<f4").tobytes() == b"".join(
        c["obs"] for c in source
    )
    expected = [chunk["weights_version"] for chunk in source for _ in range(chunk["count"])]
    assert table["weights_version"].to_pylist() == expected
