"""Every Prometheus metric of the stream processors."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 30)

CHUNKS = Counter("compactor_chunks_total", "TransitionChunks consumed and buffered")
ROWS = Counter("compactor_rows_total", "Transitions in sealed shards")
SHARDS = Counter("compactor_shards_total", "Shards sealed and announced")
BYTES = Counter("compactor_shard_bytes_total", "Bytes of sealed shards")
DEAD_LETTERS = Counter("compactor_dead_letters_total", "Messages sent to cartridge.dead-letters")
ABORTS = Counter("compactor_aborted_transactions_total", "Transactions aborted and tried again")
REBALANCES = Counter("compactor_rebalances_total", "Assignments of partitions received")
STORE_RETRIES = Counter("compactor_store_retries_total", "Objects that the store did not take at once")
BUFFERED_ROWS = Gauge("compactor_buffered_rows", "Transitions consumed but not sealed yet")
LAG = Gauge("compactor_lag_messages", "Messages in the log that are not consumed yet", ["partition"])
SEAL_AGE = Histogram(
    "compactor_seal_age_seconds",
    "From when a shard's oldest transition was made to its commit",
    buckets=_SECONDS,
)
FLUSH = Histogram("compactor_flush_seconds", "Time of each part of sealing", ["part"], buckets=_SECONDS)
