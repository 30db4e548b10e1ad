"""Chunks gather until a shard is worth writing. Pure: no broker, no store, no clock.

In: placed chunks and the time. Out: the order to seal, and the chunks grouped into shards.
Invariant: what `drain` returns is everything added since the last `drain`, each chunk once, in log order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from streams.shard_table import PlacedChunk


@dataclass(frozen=True, kw_only=True)
class CutPolicy:
    """When to seal: as soon as any of the three is reached by everything buffered together."""

    rows: int = 262_144
    chunk_bytes: int = 64 << 20  # of the messages, before Parquet makes them smaller
    age_s: float = 0.4  # since the first chunk arrived

    def __post_init__(self) -> None:
        for name in ("rows", "chunk_bytes", "age_s"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}: it must be above 0")


@dataclass(frozen=True)
class ShardKey:
    """What the rows of one shard have in common."""

    partition: int
    run: str
    env_id: str
    build_id: str
    state_encoding: str
    action_encoding: str
    obs_encoding: str
    schema_version: int
    widths: tuple[int, ...]  # bytes a row of state, obs, action, legal_mask; agents

    @classmethod
    def of(cls, placed: PlacedChunk) -> ShardKey:
        chunk, columns = placed.chunk, placed.columns
        return cls(
            partition=placed.partition,
            run=chunk.run,
            env_id=chunk.env_id,
            build_id=chunk.build_id,
            state_encoding=chunk.state_encoding,
            action_encoding=chunk.action_encoding,
            obs_encoding=chunk.obs_encoding,
            schema_version=chunk.schema_version,
            widths=(
                columns.state.shape[1],
                columns.obs.shape[1],
                columns.action.shape[1],
                columns.legal_mask.shape[1],
                chunk.agents,
            ),
        )


class ShardBuffer:
    """Chunks that are consumed but not sealed."""

    def __init__(self, policy: CutPolicy) -> None:
        self._policy = policy
        self._chunks: dict[ShardKey, list[PlacedChunk]] = defaultdict(list)
        self._first_s: float | None = None
        self.rows = 0
        self.bytes = 0

    def add(self, placed: PlacedChunk, *, value_bytes: int, now_s: float) -> None:
        """Takes one chunk whose message was `value_bytes` long, at monotonic time `now_s`."""
        self._chunks[ShardKey.of(placed)].append(placed)
        self.rows += placed.chunk.count
        self.bytes += value_bytes
        if self._first_s is None:
            self._first_s = now_s

    def due(self, now_s: float) -> bool:
        """Whether it is time to seal."""
        if self._first_s is None:
            return False
        policy = self._policy
        return (
            self.rows >= policy.rows
            or self.bytes >= policy.chunk_bytes
            or now_s - self._first_s >= policy.age_s
        )

    def wait_s(self, now_s: float, *, longest_s: float) -> float:
        """How long a reader may wait for messages before the oldest chunk must be sealed."""
        if self._first_s is None:
            return longest_s
        return min(max(self._first_s + self._policy.age_s - now_s, 0.0), longest_s)

    def drain(self) -> Iterator[tuple[ShardKey, list[PlacedChunk]]]:
        """Everything, by shard; the buffer is empty afterwards."""
        chunks, self._chunks = self._chunks, defaultdict(list)
        self._first_s = None
        self.rows = 0
        self.bytes = 0
        yield from chunks.items()
