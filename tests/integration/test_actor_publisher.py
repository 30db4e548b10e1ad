"""The publisher on the real broker: in order, once, and never more in memory than its queue holds."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Producer

from actor import metrics
from actor.publisher import Publisher
from chunk_samples import sample_chunk
from log_oracle import decoded, messages
from stage import Stage, until
from streams import kafka
from streams.records import EpisodeChunk

Wait = Callable[[], float]


def no() -> bool:
    return False


def with_queue_of(monkeypatch: pytest.MonkeyPatch, queued: int, **more: Any) -> None:
    """The publisher's producer gets a queue of so many messages."""
    real = kafka.producer

    def tiny(bootstrap: str, **settings: Any) -> Producer:
        settings.pop("queue_buffering_max_kbytes", None)
        return real(bootstrap, **{**settings, "queue_buffering_max_messages": queued, **more})

    monkeypatch.setattr(kafka, "producer", tiny)


def episodes_of(sequence: int, *, count: int = 2) -> EpisodeChunk:
    return EpisodeChunk(
        run="run-a",
        actor=1,
        incarnation=0,
        sequence=sequence,
        weights_version=0,
        env_id="some-game",
        count=count,
        players=2,
        episode=np.arange(count, dtype=np.int64).tobytes(),
        length=np.ones(count, np.int32).tobytes(),
        returns=np.zeros((count, 2), np.float32).tobytes(),
        truncated=bytes(count),
        ended_us=bytes(8 * count),
    )


def waited_s() -> float:
    return float(metrics.BACKPRESSURE._value.get())


def acknowledged(run: str) -> float:
    return float(metrics.ACKNOWLEDGED.labels(run)._value.get())


def test_chunks_are_in_the_log_once_and_in_order(stage: Stage) -> None:
    publisher = Publisher(stage.kafka, stopping=no)
    for sequence in range(60):
        publisher.transitions(sample_chunk(sequence))
        publisher.episodes(episodes_of(sequence))
    assert publisher.flush(30) == 0
    for name, record in (("transitions", "TransitionChunk"), ("episodes", "EpisodeChunk")):
        found = messages(stage, name)
        assert {message.partition for message in found} == {found[0].partition}  # one actor, one partition
        assert {message.key for message in found} == {b"run-a/1"}
        assert [decoded(message.value or b"", record)["sequence"] for message in found] == list(range(60))
        assert all(message.headers["run"] == "run-a" and message.headers["actor"] == "1" for message in found)


def test_what_was_published_is_what_is_read(stage: Stage) -> None:
    publisher = Publisher(stage.kafka, stopping=no)
    chunk = sample_chunk(5, segments=(16,) * 300)
    publisher.transitions(chunk)
    assert publisher.flush(30) == 0
    (message,) = messages(stage, "transitions")
    assert decoded(message.value or b"", "TransitionChunk") == vars(chunk)


def test_a_full_queue_holds_the_actor_back_and_loses_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_queue_of(monkeypatch, 3, linger_ms=20)
    before = waited_s()
    publisher = Publisher(stage.kafka, stopping=no)
    for sequence in range(80):
        publisher.transitions(sample_chunk(sequence))
    assert publisher.flush(30) == 0
    assert waited_s() > before
    found = [decoded(message.value or b"", "TransitionChunk") for message in messages(stage, "transitions")]
    assert [chunk["sequence"] for chunk in found] == list(range(80))


def test_rows_count_as_acknowledged_when_the_log_has_them(stage: Stage) -> None:
    publisher = Publisher(stage.kafka, stopping=no)
    for sequence in range(10):
        publisher.transitions(sample_chunk(sequence, run="counted"))
    assert publisher.flush(30) == 0
    assert acknowledged("counted") == 80
    assert metrics.QUEUE_MESSAGES._value.get() == 0


def test_at_a_stop_a_full_queue_is_still_waited_for(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    # The broker answers: what was played before the stop belongs in the log.
    with_queue_of(monkeypatch, 3, linger_ms=20)
    publisher = Publisher(stage.kafka, stopping=lambda: True)
    for sequence in range(40):
        publisher.transitions(sample_chunk(sequence))
    assert publisher.flush(30) == 0
    found = [decoded(message.value or b"", "TransitionChunk") for message in messages(stage, "transitions")]
    assert [chunk["sequence"] for chunk in found] == list(range(40))


def test_without_a_broker_it_waits_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    with_queue_of(monkeypatch, 2)
    stopping = threading.Event()
    publisher = Publisher("127.0.0.1:1", stopping=stopping.is_set)
    published: list[int] = []

    def publish() -> None:
        for sequence in range(5):
            publisher.transitions(sample_chunk(sequence, run="lost"))
            published.append(sequence)

    before = waited_s()
    thread = threading.Thread(target=publish)
    thread.start()
    until(lambda: waited_s() > before + 0.25, "the publisher did not wait")
    assert published == [0, 1]  # what the queue holds, and no more
    assert thread.is_alive()
    stopping.set()
    thread.join(10)
    assert not thread.is_alive()  # a process that must go does not hang
    assert publisher.flush(0.1) == 2
    assert acknowledged("lost") == 0
    # what no queue took is counted, not lost in silence
    assert metrics.UNDELIVERED.labels("lost")._value.get() == 3 * 8
    publisher._producer.purge()
    publisher.flush(5)
