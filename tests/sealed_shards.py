"""Shards in a folder instead of a bucket, so that SQL over them needs no store.

In: placed chunks. Out: Parquet files where the compactor would put objects, their announcements, and a connection
that finds them. Invariant: paths are those of the bucket below the folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb

from streams.records import ShardSealed
from streams.shard_table import PlacedChunk, parquet_of, table_of

BUCKET = "bucket"


class FolderWarehouse:
    """A DuckDB connection that reads s3://bucket/… from a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.connection = duckdb.connect()
        self.connection.execute("SET TimeZone = 'UTC'")

    def local(self, sql: str) -> str:
        """`sql` with the folder for the bucket."""
        return sql.replace(f"s3://{BUCKET}/", f"{self._folder}/")

    def execute(self, sql: str, parameters: Any = None) -> duckdb.DuckDBPyConnection:
        return self.connection.execute(self.local(sql), parameters)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The answer as one dictionary a row."""
        found: list[dict[str, Any]] = self.execute(sql).to_arrow_table().to_pylist()
        return found


def seal(folder: Path, chunks: Sequence[PlacedChunk], **changes: Any) -> ShardSealed:
    """Writes one shard of `chunks`, and returns its announcement. `changes` replace fields of that."""
    chunk = chunks[0].chunk
    partition, first, last = chunks[0].partition, chunks[0].offset, chunks[-1].offset
    place = f"cartridge.transitions/{partition:05d}/{first:020d}-{last:020d}"
    key = f"shards/run={chunk.run}/{place}.parquet"
    table = table_of(chunks)
    body = parquet_of(table, {}).to_pybytes()
    (folder / key).parent.mkdir(parents=True, exist_ok=True)
    (folder / key).write_bytes(body)
    announced: dict[str, Any] = {
        "shard": f"{place}/{chunk.run}",
        "run": chunk.run,
        "env_id": chunk.env_id,
        "build_id": chunk.build_id,
        "state_encoding": chunk.state_encoding,
        "action_encoding": chunk.action_encoding,
        "obs_encoding": chunk.obs_encoding,
        "schema_version": chunk.schema_version,
        "mask_words": chunks[0].columns.legal_mask.shape[1],
        "topic": "cartridge.transitions",
        "partition": partition,
        "first_offset": first,
        "last_offset": last,
        "object": key,
        "rows": table.num_rows,
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "first_time_us": 0,
        "last_time_us": 0,
        "first_weights_version": 0,
        "last_weights_version": 0,
        "sealed_us": 0,
    }
    return ShardSealed(**(announced | changes))
