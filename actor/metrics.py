"""Every Prometheus metric of the actor."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

STEPS = Counter("actor_steps_total", "Transitions made", ["run"])
EPISODES = Counter("actor_episodes_total", "Episodes ended", ["run"])
CHUNKS = Counter("actor_chunks_total", "TransitionChunks handed to the producer", ["run"])
ACKNOWLEDGED = Counter("actor_acknowledged_rows_total", "Transitions that the log acknowledged", ["run"])
UNDELIVERED = Counter("actor_undelivered_rows_total", "Transitions that the log refused for good", ["run"])
QUEUE_MESSAGES = Gauge("actor_producer_queue_messages", "Messages that wait for the broker's acknowledgement")
BACKPRESSURE = Counter(
    "actor_backpressure_seconds_total", "Time waited because the producer's queue was full"
)
ALLOWANCE_WAIT = Counter(
    "actor_allowance_wait_seconds_total", "Time waited for the learner's allowance", ["run"]
)
ENGINE_RETRIES = Counter("actor_engine_retries_total", "Streams to the engine that had to be opened again")
WEIGHTS_VERSION = Gauge("actor_weights_version", "Weights version in play", ["run"])
WEIGHTS_LAG = Histogram(
    "actor_weights_lag_seconds", "From the announcement of weights to their first step", buckets=_SECONDS
)
WEIGHTS_REFUSED = Counter(
    "actor_weights_refused_total", "Checkpoints that failed their sha256 or did not fit"
)
