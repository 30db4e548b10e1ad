"""What is recorded step by step comes out as chunks, each step once, with what followed it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actor.recorder import Recorder, Rows
from chunk_samples import sample_chunk
from games.contract import Discrete, Encoding, GameSpec, MultiDiscrete, Positions
from streams import codec
from streams.chunk import columns_of
from streams.records import TransitionChunk

MEGABYTE = 1 << 20  # Kafka's default bound for a message


def game(*, floats: int = 3, actions: int = 9, state_bytes: int = 5) -> GameSpec:
    """A spec of the given sizes; without a mask where `actions` is 0."""
    return GameSpec(
        env_id="some-game",
        build_id="some-game-1",
        encoding=Encoding(
            state="state:packed_u8:v1",
            action="action:discrete:v1" if actions else "action:u32x1:v1",
            obs=f"obs:f32x{floats}:v1",
            schema_version=1,
        ),
        max_horizon=100,
        action_space=Discrete(actions) if actions else MultiDiscrete((3,)),
        preferred_batch=16,
        players=2,
        state_bytes=state_bytes,
        action_bytes=4,
        obs_shape=(floats,),
        zero_sum=True,
        perfect_information=True,
        stochastic=False,
    )


def positions(random: np.random.Generator, spec: GameSpec, rows: int) -> Positions:
    return Positions(
        states=random.integers(0, 256, (rows, spec.state_bytes), np.uint8),
        obs=random.normal(size=(rows, spec.obs_size)).astype(np.float32),
        legal_masks=random.integers(0, 2**64, (rows, spec.mask_words), np.uint64),
        players=random.integers(0, 2, rows, np.uint8),
    )


def chunk_of(rows: Rows, spec: GameSpec) -> TransitionChunk:
    sample = sample_chunk(0)
    columns: dict[str, Any] = dict(rows.columns)
    return replace(
        sample,
        count=rows.count,
        action_encoding=spec.encoding.action,
        obs_encoding=spec.encoding.obs,
        behaviour_log_prob=b"",
        **columns,
    )


@dataclass
class Reference:
    """A recorder in plain Python: one dictionary a step, one list an environment."""

    steps: list[list[dict[str, bytes]]]

    def take(self, env: int, step: dict[str, bytes]) -> None:
        self.steps[env].append(step)

    def columns(self, newest: Positions) -> dict[str, bytes]:
        """Every column, environment by environment."""
        rows: list[dict[str, bytes]] = []
        successors: list[dict[str, bytes]] = []
        for env, steps in enumerate(self.steps):
            for number, step in enumerate(steps):
                rows.append(step)
                if "after_state" in step:
                    successors.append(
                        {name: step[f"after_{name}"] for name in ("state", "obs", "mask", "player")}
                    )
                elif number == len(steps) - 1:
                    successors.append(position_bytes(newest, env))
        names = [name for name in rows[0] if not name.startswith("after_")]
        return {name: b"".join(row[name] for row in rows) for name in names} | {
            "successor_state": b"".join(row["state"] for row in successors),
            "successor_obs": b"".join(row["obs"] for row in successors),
            "successor_legal_mask": b"".join(row["mask"] for row in successors),
            "successor_player": b"".join(row["player"] for row in successors),
        }


def position_bytes(at: Positions, row: int) -> dict[str, bytes]:
    return {
        "state": at.states[row].tobytes(),
        "obs": at.obs[row].tobytes(),
        "mask": at.legal_masks[row].tobytes(),
        "player": at.players[row].tobytes(),
    }


class Session:
    """Random play of `envs` environments that a recorder and the reference both watch."""

    def __init__(self, spec: GameSpec, *, envs: int, room: int, seed: int) -> None:
        self.spec, self.envs = spec, envs
        self.random = np.random.default_rng(seed)
        self.recorder = Recorder(spec, environments=envs, steps=room)
        self.now = positions(self.random, spec, envs)
        self.episodes = np.arange(envs, dtype=np.int64)
        self.steps = np.zeros(envs, np.int32)
        self.reference = Reference([[] for _ in range(envs)])

    def step(self, ends: list[int]) -> None:
        """One step; an end is 0, 1 by the rules, 2 by a limit."""
        before, spec, random = self.now, self.spec, self.random
        actions = random.integers(0, 256, (self.envs, spec.action_bytes), np.uint8)
        time_us = int(random.integers(0, 2**50))
        self.recorder.decide(before, actions, episodes=self.episodes, steps=self.steps, time_us=time_us)
        rewards = random.normal(size=self.envs).astype(np.float32)
        terminated = np.array([end == 1 for end in ends], np.uint8)
        truncated = np.array([end == 2 for end in ends], np.uint8)
        ended = np.flatnonzero(ends)
        final = positions(random, spec, len(ended))
        self.recorder.outcome(rewards, terminated, truncated, final=final)
        for env in range(self.envs):
            at = position_bytes(before, env)
            step = {
                "episode": self.episodes[env].tobytes(),
                "step": self.steps[env].tobytes(),
                "player": at["player"],
                "state": at["state"],
                "obs": at["obs"],
                "action": actions[env].tobytes(),
                "legal_mask": at["mask"],
                "reward": rewards[env].tobytes(),
                "terminated": terminated[env].tobytes(),
                "truncated": truncated[env].tobytes(),
                "time_us": np.int64(time_us).tobytes(),
            }
            if ends[env]:
                after = position_bytes(final, int(np.searchsorted(ended, env)))
                step |= {f"after_{name}": value for name, value in after.items()}
            self.reference.take(env, step)
        self.steps += 1
        for env in ended.tolist():
            self.episodes[env] += self.envs
            self.steps[env] = 0
        self.now = positions(random, spec, self.envs)

    def drain(self) -> tuple[list[Rows], dict[str, bytes]]:
        expected, self.reference = self.reference, Reference([[] for _ in range(self.envs)])
        return list(self.recorder.drain(self.now)), expected.columns(self.now)


def joined(chunks: list[Rows]) -> dict[str, bytes]:
    return {name: b"".join(chunk.columns[name] for chunk in chunks) for name in chunks[0].columns}


ROUNDS = st.integers(1, 4).flatmap(
    lambda envs: st.tuples(
        st.just(envs),
        st.lists(
            st.lists(
                st.lists(st.sampled_from([0, 0, 0, 1, 2]), min_size=envs, max_size=envs),
                min_size=1,
                max_size=5,
            ),
            min_size=1,
            max_size=3,
        ),
    )
)


@pytest.mark.parametrize("actions", [0, 9, 100], ids=["no mask", "one word", "two words"])
@settings(max_examples=60, deadline=None)
@given(case=ROUNDS, seed=st.integers(0, 2**32))
def test_every_step_comes_out_once_with_what_followed_it(
    actions: int, case: tuple[int, list[list[list[int]]]], seed: int
) -> None:
    envs, rounds = case
    session = Session(game(actions=actions), envs=envs, room=5, seed=seed)
    for ends_of_steps in rounds:
        for ends in ends_of_steps:
            session.step(ends)
        assert session.recorder.full == (len(ends_of_steps) == 5)
        chunks, expected = session.drain()
        assert sum(chunk.count for chunk in chunks) == envs * len(ends_of_steps)
        assert joined(chunks) == expected
        for chunk in chunks:
            columns_of(chunk_of(chunk, session.spec))  # sound for whoever reads it
        assert session.recorder.steps == 0


def test_nothing_recorded_is_no_chunk() -> None:
    session = Session(game(), envs=2, room=3, seed=1)
    assert list(session.recorder.drain(session.now)) == []
    session.step([0, 1])
    session.drain()
    assert list(session.recorder.drain(session.now)) == []


@pytest.mark.parametrize(
    ("envs", "room", "floats", "ends_every"),
    [
        (1024, 16, 29, 7),
        (1024, 16, 29, 1),
        (16_384, 1, 29, 0),
        (64, 128, 80, 1),
        (3, 512, 200, 3),
    ],
    ids=["as the pipeline", "every step ends", "one step a chunk", "large observations", "few environments"],
)
def test_messages_stay_below_a_megabyte_and_keep_everything(
    envs: int, room: int, floats: int, ends_every: int
) -> None:
    session = Session(game(floats=floats, state_bytes=11), envs=envs, room=room, seed=5)
    recorder, random = session.recorder, session.random
    for step in range(room):
        ended = np.full(envs, 1 if ends_every and step % ends_every == ends_every - 1 else 0, np.uint8)
        recorder.decide(
            session.now,
            random.integers(0, 256, (envs, 4), np.uint8),
            episodes=session.episodes,
            steps=session.steps,
            time_us=step,
        )
        final = positions(random, session.spec, int(ended.sum()))
        recorder.outcome(np.zeros(envs, np.float32), ended, np.zeros(envs, np.uint8), final=final)
        session.episodes += ended.astype(np.int64) * envs
    chunks = list(recorder.drain(session.now))
    assert sum(chunk.count for chunk in chunks) == envs * room
    assert all(chunk.count > 0 for chunk in chunks)
    assert max(len(codec.encode(chunk_of(chunk, session.spec))) for chunk in chunks) < MEGABYTE


def test_a_large_game_of_one_environment_makes_no_empty_chunk() -> None:
    session = Session(game(floats=60), envs=1, room=4096, seed=1)
    for _ in range(4096):
        session.recorder.decide(
            session.now,
            np.zeros((1, 4), np.uint8),
            episodes=session.episodes,
            steps=session.steps,
            time_us=0,
        )
        nothing: Any = np.zeros(1, np.uint8)
        session.recorder.outcome(
            np.zeros(1, np.float32), nothing, nothing, final=positions(session.random, session.spec, 0)
        )
    counts = [chunk.count for chunk in session.recorder.drain(session.now)]
    assert sum(counts) == 4096
    assert min(counts) > 0
