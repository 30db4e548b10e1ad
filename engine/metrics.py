"""Every Prometheus metric of the engine.

Enters: what the service does. Leaves: counters, histograms, gauges. Invariant: a label's values are bounded: games that
exist, calls and statuses; nothing that a client makes up becomes a label.
"""

from __future__ import annotations

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
        self.poisoned = Gauge(
            "engine_game_poisoned",
            "1 where a kernel broke its own contract and the game is refused.",
            ["game"],
            registry=registry,
        )
        self.serving = Gauge("engine_serving", "1 while the engine takes requests.", registry=registry)


@cache
def default() -> EngineMetrics:
    """The metrics of this process, in the default registry."""
    return EngineMetrics()
