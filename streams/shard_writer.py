"""Chunks become one object in the store, and the record that will announce it: step 2 of the compactor's protocol.

In: chunks of one shard. Out: a Parquet object under a key made of partition and offsets, and its ShardSealed.
Invariant: when `write` returns the object is whole; the same chunks give the same key.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

from cartridge import logs
from cartridge.objects import ObjectStore, StoreUnavailable
from streams import metrics, topics
from streams.records import ShardSealed
from streams.replay_format import FORMAT_VERSION
from streams.shard_buffer import ShardKey
from streams.shard_table import PlacedChunk, parquet_of, table_of

_RETRY_S = 0.5
_log = logs.get("streams.shard_writer")


class ShardWriter:
    """Writes shards; while the store is away it calls `wait` with seconds and tries again."""

    def __init__(self, store: ObjectStore, *, wait: Callable[[float], None]) -> None:
        self._store = store
        self._wait = wait

    def write(self, key: ShardKey, chunks: list[PlacedChunk]) -> ShardSealed:
        """Stores the rows of `chunks`, which are in log order. Raises what `wait` raises."""
        started_s = time.monotonic()
        table = table_of(chunks)
        first, last = chunks[0].offset, chunks[-1].offset
        place = f"{topics.TRANSITIONS.name}/{key.partition:05d}/{first:020d}-{last:020d}"
        object_key = f"shards/run={key.run}/{place}.parquet"
        body = parquet_of(table, _footer(key, first=first, last=last)).to_pybytes()
        encoded_s = time.monotonic()
        metrics.FLUSH.labels("encode").observe(encoded_s - started_s)
        self._put(object_key, body)
        metrics.FLUSH.labels("put").observe(time.monotonic() - encoded_s)
        versions = [placed.chunk.weights_version for placed in chunks]
        return ShardSealed(
            shard=f"{place}/{key.run}",
            run=key.run,
            env_id=key.env_id,
            build_id=key.build_id,
            state_encoding=key.state_encoding,
            action_encoding=key.action_encoding,
            obs_encoding=key.obs_encoding,
            schema_version=key.schema_version,
            mask_words=chunks[0].columns.legal_mask.shape[1],
            topic=topics.TRANSITIONS.name,
            partition=key.partition,
            first_offset=first,
            last_offset=last,
            object=object_key,
            rows=table.num_rows,
            bytes=len(body),
            sha256=hashlib.sha256(body).hexdigest(),
            first_time_us=min(int(placed.columns.time_us.min()) for placed in chunks),
            last_time_us=max(int(placed.columns.time_us.max()) for placed in chunks),
            first_weights_version=min(versions),
            last_weights_version=max(versions),
            sealed_us=time.time_ns() // 1000,
        )

    def _put(self, key: str, body: bytes) -> None:
        """As often as it takes: until then the offsets are not committed, and nothing is lost."""
        while True:
            try:
                return self._store.put(key, body)
            except StoreUnavailable as error:
                metrics.STORE_RETRIES.inc()
                _log.error("store_unavailable", reason=str(error), retry_s=_RETRY_S)
                self._wait(_RETRY_S)


def _footer(key: ShardKey, *, first: int, last: int) -> dict[str, str]:
    """Key-value metadata of the Parquet object: what a reader needs who has nothing but the file."""
    return {
        "cartridge.run": key.run,
        "cartridge.env_id": key.env_id,
        "cartridge.build_id": key.build_id,
        "cartridge.state_encoding": key.state_encoding,
        "cartridge.action_encoding": key.action_encoding,
        "cartridge.obs_encoding": key.obs_encoding,
        "cartridge.schema_version": str(key.schema_version),
        "cartridge.replay_format": str(FORMAT_VERSION),
        "cartridge.log": f"{topics.TRANSITIONS.name}/{key.partition}/{first}-{last}",
    }
