"""What must be true of a stack's whole log, shards and weights after runs, whatever was killed meanwhile.

In: a stack whose compactor has caught up. Out: nothing, or an assertion that says what is wrong.
Invariant: no code of streams/ is used: the log is read by a bare consumer and fastavro with avro/*.avsc, the objects by
MinIO's client and pyarrow; every column of every row is compared.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import fastavro
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fastavro.schema import fingerprint, to_parsing_canonical_form

from log_oracle import AVRO, Message, Offsets, messages, object_of, object_store
from running_stack import Stack, wait_until

Chunk = dict[str, Any]
Place = tuple[int, int]  # partition, offset
_ENVIRONMENT_GROUPS = 2  # an actor plays two batches, so that as many episodes may be open
# The settings of a run that asked for nothing else.
_RATIO, _AHEAD, _MIN_ROWS, _ACTORS, _ENVIRONMENTS = 4.0, 65_536, 8_192, 2, 128


@dataclass(frozen=True)
class Log:
    """Everything that the stack's topics hold."""

    chunks: dict[
        Place, Chunk
    ]  # TransitionChunks below the group's committed offsets, in the order of the log
    shards: list[Chunk]
    weights: list[Chunk]
    statuses: list[Chunk]
    episodes: list[Chunk]

    def of_run(self, run: str) -> list[Chunk]:
        """The run's chunks in the order of the log."""
        return [chunk for chunk in self.chunks.values() if chunk["run"] == run]

    def weights_of(self, run: str) -> list[Chunk]:
        """The run's announcements, oldest first."""
        return [weights for weights in self.weights if weights["run"] == run]


def read_log(stack: Stack) -> Log:
    """Waits until the compactor has committed everything that is in the log, and reads it all."""
    stage = stack.stage()
    with Offsets(stage) as offsets:
        wait_until(
            lambda: offsets.committed() == offsets.ends(), "the compactor does not catch up", timeout_s=60
        )
        upto = offsets.committed()
    transitions = [m for m in messages(stage, "transitions", committed=False) if m.offset < upto[m.partition]]
    return Log(
        chunks={(m.partition, m.offset): record(m, "TransitionChunk") for m in transitions},
        shards=[record(m, "ShardSealed") for m in messages(stage, "shards")],
        weights=[record(m, "WeightsPublished") for m in messages(stage, "weights")],
        statuses=[record(m, "RunStatus") for m in messages(stage, "run-status")],
        episodes=[record(m, "EpisodeChunk") for m in messages(stage, "episodes")],
    )


@functools.cache
def _schema(name: str) -> tuple[bytes, Any]:
    """The header of single-object encoding, and the schema as fastavro takes it."""
    raw = next(raw for path in AVRO.glob("*.avsc") if (raw := json.loads(path.read_text()))["name"] == name)
    mark = bytes.fromhex(fingerprint(to_parsing_canonical_form(raw), "CRC-64-AVRO"))
    return b"\xc3\x01" + mark, fastavro.parse_schema(raw)


def record(message: Message, name: str) -> Chunk:
    """The record of schema `name` in a message."""
    header, schema = _schema(name)
    body = io.BytesIO(message.value or b"")
    assert body.read(len(header)) == header
    found: Any = fastavro.schemaless_reader(body, schema, None)
    assert body.read() == b""
    return dict(found)


def check_shards(stack: Stack, log: Log) -> int:
    """Every row below the committed offsets stands exactly once in announced shards, as it was logged.

    Returns how many rows there are.
    """
    assert len({shard["shard"] for shard in log.shards}) == len(log.shards)
    places = [_check_shard(stack, log, shard) for shard in log.shards]
    wanted = [_places(place, chunk["count"]) for place, chunk in log.chunks.items()]
    found, expected = np.sort(np.concatenate(places)), np.sort(np.concatenate(wanted))
    assert len(np.unique(found)) == len(found), "a row stands twice"
    assert np.array_equal(found, expected), "a row is missing, or was never logged"
    return len(found)


def _places(place: Place, rows: int) -> npt.NDArray[np.int64]:
    """One number for each (partition, offset, row) of a message."""
    return (place[0] << 56 | place[1] << 20) + np.arange(rows, dtype=np.int64)


