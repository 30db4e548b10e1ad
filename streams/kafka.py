"""Clients of the broker with the settings that this project relies on.

In: bootstrap servers. Out: confluent-kafka producers and consumers; whole compacted topics as records.
Invariant: every producer is idempotent, every consumer reads committed records only and commits nothing by itself.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from cartridge import logs
from streams import codec, schemas, topics
from streams.errors import BadRecord, BrokerUnavailable
from streams.records import Record

# How long the broker holds a fetch when there is nothing, and so how long the end of a topic takes to be seen: short
# for who reads once, longer for who stays, who would ask 50 times a second. New records come at once either way.
READ_WAIT_MS = 20
_FOLLOW_WAIT_MS = 100
_METADATA_S = 30.0
_TELL_EVERY_S = 5.0
_told_s: dict[str, float] = {}  # kind of error -> when it was logged last
_log = logs.get("streams.kafka")
R = TypeVar("R", bound=Record)


def _quiet(error: Any) -> None:
    """librdkafka retries transport errors by itself; they are events, not exceptions.

    Every client meets a broker that is away several times a second: each kind of error is told now and then.
    """
    kind, now_s = error.name(), time.monotonic()
    if now_s - _told_s.get(kind, -_TELL_EVERY_S) >= _TELL_EVERY_S:
        _told_s[kind] = now_s
        _log.warning("kafka_client", reason=str(error))


def producer(bootstrap: str, **settings: str | float | Callable[..., None]) -> Producer:
    """An idempotent producer: acknowledged records are in the log once, in order.

    `settings` are librdkafka's with `_` for `.`, and override the defaults here.
    """
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "enable.idempotence": True,
            "acks": "all",
            "compression.type": "lz4",
            "linger.ms": 5,
            "partitioner": "murmur2_random",  # as the Java clients: one key, one partition, whoever writes
            "message.max.bytes": 4 << 20,
            "error_cb": _quiet,
            "log_level": 0,  # what it would write to standard error is in error_cb already
            "reconnect.backoff.max.ms": 1000,
            **{name.replace("_", "."): value for name, value in settings.items()},
        }
    )


def consumer(bootstrap: str, group: str, **settings: str | float | Callable[..., None]) -> Consumer:
    """A consumer of committed records that starts at the beginning and never commits by itself."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "isolation.level": "read_committed",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.error.backoff.ms": 50,
            "error_cb": _quiet,
            "log_level": 0,  # what it would write to standard error is in error_cb already
            "reconnect.backoff.max.ms": 1000,
            **{name.replace("_", "."): value for name, value in settings.items()},
        }
    )


@dataclass(frozen=True)
class Entry:
    """One message of the log."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    tombstone: bool  # the message has no value: a compacted topic's deletion
    time_ms: int  # record time, milliseconds since 1970 UTC


def consume(client: Consumer, most: int, timeout_s: float) -> list[Message]:
    """What `client` has within `timeout_s`, at most so many messages."""
    try:
        return client.consume(most, timeout_s)
    except SystemError as error:
        # A Ctrl-C while the broker is away: confluent-kafka 2.16 loses the exception after it has called error_cb.
        raise KeyboardInterrupt from error


def entry_of(message: Message) -> Entry:
    """`message` as an entry. Raises KafkaException if it is an error instead of a record."""
    error = message.error()
    if error is not None:
        raise KafkaException(error)
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    if topic is None or partition is None or offset is None:
        raise KafkaException(KafkaError(KafkaError._BAD_MSG))
    value = message.value()
    return Entry(
        topic, partition, offset, message.key() or b"", value or b"", value is None, message.timestamp()[1]
    )


def produce_record(client: Producer, topic: topics.Topic, key: str, record: Record) -> None:
    """Hands one small record to `client`; it is in the log after the next flush."""
    client.produce(
        topic.name, key=key.encode(), value=codec.encode(record), headers={"traceparent": traceparent()}
    )


def traceparent() -> str:
    """A fresh trace for one record, as the header of that name has it. Source: W3C Trace Context, section 3.2."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def publish_schemas(bootstrap: str) -> None:
    """Puts every schema of avro/ on cartridge.schemas, so that a reader needs the broker alone."""
    client = producer(bootstrap)
    for schema in schemas.all_schemas().values():
        client.produce(topics.SCHEMAS.name, key=schema.fingerprint.hex().encode(), value=schema.text.encode())
    flush(client, bootstrap)


