"""Every Prometheus metric of the engine.

Enters: what the service does. Leaves: counters, histograms, gauges. Invariant: a label's values are bounded: games that
exist, calls and statuses; nothing that a client makes up becomes a label.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

# Seconds. One row takes tens of microseconds, 65,536 rows some milliseconds.
_BUCKETS = (2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.5, 1.0)


class EngineMetrics:
    """The engine's metrics, registered once a registry."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.steps = Counter("engine_steps", "Steps taken (rows).", ["game"], registry=registry)
        self.resets = Counter(
            "engine_resets", "Episodes started (rows).", ["game", "cause"], registry=registry
        )
        self.latency = Histogram(
            "engine_step_latency_seconds",
            "From a request's bytes to its answer's, without the network: one batch.",
            ["game", "call"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self.requests = Counter(
            "engine_requests", "Requests by outcome.", ["call", "status"], registry=registry
        )
        self.in_flight = Gauge(
            "engine_requests_in_flight", "Requests being worked on.", ["call"], registry=registry
        )
        self.streams = Gauge("engine_streams", "Open step streams.", registry=registry)
        self.stream_capacity = Gauge(
            "engine_stream_capacity", "Step streams that may be open.", registry=registry
        )
        self.streams_refused = Counter(
            "engine_streams_refused", "Streams over the capacity.", registry=registry
        )
        self._queue_depth = Gauge(
            "engine_queue_depth",
            "What is in a queue: calls that wait for a thread, rows that are worked on.",
            ["queue"],
            registry=registry,
        )
        self._queue_capacity = Gauge(
            "engine_queue_capacity", "How much may be in a queue.", ["queue"], registry=registry
        )
        self._queue_refusals = Counter(
            "engine_queue_refusals", "Requests that found a queue full.", ["queue"], registry=registry
        )
        self._queue_waits = Counter(
            "engine_queue_waits", "Requests that had to wait in a queue.", ["queue"], registry=registry
        )
        self._queue_wait_seconds = Counter(
            "engine_queue_wait_seconds", "Time that they waited.", ["queue"], registry=registry
        )
        self.sessions = Gauge("engine_sessions", "Open sessions.", registry=registry)
        self.session_capacity = Gauge(
            "engine_session_capacity", "Sessions that may be open.", registry=registry
        )
        self.session_bytes = Gauge(
            "engine_session_bytes", "Memory set aside for open sessions.", registry=registry
        )
        self.sessions_refused = Counter(
            "engine_sessions_refused", "Sessions over the capacity.", registry=registry
        )
        self.sessions_expired = Counter(
            "engine_sessions_expired", "Sessions closed because they were idle.", registry=registry
        )
        self.poisonings = Counter(
            "engine_game_poisonings", "Kernels that broke their own contract.", ["game"], registry=registry
        )
        self.restores = Counter(
            "engine_game_restores", "Poisoned games offered again.", ["game"], registry=registry
        )
        self.plugins_broken = Gauge(
            "engine_plugins_broken", "Plugins that could not be made a game of.", registry=registry
        )
        self.poisoned = Gauge(
            "engine_game_poisoned",
            "1 where a kernel broke its own contract and the game is refused.",
            ["game"],
            registry=registry,
        )
        self.serving = Gauge("engine_serving", "1 while the engine takes requests.", registry=registry)

    def queue(self, name: str, capacity: int, depth: Callable[[], float]) -> tuple[Counter, Counter, Counter]:
        """The metrics of a queue: how deep it is is asked of `depth`; what is returned counts its refusals, its waits
        and the seconds waited."""
        self._queue_depth.labels(name).set_function(depth)
        self._queue_capacity.labels(name).set(capacity)
        return (
            self._queue_refusals.labels(name),
            self._queue_waits.labels(name),
            self._queue_wait_seconds.labels(name),
        )


@cache
def default() -> EngineMetrics:
    """The metrics of this process, in the default registry."""
    return EngineMetrics()
