"""SQL over sealed shards: the text of the views that people and the learner share. Pure.

In: announced shards. Out: SELECT statements for DuckDB.
Invariant: a view reads exactly the objects of the shards given, never a pattern, in the order of the log.

A column whose type depends on the game's encodings has a name that depends on them too, so that all games stand in one
view: obs or obs_bytes; action, action_tuple, action_vector or action_bytes; legal_mask or legal_mask_words; the ones
that a game has not are NULL. Where several agents move at once there is rewards, and reward is their sum.
"""

from __future__ import annotations

from collections.abc import Sequence

from streams import chunk
from streams.chunk import obs_floats
from streams.records import ShardSealed

# What the view has when there is no shard yet, so that a query fails for its own reasons only.
_EMPTY = """SELECT NULL::VARCHAR AS run, NULL::VARCHAR AS env_id, NULL::INTEGER AS log_partition,
  NULL::BIGINT AS log_offset, NULL::INTEGER AS log_row, NULL::INTEGER AS actor, NULL::BIGINT AS weights_version,
  NULL::BIGINT AS episode, NULL::INTEGER AS step, NULL::UTINYINT AS player, NULL::BLOB AS state,
  NULL::FLOAT[] AS obs, NULL::BLOB AS obs_bytes, NULL::INTEGER AS action, NULL::INTEGER[] AS action_tuple,
  NULL::FLOAT[] AS action_vector, NULL::BLOB AS action_bytes, NULL::UBIGINT AS legal_mask,
  NULL::UBIGINT[] AS legal_mask_words, NULL::FLOAT AS reward, NULL::FLOAT[] AS rewards,
  NULL::BOOLEAN AS terminated, NULL::BOOLEAN AS truncated, NULL::FLOAT AS behaviour_log_prob,
  NULL::TIMESTAMPTZ AS time, NULL::BLOB AS successor_state, NULL::FLOAT[] AS successor_obs,
  NULL::BLOB AS successor_obs_bytes, NULL::UBIGINT AS successor_legal_mask,
  NULL::UBIGINT[] AS successor_legal_mask_words, NULL::UTINYINT AS successor_player"""

EPISODES = """SELECT run, episode, any_value(env_id) AS env_id, any_value(actor) AS actor,
  count(*) AS length, bool_or(terminated) AS terminated, bool_or(truncated) AS truncated,
  sum(reward) AS total_reward, arg_max(player, step) AS last_player, arg_max(reward, step) AS last_reward,
  min(weights_version) AS first_weights_version, max(weights_version) AS last_weights_version,
  min(time) AS started, max(time) AS ended,
  min(log_partition) AS log_partition, min(log_offset) AS first_offset, max(log_offset) AS last_offset
FROM transitions GROUP BY run, episode"""


def obs_column(shard: ShardSealed) -> str:
    """The column of the observations of `shard`."""
    return "obs" if obs_floats(shard.obs_encoding) is not None else "obs_bytes"


def action_column(shard: ShardSealed) -> str:
    """The column of the actions of `shard`."""
    return chunk.action_column(shard.action_encoding).name


def mask_column(mask_words: int) -> str:
    """The column of legal masks of so many words."""
    return "legal_mask" if mask_words <= 1 else "legal_mask_words"


def current(shards: Sequence[ShardSealed]) -> list[ShardSealed]:
    """`shards` less the ones that a later one replaces; of two records of one shard the later holds."""
    latest = {shard.shard: shard for shard in shards}
    replaced = {name for shard in latest.values() for name in shard.replaces}
    return [shard for name, shard in latest.items() if name not in replaced]


def rows_of(shards: Sequence[ShardSealed], bucket: str) -> str:
    """SELECT of the stored columns of `shards`, in the order of the shards and of the log within each."""
    return (
        _union([f"SELECT {_names(group)}, * FROM {_objects(group, bucket)}" for group in _groups(shards)])
        or f"{_EMPTY} WHERE false"
    )


def transitions(shards: Sequence[ShardSealed], bucket: str) -> str:
    """SELECT of the transitions view: every row of `shards` with its successor in next_ columns."""
    # The empty one has the columns that none of these games has.
    return _union([*(_linked(group, bucket) for group in _groups(shards)), _nothing()])


def quote(text: str) -> str:
    """`text` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def _groups(shards: Sequence[ShardSealed]) -> list[list[ShardSealed]]:
    """Shards whose rows have the same columns. One run each, so that `WHERE run = …` opens that run's objects only."""
    groups: dict[tuple[object, ...], list[ShardSealed]] = {}
    for shard in shards:
        key = (shard.run, shard.env_id, shard.obs_encoding, shard.action_encoding, shard.mask_words)
        groups.setdefault(key, []).append(shard)
    return list(groups.values())


def _union(parts: Sequence[str]) -> str:
    return " UNION ALL BY NAME ".join(parts)


def _names(group: Sequence[ShardSealed]) -> str:
    return f"{quote(group[0].run)} AS run, {quote(group[0].env_id)} AS env_id"


def _objects(group: Sequence[ShardSealed], bucket: str) -> str:
    objects = ", ".join(quote(f"s3://{bucket}/{shard.object}") for shard in group)
    return f"read_parquet([{objects}], hive_partitioning = false)"


def _linked(group: Sequence[ShardSealed], bucket: str) -> str:
    """The successor is the row's own if it ends a segment, else the next row of the same object.

    A join by position reads it: unlike a window, it costs nothing to whoever does not ask for it (docs/log.md). The
    names stand outside of the join, so that a condition on them is known before any object is opened.
    """
    objects = _objects(group, bucket)
    names = ["state", obs_column(group[0]), mask_column(group[0].mask_words), "player"]
    following = ", ".join(f"{name} AS following_{name}" for name in names)
    linked = ", ".join(f"coalesce(successor_{name}, following_{name}) AS next_{name}" for name in names)
    hidden = ", ".join(f"following_{name}" for name in names)
    return (
        f"SELECT {_names(group)}, * EXCLUDE ({hidden}), {linked}"
        f" FROM (SELECT * FROM {objects}) POSITIONAL JOIN (SELECT {following} FROM {objects} OFFSET 1)"
    )


def _nothing() -> str:
    return (
        "SELECT *, NULL::BLOB AS next_state, NULL::FLOAT[] AS next_obs, NULL::BLOB AS next_obs_bytes,"
        " NULL::UBIGINT AS next_legal_mask, NULL::UBIGINT[] AS next_legal_mask_words, NULL::UTINYINT AS next_player"
        f" FROM ({_EMPTY}) WHERE false"
    )
