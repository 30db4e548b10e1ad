"""The open step streams of an engine: how many there may be, and how they end when the engine does.

Enters: streams as they open. Leaves: their messages, one by one. Invariant: after `drain` no stream waits for another
message: those at work end after their answer, those that wait are cancelled.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from engine.errors import Refusal
from engine.metrics import EngineMetrics

_RETRY_S = 1.0  # streams close when their clients like


class OpenStreams:
    """Counts streams up to a capacity; thread-safe."""

    def __init__(self, capacity: int, metrics: EngineMetrics) -> None:
        self.capacity = capacity
        self._metrics = metrics
        self._lock = threading.Lock()
        self._open = 0
        self._waiting: set[Any] = set()  # of grpc.ServicerContext
        self._draining = False
        metrics.stream_capacity.set(capacity)

    @property
    def count(self) -> int:
        """Open streams."""
        return self._open

    @contextmanager
    def opened(self, context: grpc.ServicerContext) -> Iterator[OpenStream]:
        """One stream, from its opening to its end.

        Raises:
            Refusal: RESOURCE_EXHAUSTED over the capacity, UNAVAILABLE while draining.
        """
        with self._lock:
            if self._open >= self.capacity:
                self._metrics.streams_refused.inc()
                raise Refusal(
                    grpc.StatusCode.RESOURCE_EXHAUSTED,
                    f"streams = {self._open + 1}: over the limit of {self.capacity}; close one, use another engine or "
                    f"try again in {_RETRY_S:.0f} s",
                    retry_after_s=_RETRY_S,
                )
            self._open += 1
            self._metrics.streams.set(self._open)
        try:
            yield OpenStream(self, context)
        finally:
            with self._lock:
                self._open -= 1
                self._metrics.streams.set(self._open)

    def drain(self) -> None:
        """End every stream, at once or after the answer that it is at."""
        with self._lock:
            self._draining = True
            for context in self._waiting:
                context.cancel()

    def start_waiting(self, context: grpc.ServicerContext) -> None:
        """Raises Refusal UNAVAILABLE while draining."""
        with self._lock:
            if self._draining:
                raise Refusal(
                    grpc.StatusCode.UNAVAILABLE,
                    "the engine is shutting down; reconnect and send the states you hold",
                )
            self._waiting.add(context)

    def stop_waiting(self, context: grpc.ServicerContext) -> None:
        """The stream has something to do, or has ended."""
        with self._lock:
            self._waiting.discard(context)


class OpenStream:
    """One open stream."""

    def __init__(self, streams: OpenStreams, context: grpc.ServicerContext) -> None:
        self._streams = streams
        self._context = context

    def next_of(self, messages: Iterator[bytes]) -> bytes | None:
        """The next message, or None where the client has closed its side.

        Raises:
            Refusal: UNAVAILABLE while draining.
        """
        self._streams.start_waiting(self._context)
        try:
            return next(messages, None)
        finally:
            self._streams.stop_waiting(self._context)
