"""Chunks to test with: random columns under a known division into segments.

In: a seed, segment lengths, a layout. Out: TransitionChunks that are sound.
Invariant: the same arguments give the same bytes; neighbouring segments belong to different episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from games.contract import ActionSpace, AgentSpec, Box, Discrete, Encoding, GameSpec, MultiDiscrete
from games.spec import action_encoding
from streams.chunk import columns_of
from streams.records import TransitionChunk
from streams.shard_table import PlacedChunk


@dataclass(frozen=True)
class Layout:
    """Widths of a game's columns, and their encodings."""

    obs_encoding: str = "obs:f32x5:v1"
    obs_bytes: int = 20
    action_encoding: str = "action:discrete:v1"
    action_bytes: int = 4
    state_bytes: int = 3
    mask_words: int = 1
    log_prob: bool = False
    agents: int = 1


FLOATS = Layout()
NO_MASK = Layout(mask_words=0, log_prob=True)
WIDE_MASK = Layout(mask_words=2)
BYTES = Layout(
    obs_encoding="obs:packed_u8:v1",
    obs_bytes=7,
    action_encoding="action:box:v1",
    action_bytes=8,
    mask_words=0,
)
TUPLE = Layout(action_encoding="action:u32x3:v1", action_bytes=12, mask_words=0)
VECTOR = Layout(action_encoding="action:f32x2:v1", action_bytes=8, mask_words=0)
AGENTS = Layout(
    obs_encoding="obs:f32x10:v1",
    obs_bytes=40,
    action_encoding="action:u32x4:v1",
    action_bytes=16,
    mask_words=4,
    agents=4,
)


def sample_chunk(
    seed: int, *, segments: Sequence[int] = (3, 1, 4), layout: Layout = FLOATS, **changes: Any
) -> TransitionChunk:
    """A chunk whose rows fall into `segments`; every second segment's episode ends with it.

    `changes` replace fields of the finished record.
    """
    random = np.random.default_rng(seed)
    rows, parts = sum(segments), len(segments)
    last = np.cumsum(segments) - 1
    terminated, truncated = np.zeros(rows, np.uint8), np.zeros(rows, np.uint8)
    terminated[last[0::4]] = 1
    truncated[last[2::4]] = 1
    first_step = random.integers(0, 50, parts)
    step = np.concatenate([at + np.arange(length) for at, length in zip(first_step, segments, strict=True)])
    # no two neighbours are alike, and ids use all 63 bits
    episode = np.repeat(random.integers(0, 1 << 50, parts) << 12 | np.arange(parts), segments)
    chunk = TransitionChunk(
        run="run-a",
        actor=1,
        incarnation=2,
        sequence=seed,
        weights_version=7,
        env_id="some-game",
        build_id="some-game-1",
        state_encoding="state:packed_u8:v1",
        action_encoding=layout.action_encoding,
        obs_encoding=layout.obs_encoding,
        schema_version=1,
        count=rows,
        episode=episode.astype("<i8").tobytes(),
        step=step.astype("<i4").tobytes(),
        player=random.integers(0, 2, rows, np.uint8).tobytes(),
        state=random.bytes(rows * layout.state_bytes),
        obs=_observations(random, rows, layout),
        action=_actions(random, rows, layout),
        legal_mask=random.bytes(rows * 8 * layout.mask_words),
        reward=random.normal(size=rows * layout.agents).astype("<f4").tobytes(),
        terminated=terminated.tobytes(),
        truncated=truncated.tobytes(),
        behaviour_log_prob=random.normal(size=rows).astype("<f4").tobytes() if layout.log_prob else b"",
        time_us=(1_760_000_000_000_000 + random.integers(0, 10**9, rows)).astype("<i8").tobytes(),
        successor_state=random.bytes(parts * layout.state_bytes),
        successor_obs=_observations(random, parts, layout),
        successor_legal_mask=random.bytes(parts * 8 * layout.mask_words),
        successor_player=random.integers(0, 2, parts, np.uint8).tobytes(),
        agents=layout.agents,
    )
    return replace(chunk, **changes)


def _actions(random: np.random.Generator, rows: int, layout: Layout) -> bytes:
    numbers = rows * layout.action_bytes // 4
    if layout.action_encoding.startswith("action:f32x"):
        return random.normal(size=numbers).astype("<f4").tobytes()
    if layout.action_encoding.startswith(("action:discrete", "action:u32x")):
        return random.integers(0, max(64 * layout.mask_words, 9), numbers, np.uint32).astype("<u4").tobytes()
    return random.bytes(rows * layout.action_bytes)


def _observations(random: np.random.Generator, rows: int, layout: Layout) -> bytes:
    if layout.obs_encoding.startswith("obs:f32x"):
        return random.normal(size=(rows, layout.obs_bytes // 4)).astype("<f4").tobytes()
    return random.bytes(rows * layout.obs_bytes)


def placed(chunk: TransitionChunk, partition: int, offset: int) -> PlacedChunk:
    """`chunk` as the compactor has it after decoding."""
    return PlacedChunk(chunk, columns_of(chunk), partition, offset)


def spec_of(layout: Layout) -> GameSpec:
    """A game whose columns have these widths."""
    agents = tuple(
        AgentSpec(f"agent{number}", "some", actions=64, obs_shape=(number + 1,))
        for number in range(layout.agents if layout.agents > 1 else 0)
    )
    space: ActionSpace = Discrete(64 * layout.mask_words) if layout.mask_words else MultiDiscrete((9,))
    if agents:
        space = MultiDiscrete((64,) * len(agents))
    elif layout.action_encoding.startswith("action:u32x"):
        space = MultiDiscrete((9,) * (layout.action_bytes // 4))
    elif layout.action_encoding.startswith("action:f32x"):
        bounds = (layout.action_bytes // 4) * (3.0,)
        space = Box(tuple(-bound for bound in bounds), bounds, (len(bounds),))
    return GameSpec(
        env_id="some-game",
        build_id="some-game-1",
        encoding=Encoding("state:packed_u8:v1", action_encoding(space), layout.obs_encoding, 1),
        max_horizon=100,
        action_space=space,
        preferred_batch=1,
        players=len(agents) or 2,
        state_bytes=layout.state_bytes,
        action_bytes=layout.action_bytes,
        obs_shape=(layout.obs_bytes // 4,),
        zero_sum=False,
        perfect_information=True,
        stochastic=False,
        agents=agents,
    )
