"""Chunks become one Arrow table with typed columns, and that a Parquet object.

In: chunks with their place in the log. Out: the bytes of a Parquet object that any reader understands.
Invariant: a row is known for ever by (log_partition, log_offset, log_row), and its columns are the log's bytes.

Observations of encoding obs:f32x… become lists of floats, actions of encoding action:discrete:… integers, of
action:u32x… and action:f32x… lists of numbers (action_tuple, action_vector); other encodings stay bytes, in columns
obs_bytes and action_bytes. Where several agents move at once, `rewards` has one for each and `reward` is their sum. The
successor_ columns are there on the last row of a segment only: elsewhere the successor is the next row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from streams.chunk import Columns, action_column, obs_floats
from streams.records import TransitionChunk

T = TypeVar("T", bound=np.generic)

# Dictionary pages make board games small and cost little where they do not help; zstd 1 is the knee of its curve.
_COMPRESSION = "zstd"
_COMPRESSION_LEVEL = 1
_ROW_GROUP_ROWS = 131_072

# Everything else is never null, which saves a seventh of the time to write (docs/log.md).
_NULLABLE = frozenset({"legal_mask", "legal_mask_words", "behaviour_log_prob"})
_FLOAT = pa.field("element", pa.float32(), nullable=False)


@dataclass(frozen=True)
class PlacedChunk:
    """A chunk and where it is in the log."""

    chunk: TransitionChunk
    columns: Columns
    partition: int
    offset: int


def table_of(chunks: Sequence[PlacedChunk]) -> pa.Table:
    """One table of all rows of `chunks`, which share their encodings, in the order given."""
    return pa.Table.from_batches([_batch_of(placed) for placed in chunks])


def parquet_of(table: pa.Table, metadata: dict[str, str]) -> pa.Buffer:
    """`table` as a Parquet object with `metadata` in its footer."""
    out = pa.BufferOutputStream()
    pq.write_table(
        table.replace_schema_metadata(metadata),
        out,
        compression=_COMPRESSION,
        compression_level=_COMPRESSION_LEVEL,
        row_group_size=_ROW_GROUP_ROWS,
        column_encoding={"log_row": "DELTA_BINARY_PACKED", "time": "DELTA_BINARY_PACKED"},
        use_dictionary=_dictionary_columns(table.schema),
        write_statistics=[
            "log_partition",
            "log_offset",
            "log_row",
            "weights_version",
            "episode",
            "step",
            "time",
        ],
    )
    return out.getvalue()


def _dictionary_columns(schema: pa.Schema) -> list[str]:
    """Leaf paths of every column but the two that count up, for which deltas are smaller and faster."""
    paths = []
    for column in schema:
        if column.name in ("log_row", "time"):
            continue
        nested = pa.types.is_list(column.type) or pa.types.is_fixed_size_list(column.type)
        paths.append(f"{column.name}.list.element" if nested else column.name)
    return paths


def _batch_of(placed: PlacedChunk) -> pa.RecordBatch:
    chunk, columns = placed.chunk, placed.columns
    rows = chunk.count
    floats = obs_floats(chunk.obs_encoding) is not None
    obs = "obs" if floats else "obs_bytes"
    mask = "legal_mask" if columns.legal_mask.shape[1] <= 1 else "legal_mask_words"
    arrays: dict[str, pa.Array] = {
        "log_partition": pa.array(np.full(rows, placed.partition, np.int32)),
        "log_offset": pa.array(np.full(rows, placed.offset, np.int64)),
        "log_row": pa.array(np.arange(rows, dtype=np.int32)),
        "actor": pa.array(np.full(rows, chunk.actor, np.int32)),
        "weights_version": pa.array(np.full(rows, chunk.weights_version, np.int64)),
        "episode": pa.array(columns.episode),
        "step": pa.array(columns.step),
        "player": pa.array(columns.player),
        "state": _fixed_bytes(columns.state),
        obs: _fixed_floats(columns.obs) if floats else _fixed_bytes(columns.obs),
        action_column(chunk.action_encoding).name: _actions(chunk, columns),
        mask: _masks(columns.legal_mask, None),
        **_rewards(columns.reward),
        "terminated": pa.array(columns.terminated.view(np.bool_)),
        "truncated": pa.array(columns.truncated.view(np.bool_)),
        "behaviour_log_prob": _optional_floats(columns.behaviour_log_prob, rows),
        "time": pa.Array.from_buffers(
            pa.timestamp("us", tz="UTC"), rows, [None, pa.py_buffer(columns.time_us)]
        ),
        "successor_state": _at_segment_ends(columns.segment_end, columns.successor_state, pa.binary()),
        f"successor_{obs}": _at_segment_ends(
            columns.segment_end, columns.successor_obs, pa.list_(_FLOAT) if floats else pa.binary()
        ),
        f"successor_{mask}": _masks(
            _spread(columns.segment_end, columns.successor_legal_mask), columns.segment_end
        ),
        "successor_player": pa.array(
            _spread(columns.segment_end, columns.successor_player), mask=~columns.segment_end
        ),
    }
    schema = pa.schema(
        [
            pa.field(name, array.type, nullable=name in _NULLABLE or name.startswith("successor_"))
            for name, array in arrays.items()
        ]
    )
    return pa.RecordBatch.from_arrays(list(arrays.values()), schema=schema)


def _fixed_bytes(column: npt.NDArray[np.uint8]) -> pa.Array:
    rows, width = column.shape
    return pa.Array.from_buffers(pa.binary(width), rows, [None, pa.py_buffer(column)])


def _fixed_floats(column: npt.NDArray[np.uint8]) -> pa.Array:
    values = pa.array(column.reshape(-1).view("<f4"))
    return pa.FixedSizeListArray.from_arrays(values, type=pa.list_(_FLOAT, column.shape[1] // 4))


def _actions(chunk: TransitionChunk, columns: Columns) -> pa.Array:
    column = action_column(chunk.action_encoding)
    if column.dtype is None:
        return _fixed_bytes(columns.action)
    numbers = pa.array(columns.action.reshape(-1).view(column.dtype))
    return numbers if column.name == "action" else pa.FixedSizeListArray.from_arrays(numbers, column.numbers)


def _rewards(rewards: npt.NDArray[np.float32]) -> dict[str, pa.Array]:
    if rewards.ndim == 1:
        return {"reward": pa.array(rewards)}
    each = pa.FixedSizeListArray.from_arrays(pa.array(rewards.reshape(-1)), rewards.shape[1])
    return {"reward": pa.array(rewards.sum(axis=1)), "rewards": each}


def _masks(masks: npt.NDArray[np.uint64], valid: npt.NDArray[np.bool_] | None) -> pa.Array:
    """One word a row as an integer, several as a list, none as nulls; null where `valid` is false."""
    rows, words = masks.shape
    absent = None if valid is None else ~valid
    if words == 1:
        return pa.array(masks.reshape(-1), mask=absent)
    if words == 0:
        return pa.nulls(rows, pa.uint64())
    nulls = None if absent is None else pa.array(absent)
    return pa.FixedSizeListArray.from_arrays(pa.array(masks.reshape(-1)), words, mask=nulls)


def _spread(ends: npt.NDArray[np.bool_], values: npt.NDArray[T]) -> npt.NDArray[T]:
    """One value a segment put on the rows that end one; 0 elsewhere."""
    out = np.zeros((len(ends), *values.shape[1:]), values.dtype)
    out[ends] = values
    return out


def _optional_floats(column: npt.NDArray[np.float32] | None, rows: int) -> pa.Array:
    return pa.nulls(rows, pa.float32()) if column is None else pa.array(column)


def _at_segment_ends(
    ends: npt.NDArray[np.bool_], values: npt.NDArray[np.uint8], kind: pa.DataType
) -> pa.Array:
    """Nulls, but for the rows that end a segment, which hold the values in order."""
    rows = len(ends)
    per_value = values.shape[1] // 4 if pa.types.is_list(kind) else values.shape[1]
    offsets = np.zeros(rows + 1, np.int32)
    np.cumsum(ends, out=offsets[1:])
    offsets *= per_value
    validity = pa.py_buffer(np.packbits(ends, bitorder="little"))
    if pa.types.is_list(kind):
        items = pa.array(values.reshape(-1).view("<f4"))
        return pa.Array.from_buffers(kind, rows, [validity, pa.py_buffer(offsets)], children=[items])
    return pa.Array.from_buffers(kind, rows, [validity, pa.py_buffer(offsets), pa.py_buffer(values)])