class Follower:
    """Reads one small topic from its beginning and then as it grows, without a group.

    `poll` returns what is new. Records that cannot be read are logged and passed over: these topics are written
    by the project's services only, and one bad record must not stop every reader.
    """

    def __init__(
        self, bootstrap: str, topic: topics.Topic, kind: type[Record], *, fetch_wait_ms: int = _FOLLOW_WAIT_MS
    ) -> None:
        self._kind = kind
        self._topic = topic.name
        self._bootstrap = bootstrap
        # The end of a partition is an event: after a transaction the last offset is a marker that is never
        # delivered, so that comparing positions with the high watermark would wait for ever.
        self._consumer = consumer(
            bootstrap, f"follower-{topic.name}", enable_partition_eof=True, fetch_wait_max_ms=fetch_wait_ms
        )
        self._unread = set(range(topic.partitions))  # partitions whose end has not been seen yet
        assign_known(
            self._consumer,
            [
                TopicPartition(topic.name, partition, OFFSET_BEGINNING)
                for partition in range(topic.partitions)
            ],
            bootstrap=bootstrap,
        )

    def poll(self, timeout_s: float = 0) -> list[Any]:
        """Records that arrived, oldest first; waits up to `timeout_s` for the first."""
        return [record for record, _ in self.poll_entries(timeout_s)]

    def poll_entries(self, timeout_s: float = 0) -> list[tuple[Any, Entry]]:
        """As `poll`, with the log entry of each record."""
        found: list[tuple[Any, Entry]] = []
        for message in consume(self._consumer, 1000, timeout_s):
            error = message.error()
            if error is not None and error.code() == KafkaError._PARTITION_EOF:
                self._unread.discard(message.partition() or 0)
                continue
            entry = entry_of(message)
            record = self._read(entry)
            if record is not None:
                found.append((record, entry))
        return found

    def catch_up(self, timeout_s: float = 30) -> list[Any]:
        """Every record from the beginning to where the topic ends now. Raises BrokerUnavailable."""
        deadline = time.monotonic() + timeout_s
        found: list[Any] = []
        while self._unread:
            if time.monotonic() > deadline:
                raise BrokerUnavailable(self._bootstrap, f"{self._topic} was not read within {timeout_s:g} s")
            found += self.poll(0.02)
        return found

    def _read(self, entry: Entry) -> Record | None:
        if entry.tombstone:
            return None
        try:
            return codec.decode(entry.value, self._kind)
        except BadRecord as error:
            _log.error("record_skipped", topic=self._topic, offset=entry.offset, reason=str(error))
            return None

    def close(self) -> None:
        self._consumer.close()


def assign_known(client: Consumer, places: list[TopicPartition], *, bootstrap: str) -> None:
    """Assigns partitions of one topic once `client` knows their leaders. Raises BrokerUnavailable.

    librdkafka would look for them after the assignment, on a timer of half a second.
    """
    try:
        client.list_topics(places[0].topic, timeout=_METADATA_S)
    except KafkaException as error:
        raise BrokerUnavailable(bootstrap, error.args[0].str()) from error
    client.assign(places)


def read_all(bootstrap: str, topic: topics.Topic, kind: type[R]) -> list[R]:
    """Every committed record of a small topic, oldest first. Raises BrokerUnavailable."""
    follower = Follower(bootstrap, topic, kind, fetch_wait_ms=READ_WAIT_MS)
    try:
        return follower.catch_up()
    finally:
        follower.close()


def flush(client: Producer, bootstrap: str, *, timeout_s: float = 30) -> None:
    """Waits until everything handed to `client` is in the log. Raises BrokerUnavailable."""
    if client.flush(timeout_s):
        raise BrokerUnavailable(bootstrap, f"records were not acknowledged within {timeout_s:g} s")
