"""Who is let in: how many requests may wait for a thread, and how many rows may be worked on at once.

Enters: requests as they arrive, batches as they begin. Leaves: a place, or a Refusal that says when to try again.
Invariant: never more than `capacity` requests wait and never more than `capacity` rows are worked on; every refusal and
every wait is counted.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from concurrent import futures
from typing import ParamSpec, TypeVar

import grpc

from engine.errors import Refusal
from engine.metrics import EngineMetrics

P = ParamSpec("P")
T = TypeVar("T")

ROWS_RETRY_S = 0.05  # a full batch takes some ten milliseconds
_LEAST_RETRY_S, _MOST_RETRY_S = 0.01, 5.0
_MEMORY = 1 / 16  # what one call weighs in the mean duration


class CallPool(futures.ThreadPoolExecutor):
    """The threads that answer calls of one answer; knows how many requests wait for one of them.

    gRPC asks `full` when a request arrives, and submits it only if it is not.

    Args:
        threads: requests worked on at once.
        capacity: requests that may wait.
        metrics: of the engine.
    """

    def __init__(self, threads: int, capacity: int, metrics: EngineMetrics) -> None:
        if threads < 1 or capacity < 1:
            raise ValueError(f"threads = {threads}, capacity = {capacity}: give at least 1 of each")
        super().__init__(threads, thread_name_prefix="engine-call")
        self.threads = threads
        self.capacity = capacity
        self._lock = threading.Lock()
        self._waiting = self._running = 0
        self._mean_s = _LEAST_RETRY_S
        queue = metrics.queue("calls", capacity, lambda: self._waiting)
        self._refusals, self._waits, self._wait_seconds = queue

    @property
    def waiting(self) -> int:
        """Requests that no thread has taken yet."""
        return self._waiting

    @property
    def running(self) -> int:
        """Requests that are being worked on."""
        return self._running

    @property
    def full(self) -> bool:
        """Whether one more request would be too many."""
        return self._waiting >= self.capacity

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> futures.Future[T]:
        """As of any executor."""
        with self._lock:
            self._waiting += 1
            waits = self._waiting + self._running > self.threads
        if waits:
            self._waits.inc()
        arrived_s = time.perf_counter()

        def run() -> T:
            began_s = time.perf_counter()
            with self._lock:
                self._waiting -= 1
                self._running += 1
            if waits:
                self._wait_seconds.inc(began_s - arrived_s)
            try:
                return fn(*args, **kwargs)
            finally:
                took_s = time.perf_counter() - began_s
                with self._lock:
                    self._running -= 1
                    self._mean_s += _MEMORY * (took_s - self._mean_s)

        return super().submit(run)

    def retry_after_s(self) -> float:
        """Seconds in which what is here now should be done."""
        expected_s = self._mean_s * (self._waiting + self._running) / self.threads
        return min(max(expected_s, _LEAST_RETRY_S), _MOST_RETRY_S)

    def refusal(self) -> Refusal:
        """What a request that finds the queue full is told."""
        waiting, after_s = self._waiting, self.retry_after_s()
        return Refusal(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"requests = {waiting}: as many as may wait ({self.capacity}); try again in {_ms(after_s)} ms",
            retry_after_s=after_s,
        )

    def count_refusal(self) -> None:
        """One request was refused because the queue is full."""
        self._refusals.inc()


class Rows:
    """Counts rows that are worked on, up to a capacity; thread-safe."""

    def __init__(self, capacity: int, metrics: EngineMetrics) -> None:
        if capacity < 1:
            raise ValueError(f"capacity = {capacity}: give at least 1 row")
        self.capacity = capacity
        self._changed = threading.Condition()
        self._in_flight = self._waiting = 0
        queue = metrics.queue("rows", capacity, lambda: self._in_flight)
        self._refusals, self._waits, self._wait_seconds = queue

    @property
    def in_flight(self) -> int:
        """Rows that are being worked on."""
        return self._in_flight

    def refusal(self, count: int) -> Refusal | None:
        """What a batch of `count` rows would be told now, None if it would be taken."""
        if count > self.capacity:
            return Refusal(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"count = {count}: over the capacity of {self.capacity} rows; split the batch",
            )
        if self._in_flight + count > self.capacity:
            return Refusal(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"count = {count}: {self._in_flight} rows are being worked on, {self.capacity} may be; try again in "
                f"{_ms(ROWS_RETRY_S)} ms",
                retry_after_s=ROWS_RETRY_S,
            )
        return None

    def take(self, count: int, *, wait: bool) -> None:
        """Take `count` places; `give` them back.

        Args:
            count: at least 1.
            wait: until there is room, as streams do, whose clients see it as a slow answer.

        Raises:
            Refusal: RESOURCE_EXHAUSTED.
        """
        with self._changed:
            if self._in_flight + count > self.capacity:
                refusal = self.refusal(count)
                if refusal is not None and (not wait or refusal.retry_after_s is None):
                    self._refusals.inc()
                    raise refusal
                self._wait_for(count)
            self._in_flight += count

    def give(self, count: int) -> None:
        """Give back what was taken."""
        with self._changed:
            self._in_flight -= count
            if self._waiting:
                self._changed.notify_all()

    def _wait_for(self, count: int) -> None:
        self._waits.inc()
        began_s = time.perf_counter()
        self._waiting += 1
        self._changed.wait_for(lambda: self._in_flight + count <= self.capacity)
        self._waiting -= 1
        self._wait_seconds.inc(time.perf_counter() - began_s)


def _ms(seconds: float) -> int:
    return math.ceil(seconds * 1000)
