"""SQL over everything that a stack has: the views that people query.

In: announced shards and weights. Out: a DuckDB connection with views transitions, episodes, shards, checkpoints.
Invariant: the views hold exactly what was announced when they were made, and nothing else that is in the store.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

import duckdb
import pyarrow as pa

from cartridge import runs
from cartridge.objects import ObjectMissing, ObjectStore
from cartridge.settings import Settings
from streams import checkpoint, topics, views, warehouse
from streams.records import ShardSealed, WeightsPublished

_READERS = 8

_SHARD_COLUMNS = {
    **dict.fromkeys(("shard", "run", "env_id", "topic", "object", "sha256"), pa.string()),
    **dict.fromkeys(("partition",), pa.int32()),
    **dict.fromkeys(
        ("first_offset", "last_offset", "rows", "bytes", "first_weights_version", "last_weights_version"),
        pa.int64(),
    ),
    **dict.fromkeys(("first_time", "last_time", "sealed"), pa.timestamp("us", tz="UTC")),
}
_CHECKPOINT_COLUMNS = {
    **dict.fromkeys(("run", "env_id", "algorithm", "verdict", "checkpoint", "model_sha256"), pa.string()),
    **dict.fromkeys(("version", "gradient_steps", "samples", "inserted_rows"), pa.int64()),
    **dict.fromkeys(("strength", "return_mean", "loss"), pa.float64()),
    **dict.fromkeys(("made",), pa.timestamp("us", tz="UTC")),
    **dict.fromkeys(("manifest",), pa.string()),
}


def open_views(settings: Settings) -> duckdb.DuckDBPyConnection:
    """A connection with the four views as of now. Raises BrokerUnavailable, UsageError."""
    topics.ensure(settings.kafka, timeout_s=5)
    connection = warehouse.connect(settings)
    shards = runs.shards_of(settings)
    connection.execute(f"CREATE VIEW transitions AS {views.transitions(shards, settings.bucket)}")
    connection.execute(f"CREATE VIEW episodes AS {views.EPISODES}")
    connection.register("shards", _shard_table(shards))
    connection.register("checkpoints", _checkpoint_table(settings, runs.newest_weights(settings)))
    connection.execute(
        "CREATE MACRO legal_actions(mask) AS"
        " list_filter(range(64), action -> (mask >> action::UBIGINT) & 1::UBIGINT = 1::UBIGINT)"
    )
    return connection


def _shard_table(shards: list[ShardSealed]) -> pa.Table:
    rows = [
        asdict(shard)
        | {"first_time": shard.first_time_us, "last_time": shard.last_time_us, "sealed": shard.sealed_us}
        for shard in shards
    ]
    return _table(rows, _SHARD_COLUMNS)


def _checkpoint_table(settings: Settings, newest: dict[str, WeightsPublished]) -> pa.Table:
    """Every checkpoint up to the announced version of each run, from its manifest."""
    places = [
        checkpoint.prefix_of(run, version)
        for run, weights in newest.items()
        for version in range(weights.version + 1)
    ]
    if not places:
        return _table([], _CHECKPOINT_COLUMNS)
    store = ObjectStore.connect(settings)
    with ThreadPoolExecutor(_READERS) as pool:
        rows = [
            row for row in pool.map(lambda place: _checkpoint_row(store, place), places) if row is not None
        ]
    return _table(rows, _CHECKPOINT_COLUMNS)


def _checkpoint_row(store: ObjectStore, prefix: str) -> dict[str, Any] | None:
    try:
        manifest = checkpoint.read_manifest(store, prefix)
    except ObjectMissing:  # a version that was being written when its learner was killed
        return None
    return asdict(manifest) | {
        "checkpoint": prefix,
        "model_sha256": manifest.sha256[checkpoint.MODEL],
        "strength": manifest.evaluation.get("strength"),
        "return_mean": manifest.evaluation.get("return_mean"),
        "loss": manifest.evaluation.get("loss"),
        "made": manifest.made_us,
        "manifest": json.dumps(asdict(manifest)),
    }


def _table(rows: list[dict[str, Any]], columns: dict[str, pa.DataType]) -> pa.Table:
    return pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in columns.items()})
