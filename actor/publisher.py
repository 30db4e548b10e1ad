"""Chunks go to the log: never lost in silence, never more in memory than the queue's bound.

In: encoded records. Out: cartridge.transitions and cartridge.episodes.
Invariant: `publish` returns only when the producer has taken the record; when its queue is full, it waits and counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from confluent_kafka import Message, Producer

from actor import metrics
from cartridge import logs
from streams import codec, kafka, topics
from streams.records import EpisodeChunk, TransitionChunk

_QUEUE_KILOBYTES = 64 << 10
_POLL_S = 0.1
_SAY_EVERY_S = 5.0
_STOP_WAIT_S = 4.0  # a stopped process is killed after 10
_log = logs.get("actor.publisher")


class Publisher:
    """The one producer of an actor process."""

    def __init__(self, bootstrap: str, *, stopping: Callable[[], bool]) -> None:
        self._stopping = stopping
        self._stop_seen_s: float | None = None
        self._gave_up = False
        self._producer: Producer = kafka.producer(
            bootstrap,
            queue_buffering_max_kbytes=_QUEUE_KILOBYTES,
            linger_ms=2,
            # A record waits for the broker as long as the actor lives; giving up would be a hole in the log.
            delivery_timeout_ms=0,
        )

    def transitions(self, chunk: TransitionChunk) -> None:
        """Hands over a chunk; blocks while the queue is full."""

        def delivered(error: object, _message: Message) -> None:
            if error is None:
                metrics.ACKNOWLEDGED.labels(chunk.run).inc(chunk.count)
            else:
                metrics.UNDELIVERED.labels(chunk.run).inc(chunk.count)
                _log.error(
                    "undelivered", run=chunk.run, sequence=chunk.sequence, rows=chunk.count, reason=str(error)
                )

        self._publish(topics.TRANSITIONS, chunk.run, chunk.actor, chunk, delivered)
        metrics.CHUNKS.labels(chunk.run).inc()

    def episodes(self, chunk: EpisodeChunk) -> None:
        """Hands over ended episodes; blocks while the queue is full."""
        self._publish(topics.EPISODES, chunk.run, chunk.actor, chunk, None)

    def _publish(
        self,
        topic: topics.Topic,
        run: str,
        actor: int,
        record: TransitionChunk | EpisodeChunk,
        delivered: Callable[[object, Message], None] | None,
    ) -> None:
        key, value = f"{run}/{actor}".encode(), codec.encode(record)
        started_s = said_s = time.monotonic()
        while not self._gave_up:
            try:
                self._producer.produce(
                    topic.name,
                    key=key,
                    value=value,
                    headers={"run": run, "actor": str(actor), "traceparent": kafka.traceparent()},
                    on_delivery=delivered,
                )
                self._producer.poll(0)
                metrics.QUEUE_MESSAGES.set(len(self._producer))
                return
            except BufferError:
                self._producer.poll(_POLL_S)
                now_s = time.monotonic()
                metrics.BACKPRESSURE.inc(now_s - started_s)
                started_s = now_s
                self._gave_up = self._stopping_since(now_s) > _STOP_WAIT_S
                if now_s - said_s > _SAY_EVERY_S:
                    said_s = now_s
                    _log.warning("backpressure", run=run, queued_messages=len(self._producer))
        # The process must go, and the log did not take it: said and counted, for these rows will be missed. What comes
        # after is given up as well, so that the log has everything up to a point.
        if isinstance(record, TransitionChunk):
            metrics.UNDELIVERED.labels(run).inc(record.count)
        _log.error("undelivered_at_stop", run=run, topic=topic.name, rows=record.count)

    def _stopping_since(self, now_s: float) -> float:
        """Seconds since the stop was first seen here; 0 while there is none."""
        if not self._stopping():
            return 0.0
        if self._stop_seen_s is None:
            self._stop_seen_s = now_s
        return now_s - self._stop_seen_s

    def flush(self, timeout_s: float) -> int:
        """Waits for acknowledgements. Returns how many records still wait."""
        left = self._producer.flush(timeout_s)
        metrics.QUEUE_MESSAGES.set(left)
        return left
