"""SQL over sealed shards: the text of the views that people and the learner share. Pure.

In: announced shards. Out: SELECT statements for DuckDB.
Invariant: a view reads exactly the objects of the shards given, never a pattern.
"""

from __future__ import annotations

from collections.abc import Sequence

from streams.records import ShardSealed

# What the view has when there is no shard yet, so that a query fails for its own reasons only.
_EMPTY = """SELECT NULL::VARCHAR AS run, NULL::VARCHAR AS env_id, NULL::INTEGER AS log_partition,
  NULL::BIGINT AS log_offset, NULL::INTEGER AS log_row, NULL::INTEGER AS actor, NULL::BIGINT AS weights_version,
  NULL::BIGINT AS episode, NULL::INTEGER AS step, NULL::UTINYINT AS player, NULL::BLOB AS state,
  NULL::FLOAT[] AS obs, NULL::INTEGER AS action, NULL::UBIGINT AS legal_mask, NULL::FLOAT AS reward,
  NULL::BOOLEAN AS terminated, NULL::BOOLEAN AS truncated, NULL::FLOAT AS behaviour_log_prob,
  NULL::TIMESTAMPTZ AS time, NULL::BLOB AS successor_state, NULL::FLOAT[] AS successor_obs,
  NULL::UBIGINT AS successor_legal_mask, NULL::UTINYINT AS successor_player WHERE false"""


def current(shards: Sequence[ShardSealed]) -> list[ShardSealed]:
    """`shards` less the ones that a later one replaces; of two records of one shard the later holds."""
    latest = {shard.shard: shard for shard in shards}
    replaced = {name for shard in latest.values() for name in shard.replaces}
    return [shard for name, shard in latest.items() if name not in replaced]


def rows_of(shards: Sequence[ShardSealed], bucket: str) -> str:
    """SELECT of the stored columns of `shards`, in the order of the shards and of the log within each."""
    if not shards:
        return _EMPTY
    # Games differ in the types of obs and action: each game is read by itself, and its columns go by name.
    games: dict[tuple[str, str, str], list[ShardSealed]] = {}
    for shard in shards:
        games.setdefault((shard.env_id, shard.obs_encoding, shard.action_encoding), []).append(shard)
    parts = []
    for (env_id, _, _), group in games.items():
        objects = ", ".join(quote(f"s3://{bucket}/{shard.object}") for shard in group)
        parts.append(
            f"SELECT {quote(env_id)} AS env_id, * FROM read_parquet([{objects}],"
            " hive_partitioning = true, hive_types_autocast = false)"
        )
    return " UNION ALL BY NAME ".join(parts)


def transitions(rows: str) -> str:
    """SELECT of the transitions view over `rows`: every row with its next_obs and next_state.

    The successor is the next row of the same message, unless the row ends a segment and carries its own.
    """
    return f"""SELECT *,
  coalesce(successor_obs, lead(obs) OVER message) AS next_obs,
  coalesce(successor_state, lead(state) OVER message) AS next_state,
  coalesce(successor_legal_mask, lead(legal_mask) OVER message) AS next_legal_mask,
  coalesce(successor_player, lead(player) OVER message) AS next_player
FROM ({rows}) WINDOW message AS (PARTITION BY run, log_partition, log_offset ORDER BY log_row)"""


EPISODES = """SELECT run, episode, any_value(env_id) AS env_id, any_value(actor) AS actor,
  count(*) AS length, bool_or(terminated) AS terminated, bool_or(truncated) AS truncated,
  arg_max(player, step) AS last_player, arg_max(reward, step) AS last_reward,
  min(weights_version) AS first_weights_version, max(weights_version) AS last_weights_version,
  min(time) AS started, max(time) AS ended,
  min(log_partition) AS log_partition, min(log_offset) AS first_offset, max(log_offset) AS last_offset
FROM transitions GROUP BY run, episode"""


def quote(text: str) -> str:
    """`text` as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
