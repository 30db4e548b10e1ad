"""Reading cartridge.transitions again: chunks at given places, or all of one actor's.

In: a run, an episode. Out: the episode's transitions as the log has them, with their places.
Invariant: what is given out was decoded from the topic in this call; shards only tell where to look.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from confluent_kafka import Consumer, KafkaError, TopicPartition

from streams import codec, kafka, topics
from streams.chunk import Columns, columns_of
from streams.errors import BrokerUnavailable, StreamsError
from streams.records import EpisodeChunk, TransitionChunk

_READ_S = 30.0
_ACTOR_SHIFT = 51
_INCARNATION_SHIFT = 36


@dataclass(frozen=True, order=True)
class Place:
    """One message of cartridge.transitions."""

    partition: int
    offset: int


@dataclass(frozen=True)
class LoggedStep:
    """One transition as it was logged."""

    place: Place
    row: int
    chunk: TransitionChunk
    columns: Columns
    successor: int | None  # index among the chunk's successors, if the row ends a segment

    @property
    def next_state(self) -> bytes:
        """The state after the action."""
        if self.successor is None:
            return bytes(self.columns.state[self.row + 1])
        return bytes(self.columns.successor_state[self.successor])


def actor_of(episode: int) -> int:
    """The actor that an episode's id names."""
    return episode >> _ACTOR_SHIFT


def incarnation_of(episode: int) -> int:
    """The actor's incarnation that an episode's id names."""
    return episode >> _INCARNATION_SHIFT & (1 << (_ACTOR_SHIFT - _INCARNATION_SHIFT)) - 1


def steps_at(bootstrap: str, places: Iterable[Place], *, run: str, episode: int) -> list[LoggedStep]:
    """The episode's steps in the messages at `places`, in order. Raises StreamsError if one is not in the topic."""
    steps: list[LoggedStep] = []
    for place in sorted(places):
        found = False
        for at, chunk in _read(bootstrap, place.partition, first=place.offset, last=place.offset):
            found = True
            if chunk.run == run:
                steps += _steps_of(at, chunk, episode)
        if not found:
            raise StreamsError(
                f"offset {place.partition}/{place.offset} is not in {topics.TRANSITIONS.name} any more (retention):"
                " its rows are still in the shards, see `./just sql`"
            )
    return _in_order(steps)


def steps_by_scan(bootstrap: str, *, run: str, episode: int) -> list[LoggedStep]:
    """The episode's steps, by reading the whole topic. For what is in no shard yet."""
    steps: list[LoggedStep] = []
    key = f"{run}/{actor_of(episode)}".encode()
    for partition in range(topics.TRANSITIONS.partitions):
        for at, chunk in _read(bootstrap, partition, key=key):
            steps += _steps_of(at, chunk, episode)
    return _in_order(steps)


def last_episode(bootstrap: str, run: str) -> int | None:
    """The episode of `run` that ended last, or None."""
    newest: tuple[int, int] | None = None
    for partition in range(topics.EPISODES.partitions):
        for value in _values(bootstrap, topics.EPISODES, partition, run):
            chunk = codec.decode(value, EpisodeChunk)
            ended = np.frombuffer(chunk.ended_us, np.int64)
            at = int(ended.argmax())
            candidate = (int(ended[at]), int(np.frombuffer(chunk.episode, np.int64)[at]))
            newest = candidate if newest is None else max(newest, candidate)
    return None if newest is None else newest[1]


def _values(bootstrap: str, topic: topics.Topic, partition: int, run: str) -> Iterator[bytes]:
    prefix = f"{run}/".encode()
    for entry in _entries(bootstrap, topic, partition):
        if entry.key.startswith(prefix):
            yield entry.value


def _read(
    bootstrap: str, partition: int, *, first: int = 0, last: int | None = None, key: bytes | None = None
) -> Iterator[tuple[Place, TransitionChunk]]:
    """Chunks of one partition from offset `first` to `last` inclusive, or to the end."""
    for entry in _entries(bootstrap, topics.TRANSITIONS, partition, first=first, last=last):
        if key is None or entry.key == key:
            yield Place(partition, entry.offset), codec.decode(entry.value, TransitionChunk)


def _entries(
    bootstrap: str, topic: topics.Topic, partition: int, *, first: int = 0, last: int | None = None
) -> Iterator[kafka.Entry]:
    client: Consumer = kafka.consumer(
        bootstrap, "replay", enable_partition_eof=True, fetch_wait_max_ms=kafka.READ_WAIT_MS
    )
    deadline_s = time.monotonic() + _READ_S
    try:
        low, _ = client.get_watermark_offsets(TopicPartition(topic.name, partition), timeout=10)
        if last is not None and last < low:
            return
        start = TopicPartition(topic.name, partition, max(first, low))
        kafka.assign_known(client, [start], bootstrap=bootstrap)
        while True:
            if time.monotonic() > deadline_s:
                raise BrokerUnavailable(
                    bootstrap, f"{topic.name}/{partition} was not read within {_READ_S:g} s"
                )
            # It returns when it has so many or when the time is over: a short time finds the end soon.
            for message in kafka.consume(client, 100, 0.02):
                deadline_s = time.monotonic() + _READ_S
                error = message.error()
                if error is not None and error.code() == KafkaError._PARTITION_EOF:
                    return
                entry = kafka.entry_of(message)
                if last is not None and entry.offset > last:
                    return
                yield entry
                if entry.offset == last:
                    return
    finally:
        client.close()


def _steps_of(place: Place, chunk: TransitionChunk, episode: int) -> list[LoggedStep]:
    columns = columns_of(chunk)
    successor = np.cumsum(columns.segment_end) - 1
    return [
        LoggedStep(place, row, chunk, columns, int(successor[row]) if columns.segment_end[row] else None)
        for row in np.flatnonzero(columns.episode == episode).tolist()
    ]


def _in_order(steps: list[LoggedStep]) -> list[LoggedStep]:
    return sorted(steps, key=lambda step: int(step.columns.step[step.row]))
