"""cartridge.transitions becomes Parquet shards, exactly once.

In: TransitionChunks. Out: Parquet objects, and ShardSealed on cartridge.shards.
Invariant: a row up to the group's committed offsets is in exactly one announced shard.

The protocol of one flush; a crash between any two steps loses and repeats nothing:

1. consume chunks into the buffer until the cut policy says so;
2. write each shard's object under a key made of its partition and offsets;
3. begin a transaction;
4. produce ShardSealed for each object, and a DeadLetter for each message that could not be used;
5. send the consumed offsets to the transaction with the group's metadata, which fences a zombie;
6. commit.

Before 6 nothing is visible: the next owner of the partition consumes the same messages again, and the object that was
written is overwritten or an orphan that nobody names.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from cartridge import logs
from cartridge.objects import ObjectStore
from streams import codec, kafka, metrics, topics
from streams.chunk import columns_of
from streams.errors import BadRecord, Fenced
from streams.records import DeadLetter, ShardSealed, TransitionChunk
from streams.shard_buffer import CutPolicy, ShardBuffer
from streams.shard_table import PlacedChunk
from streams.shard_writer import ShardWriter

GROUP = "cartridge.compactor"
_LONGEST_POLL_S = 0.2
_TRANSACTION_S = 10.0
_HUNG_S = 2 * _TRANSACTION_S
_log = logs.get("streams.compactor")


def _nothing(step: str) -> None:
    """The default observer of protocol steps."""


@dataclass
class _Pending:
    """What one flush will commit besides the buffer."""

    positions: dict[int, int] = field(default_factory=dict)  # partition -> next offset to consume
    dead: list[DeadLetter] = field(default_factory=list)


class Compactor:
    """One member of the compactor group.

    `at_step` is told the name of each protocol step before it is taken; tests kill the process there.
    """

    def __init__(
        self,
        *,
        bootstrap: str,
        store: ObjectStore,
        member: str,
        policy: CutPolicy | None = None,
        at_step: Callable[[str], None] = _nothing,
    ) -> None:
        self._writer = ShardWriter(store, wait=self._wait_in_group)
        self._member = member
        self._at_step = at_step
        self._buffer = ShardBuffer(policy or CutPolicy())
        self._pending = _Pending()
        self._consumer: Consumer = kafka.consumer(
            bootstrap,
            GROUP,
            session_timeout_ms=6000,
            heartbeat_interval_ms=1000,
            partition_assignment_strategy="range",
            fetch_max_bytes=16 << 20,
            queued_max_messages_kbytes=64 << 10,
        )
        self._producer: Producer = kafka.producer(
            bootstrap,
            transactional_id=f"{GROUP}.{member}",
            transaction_timeout_ms=30_000,
            linger_ms=0,
            message_max_bytes=6 << 20,
            # librdkafka keeps the group's coordinator in a cache of this age, and after a restart of the broker waits
            # for ever for one that it has cached and given up (its issue 5511). Reconnecting often keeps it young.
            metadata_max_age_ms=1000,
            reconnect_backoff_max_ms=10_000,
        )
        self.assigned = False

    def start(self) -> None:
        """Fences an earlier process of the same member, and joins the group."""
        self._producer.init_transactions(30)
        self._consumer.subscribe(
            [topics.TRANSITIONS.name],
            on_assign=self._on_assign,
            on_revoke=self._on_lost,
            on_lost=self._on_lost,
        )

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        metrics.REBALANCES.inc()
        self._forget()
        self.assigned = True
        _log.info("partitions_assigned", partitions=sorted(place.partition for place in partitions))
        consumer.assign(partitions)  # positions are the group's committed offsets

    def _on_lost(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """The next owner starts at the committed offsets: what is buffered is theirs to consume again."""
        self._forget()
        self.assigned = False
        _log.info("partitions_revoked", partitions=sorted(place.partition for place in partitions))

    def _forget(self) -> None:
        for _ in self._buffer.drain():
            pass
        self._pending = _Pending()
        metrics.BUFFERED_ROWS.set(0)

    def run_once(self) -> int:
        """Consumes what is there, and flushes if it is time. Returns the number of shards sealed."""
        wait_s = self._buffer.wait_s(time.monotonic(), longest_s=_LONGEST_POLL_S)
        for message in self._consumer.consume(64, wait_s):
            self._take(kafka.entry_of(message))
        metrics.BUFFERED_ROWS.set(self._buffer.rows)
        if self._buffer.due(time.monotonic()) or self._pending.dead:
            return self.flush()
        return 0

    def _take(self, entry: kafka.Entry) -> None:
        """Step 1 for one message."""
        try:
            chunk = codec.decode(entry.value, TransitionChunk)
            placed = PlacedChunk(chunk, columns_of(chunk), entry.partition, entry.offset)
        except BadRecord as error:
            self._pending.dead.append(_dead_letter(entry, str(error)))
            _log.error("dead_letter", partition=entry.partition, offset=entry.offset, reason=str(error))
        else:
            self._buffer.add(placed, value_bytes=len(entry.value), now_s=time.monotonic())
            metrics.CHUNKS.inc()
        self._pending.positions[entry.partition] = entry.offset + 1

    def flush(self) -> int:
        """Steps 2 to 6 for everything buffered. Returns the number of shards sealed.

        A transaction that the broker asks to abort is aborted, and the messages are consumed again. Raises Fenced
        when another process is this member now.
        """
        if not self._pending.positions:
            return 0
        pending, self._pending = self._pending, _Pending()
        generation = self._consumer.consumer_group_metadata()
        self._at_step("write")
        sealed = [self._writer.write(key, chunks) for key, chunks in self._buffer.drain()]
        started_s = time.monotonic()
        try:
            self._announce(pending, sealed, generation)
        except KafkaException as error:
            self._abort(error)
            return 0
        metrics.FLUSH.labels("transaction").observe(time.monotonic() - started_s)
        self._count(pending, sealed)
        return len(sealed)

    def _wait_in_group(self, wait_s: float) -> None:
        """Waits without leaving the group: paused partitions give nothing. Raises Fenced if they moved meanwhile."""
        owned = self._consumer.assignment()
        self._consumer.pause(owned)
        stray = self._consumer.consume(1, wait_s)
        if stray or self._consumer.assignment() != owned:
            raise Fenced("partitions moved while the store was away: joining again")
        self._consumer.resume(owned)

    def _announce(self, pending: _Pending, sealed: list[ShardSealed], generation: object) -> None:
        self._at_step("begin")
        self._producer.begin_transaction()
        self._at_step("produce")
        for shard in sealed:
            kafka.produce_record(self._producer, topics.SHARDS, shard.shard, shard)
        for letter in pending.dead:
            place = f"{letter.topic}/{letter.partition}/{letter.offset}"
            kafka.produce_record(self._producer, topics.DEAD_LETTERS, place, letter)
        self._at_step("send_offsets")
        offsets = [
            TopicPartition(topics.TRANSITIONS.name, partition, offset)
            for partition, offset in sorted(pending.positions.items())
        ]
        _until_done(lambda: self._producer.send_offsets_to_transaction(offsets, generation, _TRANSACTION_S))
        self._at_step("commit")
        _until_done(lambda: self._producer.commit_transaction(_TRANSACTION_S))
        self._at_step("committed")

    def _abort(self, error: KafkaException) -> None:
        """Gives the transaction up. The messages are consumed again from the committed offsets."""
        reason: KafkaError = error.args[0]
        metrics.ABORTS.inc()
        _log.error("transaction_aborted", reason=reason.str(), fatal=reason.fatal())
        if reason.fatal():
            raise Fenced(f"member {self._member} was fenced: {reason.str()}") from error
        _until_done(lambda: self._producer.abort_transaction(_TRANSACTION_S))
        self._forget()
        committed = self._consumer.committed(self._consumer.assignment(), timeout=30)
        for place in committed:
            # nothing committed yet: the beginning
            self._consumer.seek(TopicPartition(place.topic, place.partition, max(place.offset, 0)))

    def _count(self, pending: _Pending, sealed: list[ShardSealed]) -> None:
        now_us = time.time_ns() // 1000
        metrics.DEAD_LETTERS.inc(len(pending.dead))
        for shard in sealed:
            metrics.SHARDS.inc()
            metrics.ROWS.inc(shard.rows)
            metrics.BYTES.inc(shard.bytes)
            metrics.SEAL_AGE.observe((now_us - shard.first_time_us) / 1e6)
            _log.info(
                "shard_sealed",
                run=shard.run,
                partition=shard.partition,
                first_offset=shard.first_offset,
                last_offset=shard.last_offset,
                rows=shard.rows,
                bytes=shard.bytes,
                age_ms=(now_us - shard.first_time_us) // 1000,
            )
        metrics.BUFFERED_ROWS.set(self._buffer.rows)

    def measure_lag(self) -> None:
        """Sets the lag gauge from what the last fetches said; asks nobody."""
        for place in self._consumer.position(self._consumer.assignment()):
            _, end = self._consumer.get_watermark_offsets(place, cached=True)
            if place.offset >= 0 and end >= 0:
                metrics.LAG.labels(str(place.partition)).set(end - place.offset)

    def close(self) -> None:
        """Leaves the group. What is buffered stays in the log for the next owner."""
        self._consumer.close()


def _until_done(call: Callable[[], object]) -> None:
    """A step of a transaction, as often as it says that it may be tried again: a broker that is away comes back."""
    while True:
        try:
            with _must_return(_HUNG_S):
                call()
        except KafkaException as error:
            if not error.args[0].retriable():
                raise
            _log.warning("transaction_waits", reason=error.args[0].str())
        else:
            return


@contextmanager
def _must_return(within_s: float) -> Iterator[None]:
    """Ends this process when the block takes longer: its successor begins at the committed offsets.

    For send_offsets_to_transaction, which does not look at its timeout (librdkafka's issue 5456).
    """
    watchdog = threading.Timer(within_s, _end_process, [within_s])
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()


def _end_process(waited_s: float) -> None:
    _log.error("transaction_hangs", waited_s=waited_s)
    os._exit(1)


def _dead_letter(entry: kafka.Entry, reason: str) -> DeadLetter:
    return DeadLetter(
        topic=entry.topic,
        partition=entry.partition,
        offset=entry.offset,
        key=entry.key,
        value=entry.value,
        reason=reason,
        rejected_by="compactor",
        rejected_us=time.time_ns() // 1000,
    )
