"""The records of the log as dataclasses: avro/*.avsc in Python.

In: nothing. Out: one frozen class a schema, with the same fields in the same order.
Invariant: a test compares every class with its schema; the comments on fields are in the schema.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Record:
    """Base of every record."""


@dataclass(frozen=True, kw_only=True)
class TransitionChunk(Record):
    run: str
    actor: int
    incarnation: int
    sequence: int
    weights_version: int
    env_id: str
    build_id: str
    state_encoding: str
    action_encoding: str
    obs_encoding: str
    schema_version: int
    count: int
    episode: bytes = field(repr=False)  # i64[count]
    step: bytes = field(repr=False)  # i32[count]
    player: bytes = field(repr=False)  # u8[count]
    state: bytes = field(repr=False)  # u8[count, S]
    obs: bytes = field(repr=False)  # [count, O]
    action: bytes = field(repr=False)  # [count, A]
    legal_mask: bytes = field(repr=False)  # u64[count, W]
    reward: bytes = field(repr=False)  # f32[count], or f32[count, agents]
    terminated: bytes = field(repr=False)  # u8[count]
    truncated: bytes = field(repr=False)  # u8[count]
    behaviour_log_prob: bytes = field(repr=False)  # f32[count] or empty
    time_us: bytes = field(repr=False)  # i64[count]
    successor_state: bytes = field(repr=False)  # u8[segments, S]
    successor_obs: bytes = field(repr=False)  # [segments, O]
    successor_legal_mask: bytes = field(repr=False)  # u64[segments, W]
    successor_player: bytes = field(repr=False)  # u8[segments]
    agents: int = 1


@dataclass(frozen=True, kw_only=True)
class EpisodeChunk(Record):
    run: str
    actor: int
    incarnation: int
    sequence: int
    weights_version: int
    env_id: str
    count: int
    players: int
    episode: bytes = field(repr=False)  # i64[count]
    length: bytes = field(repr=False)  # i32[count]
    returns: bytes = field(repr=False)  # f32[count, players]
    truncated: bytes = field(repr=False)  # u8[count]
    ended_us: bytes = field(repr=False)  # i64[count]


@dataclass(frozen=True, kw_only=True)
class ShardSealed(Record):
    shard: str
    run: str
    env_id: str
    build_id: str
    state_encoding: str
    action_encoding: str
    obs_encoding: str
    schema_version: int
    mask_words: int
    topic: str
    partition: int
    first_offset: int
    last_offset: int
    object: str
    rows: int
    bytes: int
    sha256: str
    first_time_us: int
    last_time_us: int
    first_weights_version: int
    last_weights_version: int
    sealed_us: int
    replaces: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class WeightsPublished(Record):
    run: str
    version: int
    checkpoint: str
    manifest_sha256: str
    gradient_steps: int
    samples: int
    inserted_rows: int
    allowed_rows: int
    evaluation: dict[str, float]
    verdict: str
    final: bool
    published_us: int


@dataclass(frozen=True, kw_only=True)
class RunSpec(Record):
    run: str
    wanted: str  # RUNNING or STOPPED
    env_id: str
    algorithm: str
    seed: int
    submitted_us: int
    actors: int
    environments: int
    chunk_steps: int
    exploration: float
    hidden: list[int]
    learning_rate: float
    batch_size: int
    discount: float
    target_period: int
    publish_period: int
    window_rows: int
    min_window_rows: int
    samples_per_insert: float
    samples_ahead: int
    where: str
    max_gradient_steps: int
    stop_when: str
    hint: str = ""  # hexadecimal


def least_samples_ahead(spec: RunSpec, *, agents: int) -> int:
    """The smallest error bound of the limiter with which actors and learner never wait for each other.

    Between two announcements the learner takes publish_period * batch_size samples, and each actor may have left over
    what is less than its two batches, whose rows are a transition for each of `agents` who move at once.
    """
    a_batch = spec.samples_per_insert * agents * (1 + 2 * spec.environments)
    return math.ceil(spec.actors * (spec.publish_period * spec.batch_size + a_batch) / 2)


@dataclass(frozen=True, kw_only=True)
class RunStatus(Record):
    run: str
    component: str
    state: str  # STARTING, RUNNING, WAITING, FINISHED, STOPPED or FAILED
    message: str
    incarnation: int
    weights_version: int
    numbers: dict[str, float]
    time_us: int


@dataclass(frozen=True, kw_only=True)
class DeadLetter(Record):
    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    reason: str
    rejected_by: str
    rejected_us: int


RECORDS: Final[dict[str, type[Record]]] = {
    kind.__name__: kind
    for kind in (TransitionChunk, EpisodeChunk, ShardSealed, WeightsPublished, RunSpec, RunStatus, DeadLetter)
}
