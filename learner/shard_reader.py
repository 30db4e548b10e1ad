"""One DuckDB query turns a sealed shard into transitions for the window.

In: an announced shard, and a run's SQL condition. Out: aligned columns of the rows that it lets in.
Invariant: rows come in log order, each with what really followed it; a shard that is not sound raises BadShard.
"""

from __future__ import annotations

from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from games.choices import Choices
from learner import kernels
from learner.errors import BadRun, BadShard
from learner.window import Transitions
from streams import views
from streams.records import ShardSealed

_COLUMNS = """log_partition, log_offset, log_row, episode, step, player, obs, terminated,
  (terminated OR truncated) AS ended, successor_obs, successor_player,
  (successor_player IS NOT NULL) AS has_successor"""


def query_of(shard: ShardSealed, bucket: str, where: str, *, agents: int = 1) -> str:
    """The SQL that reads `shard`; `where` is a condition over the transitions view, or empty."""
    mask = views.mask_column(shard.mask_words)
    columns = (
        f"{_COLUMNS}, {mask} AS mask, successor_{mask} AS successor_mask, {views.action_column(shard)} AS action,"
        f" {'reward' if agents == 1 else 'rewards'} AS reward"
    )
    if not where:
        return f"SELECT {columns}, true AS keep FROM ({views.rows_of([shard], bucket)})"
    # Inside, where no name that is given above can hide a column from the condition.
    rows = f"SELECT *, coalesce(({where}), false) AS keep FROM ({views.transitions([shard], bucket)})"
    return f"SELECT {columns}, keep FROM ({rows})"


def check_where(connection: duckdb.DuckDBPyConnection, where: str) -> None:
    """Raises BadRun when `where` is not a condition over the transitions view."""
    try:
        connection.execute(f"SELECT coalesce(({where}), false) FROM ({views.transitions([], '')})")
    except duckdb.Error as error:
        raise BadRun(f"where is {where!r}: {str(error).splitlines()[0]}") from error


def read(
    connection: duckdb.DuckDBPyConnection, shard: ShardSealed, *, bucket: str, where: str, choices: Choices
) -> Transitions:
    """The transitions of `shard` that `where` lets in: one a row, or one for each of several agents.

    Raises BadShard, BadRun, and duckdb.IOException or duckdb.HTTPException while the store is away.
    """
    _check_columns(shard, choices)
    try:
        table = connection.execute(query_of(shard, bucket, where, agents=choices.agents)).to_arrow_table()
    except (duckdb.DataError, duckdb.ProgrammingError, duckdb.NotSupportedError) as error:
        raise BadRun(f"where is {where!r}: {str(error).splitlines()[0]}") from error
    if table.num_rows != shard.rows:
        raise BadShard(f"shard {shard.shard} has {table.num_rows} rows: {shard.rows} were announced")
    return _linked(table, shard, choices)


def _check_columns(shard: ShardSealed, choices: Choices) -> None:
    """Raises BadShard when the shard is of another build's encodings."""
    expected = (choices.action_encoding, choices.obs_encoding, choices.joint_mask_words)
    found = (shard.action_encoding, shard.obs_encoding, shard.mask_words)
    if found != expected:
        raise BadShard(
            f"shard {shard.shard} has actions {found[0]}, observations {found[1]} and masks of {found[2]} words:"
            f" {shard.env_id} has {expected[0]}, {expected[1]} and {expected[2]} now; start a new run"
        )


