"""Every Prometheus metric of the learner."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

GRADIENT_STEPS = Counter("learner_gradient_steps_total", "Gradient steps taken", ["run"])
SAMPLES = Counter("learner_samples_total", "Transitions sampled", ["run"])
INSERTED = Counter("learner_inserted_rows_total", "Transitions read from shards", ["run"])
WINDOW_ROWS = Gauge("learner_window_rows", "Transitions in the replay window", ["run"])
SAMPLES_PER_INSERT = Gauge(
    "learner_samples_per_insert", "Samples over inserts since the first sample", ["run"]
)
INSERT_WAIT = Counter(
    "learner_insert_wait_seconds_total", "Time waited for transitions to be inserted", ["run"]
)
LOSS = Gauge("learner_loss", "Mean loss since the last weights version", ["run"])
RETURN = Gauge(
    "learner_return", "Mean return of the greedy policy in the last episodes played to score it", ["run"]
)
STRENGTH = Gauge("learner_strength", "Share of lines of play that the newest weights do not lose", ["run"])
WEIGHTS_VERSION = Gauge("learner_weights_version", "Newest weights version announced", ["run"])
SHARD_READ = Histogram(
    "learner_shard_read_seconds", "Time to query one shard into the window", buckets=_SECONDS
)
SHARD_AGE = Histogram(
    "learner_shard_age_seconds",
    "From when a shard's oldest transition was made to its entry into the window",
    buckets=(*_SECONDS, 30, 60),
)
CHECKPOINT = Histogram(
    "learner_checkpoint_seconds", "Time to store, verify and announce weights", buckets=_SECONDS
)
GRADIENT_STEP = Histogram("learner_gradient_step_seconds", "Time of one gradient step", buckets=_SECONDS)
STORE_RETRIES = Counter(
    "learner_store_retries_total", "Reads and writes that the store did not serve at once"
)