def _check_shard(stack: Stack, log: Log, shard: Chunk) -> npt.NDArray[np.int64]:
    """One object is what was announced, and its rows are those of its messages. Returns their places."""
    body = object_of(stack.stage(), shard["object"])
    assert (len(body), hashlib.sha256(body).hexdigest()) == (shard["bytes"], shard["sha256"])
    table = pq.read_table(pa.BufferReader(body))
    first, last, partition, run = (
        shard[name] for name in ("first_offset", "last_offset", "partition", "run")
    )
    source = {
        (at, offset): chunk
        for (at, offset), chunk in log.chunks.items()
        if at == partition and first <= offset <= last and chunk["run"] == run
    }
    assert {(partition, first), (partition, last)} <= set(source)
    assert table.num_rows == shard["rows"] == sum(chunk["count"] for chunk in source.values())
    offsets, rows = (table[name].to_numpy().astype(np.int64) for name in ("log_offset", "log_row"))
    places = np.asarray((table["log_partition"].to_numpy().astype(np.int64) << 56) + (offsets << 20) + rows)
    expected = np.concatenate([_places(place, chunk["count"]) for place, chunk in source.items()])
    assert np.array_equal(places, expected)
    _check_columns(table, list(source.values()))
    return places


def _check_columns(table: pa.Table, source: list[Chunk]) -> None:
    for name, kind in (
        ("episode", "<i8"),
        ("step", "<i4"),
        ("player", "u1"),
        ("terminated", "u1"),
        ("truncated", "u1"),
    ):
        assert np.array_equal(table[name].to_numpy(), joined(source, name, kind)), name
    words = _check_game_columns(table, source)
    assert np.array_equal(pc.cast(table["time"], pa.int64()).to_numpy(), joined(source, "time_us", "<i8"))
    for name in ("actor", "weights_version"):
        expected = np.concatenate([np.full(chunk["count"], chunk[name]) for chunk in source])
        assert np.array_equal(table[name].to_numpy(), expected), name
    assert _bytes(table["state"]) == b"".join(chunk["state"] for chunk in source)
    assert np.array_equal(_numbers(table["obs"]), joined(source, "obs", "<f4"))
    assert all(chunk["behaviour_log_prob"] == b"" for chunk in source)
    assert table["behaviour_log_prob"].null_count == table.num_rows
    ends = np.concatenate([segment_ends(chunk) for chunk in source])
    masks = [f"successor_{words}"] if words else []
    for name in ("successor_state", "successor_obs", "successor_player", *masks):
        assert np.array_equal(table[name].is_valid().to_numpy(), ends), name
    ending = table.filter(pa.array(ends))
    assert _bytes(ending["successor_state"]) == b"".join(chunk["successor_state"] for chunk in source)
    assert np.array_equal(_numbers(ending["successor_obs"]), joined(source, "successor_obs", "<f4"))
    assert np.array_equal(ending["successor_player"].to_numpy(), joined(source, "successor_player", "u1"))
    for name in masks:
        assert np.array_equal(_numbers(ending[name]), joined(source, "successor_legal_mask", "<u8"))


def _check_game_columns(table: pa.Table, source: list[Chunk]) -> str:
    """Actions, masks and rewards, whose columns depend on the game. Returns the masks' column, or nothing."""
    layout = source[0]["action_encoding"].split(":")[1]
    action = {"d": "action", "u": "action_tuple", "f": "action_vector"}[layout[0]]
    kind = "<f4" if layout[0] == "f" else "<u4"
    assert np.array_equal(_numbers(table[action]), joined(source, "action", kind))
    rewards = joined(source, "reward", "<f4")
    if source[0]["agents"] > 1:
        assert np.array_equal(_numbers(table["rewards"]), rewards)
        rewards = rewards.reshape(table.num_rows, -1).sum(axis=1)
    assert np.array_equal(table["reward"].to_numpy(), rewards)
    masks = joined(source, "legal_mask", "<u8")
    if not masks.size:
        assert table["legal_mask"].null_count == table.num_rows
        return ""
    name = "legal_mask" if masks.size == table.num_rows else "legal_mask_words"
    assert np.array_equal(_numbers(table[name]), masks)
    return name


def joined(source: list[Chunk], name: str, kind: str) -> npt.NDArray[Any]:
    """A column of several chunks."""
    return np.concatenate([np.frombuffer(chunk[name], kind) for chunk in source])


def segment_ends(chunk: Chunk) -> npt.NDArray[np.bool_]:
    """Which rows are their segment's last, by the schema's words."""
    episode = np.frombuffer(chunk["episode"], "<i8")
    return np.append(episode[1:] != episode[:-1], True)


def _bytes(column: pa.ChunkedArray) -> bytes:
    return b"".join(column.to_pylist())


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """The numbers of a column of numbers, or of lists of them."""
    return np.asarray((pc.list_flatten(column) if pa.types.is_nested(column.type) else column).to_numpy())