def _linked(table: pa.Table, shard: ShardSealed, choices: Choices) -> Transitions:
    rows, mask_words = table.num_rows, choices.joint_mask_words
    offset, row = _numbers(table, "log_offset", np.int64), _numbers(table, "log_row", np.int32)
    has_successor = _flags(table, "has_successor")
    bad = kernels.first_break(
        offset,
        row,
        _numbers(table, "episode", np.int64),
        _numbers(table, "step", np.int32),
        has_successor,
        _flags(table, "ended"),
    )
    if bad >= 0:
        raise BadShard(
            f"shard {shard.shard} breaks at offset {offset[bad]} row {row[bad]}: its successor is not there"
        )
    keep = _flags(table, "keep")
    kept = keep.view(np.bool_)
    obs = _floats(table, "obs", rows)
    count = int(np.count_nonzero(keep))
    next_obs = np.empty((count, obs.shape[1]), np.float32)
    next_mask = np.empty((count, mask_words), np.uint64)
    same_player = np.empty(count, np.uint8)
    kernels.link_successors(
        keep,
        obs,
        _masks(table, "mask", rows, mask_words),
        _numbers(table, "player", np.uint8),
        has_successor,
        _floats(table, "successor_obs", int(np.count_nonzero(has_successor))),
        _masks(table, "successor_mask", rows, mask_words).reshape(-1),
        _numbers(table, "successor_player", np.uint8),
        next_obs,
        next_mask,
        same_player,
    )
    everything = count == rows  # the usual case, without a copy

    def taken(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return column if everything else column[kept]

    def each(column: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return column if choices.agents == 1 else np.repeat(column, choices.agents)

    terminated = each(taken(_flags(table, "terminated")))
    return Transitions(
        obs=choices.observations(taken(obs)),
        action=choices.decode(taken(_rows_of_numbers(table, "action"))),
        reward=taken(_rows_of_numbers(table, "reward")).reshape(-1),
        terminated=terminated,
        next_obs=choices.observations(next_obs),
        next_mask=_open_where_cut_off(choices, choices.masks(next_mask), terminated),
        same_player=each(same_player),
        log_partition=each(taken(_numbers(table, "log_partition", np.int32))),
        log_offset=each(taken(offset)),
        log_row=each(taken(row)),
    )


def _open_where_cut_off(
    choices: Choices, next_mask: npt.NDArray[np.uint64], terminated: npt.NDArray[np.uint8]
) -> npt.NDArray[np.uint64]:
    """Masks u64[N, W] with every choice legal after a truncated step.

    The log says of each ended episode that nothing is legal in it any more. But what was cut off would have gone on,
    and its value is the best of what could have been chosen; which choices were legal there nobody knows.
    """
    if choices.mask_words:
        cut_off = np.flatnonzero((terminated == 0) & ~next_mask.any(axis=1))
        next_mask[cut_off] = choices.own[cut_off % choices.agents]
    return next_mask


def _rows_of_numbers(table: pa.Table, name: str) -> npt.NDArray[Any]:
    """A column without nulls of numbers, or of lists of as many each: [N] or [N, K]."""
    column = table.column(name)
    if pa.types.is_nested(column.type):
        return pc.list_flatten(column).to_numpy().reshape(table.num_rows, -1)  # type: ignore[no-any-return]
    return column.to_numpy()  # type: ignore[no-any-return]


def _numbers(table: pa.Table, name: str, kind: type[np.generic]) -> npt.NDArray[Any]:
    """A column as a contiguous array; nulls are 0."""
    column = table.column(name)
    if column.null_count:
        column = pc.fill_null(column, 0)
    return np.ascontiguousarray(column.to_numpy(), dtype=kind)


def _flags(table: pa.Table, name: str) -> npt.NDArray[np.uint8]:
    """A boolean column as 0 and 1."""
    return pc.cast(table.column(name), pa.uint8()).to_numpy()  # type: ignore[no-any-return]


def _floats(table: pa.Table, name: str, rows: int) -> npt.NDArray[np.float32]:
    """A column of float lists, less its nulls, as f32[rows, O]."""
    flat = pc.list_flatten(table.column(name)).combine_chunks()
    values = flat.to_numpy(zero_copy_only=True) if len(flat) else np.empty(0, np.float32)
    return values.reshape(rows, -1) if rows else values.reshape(0, 0)


def _masks(table: pa.Table, name: str, rows: int, words: int) -> npt.NDArray[np.uint64]:
    """A column of one word or of lists of words, as u64[rows, W]; nulls are 0."""
    column = table.column(name)
    if words == 0:
        return np.empty((rows, 0), np.uint64)
    if words == 1:
        return np.asarray(_numbers(table, name, np.uint64)).reshape(rows, 1)
    out = np.zeros((rows, words), np.uint64)
    out[~pc.is_null(column).to_numpy()] = pc.list_flatten(column).to_numpy().reshape(-1, words)
    return out