def check_episodes(log: Log, run: str) -> int:
    """The run's episodes are whole: steps 0 to n - 1 once each, and each step begins where the last one led.

    Only the episodes that were open when an actor ended, one an environment at most, lack their end. Returns how many
    episodes ended.
    """
    source = log.of_run(run)
    lives: dict[tuple[int, int], list[int]] = defaultdict(list)
    for chunk in source:
        life = chunk["actor"], chunk["incarnation"]
        lives[life].append(chunk["sequence"])
        assert set(np.frombuffer(chunk["episode"], "<i8") >> 36) == {life[0] << 15 | life[1]}
    for life, sequence in lives.items():
        assert sequence == list(range(len(sequence))), f"actor and incarnation {life} lost a chunk"
    episode, step = joined(source, "episode", "<i8"), joined(source, "step", "<i4")
    over = (joined(source, "terminated", "u1") | joined(source, "truncated", "u1")).astype(bool)
    order = np.lexsort((step, episode))
    episode, step, over = episode[order], step[order], over[order]
    last = np.append(episode[1:] != episode[:-1], True)
    first = np.append(True, last[:-1])
    assert not step[first].any()
    assert np.all(np.diff(step)[~last[:-1]] == 1)
    assert not np.any(over & ~last)
    unfinished = episode[last & ~over]
    for actor, incarnation in lives:
        mine = np.count_nonzero(unfinished >> 36 == actor << 15 | incarnation)
        assert mine <= _ENVIRONMENT_GROUPS * _ENVIRONMENTS
    _check_successors(source, order, inner=~last)
    return int(np.count_nonzero(over))


def _check_successors(
    source: list[Chunk], order: npt.NDArray[np.int64], *, inner: npt.NDArray[np.bool_]
) -> None:
    """A segment's successor is where the episode goes on in the next chunk. `inner`: rows that have a next step."""
    ends = np.concatenate([segment_ends(chunk) for chunk in source])
    index = (np.cumsum(ends) - 1)[order]
    ends = ends[order]
    rows = len(order)
    for now, after in (
        ("state", "successor_state"),
        ("obs", "successor_obs"),
        ("player", "successor_player"),
    ):
        current = joined(source, now, "u1").reshape(rows, -1)[order]
        successor = joined(source, after, "u1").reshape(-1, current.shape[1])
        at = np.flatnonzero(ends & inner)
        assert np.array_equal(successor[index[at]], current[at + 1]), now


def check_weights(stack: Stack, log: Log, run: str) -> None:
    """Versions and gradient steps never go down, and every announced checkpoint is whole and the run's own."""
    announced = log.weights_of(run)
    versions = [weights["version"] for weights in announced]
    assert versions == list(range(len(versions)))
    for name in ("gradient_steps", "samples"):
        counts = [weights[name] for weights in announced]
        assert counts == sorted(counts), name
    assert [weights["final"] for weights in announced] == [False] * (len(announced) - 1) + [True]
    for weights in announced:
        assert weights["checkpoint"].startswith(f"checkpoints/run={run}/")
        text = object_of(stack.stage(), f"{weights['checkpoint']}/manifest.json")
        assert hashlib.sha256(text).hexdigest() == weights["manifest_sha256"]
        manifest = json.loads(text)
        expected = {
            name: weights[name] for name in ("run", "version", "gradient_steps", "samples", "inserted_rows")
        }
        assert manifest["settings"]["run"] == run
        assert {name: manifest[name] for name in expected} == expected
    for name, digest in manifest["sha256"].items():
        body = object_of(stack.stage(), f"{announced[-1]['checkpoint']}/{name}")
        assert hashlib.sha256(body).hexdigest() == digest


def check_limits(log: Log, run: str) -> None:
    """Samples per insert of a run of usual settings ended within the bound: -e <= r * (inserted - m) - sampled <= e.

    An actor that starts again, or waits while nothing is announced, takes its part of what was allowed and not inserted
    then, which may be on its way already: 2 * e / r rows at most, however often. Beside that each actor is a step of
    its environments ahead.
    """
    final = log.weights_of(run)[-1]
    due = _RATIO * (final["inserted_rows"] - _MIN_ROWS) - final["samples"]
    steps = _RATIO * _ACTORS * _ENVIRONMENT_GROUPS * _ENVIRONMENTS
    assert -_AHEAD <= due <= _AHEAD + 2 * _AHEAD + steps


def objects_of(stack: Stack, prefix: str) -> set[str]:
    """The keys of the bucket that begin with `prefix`."""
    stage = stack.stage()
    listed = object_store(stage).list_objects(stage.settings.bucket, prefix=prefix, recursive=True)
    return {str(item.object_name) for item in listed}
