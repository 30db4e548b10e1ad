"""One group of environments of one run: where its games stand, and what it has recorded.

In: policies and the engine's replies. Out: actions, chunks of transitions, chunks of ended episodes.
Invariant: what the group plays is a function of (spec, seed, actor, incarnation, group, weights) alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from actor import kernels
from actor.errors import ActorError
from actor.policy import Policy
from actor.recorder import Recorder
from engine.client import StepReply
from games.choices import Choices
from games.contract import GameSpec, Positions
from streams.records import EpisodeChunk, RunSpec

GROUPS = 2  # one is with the engine while the other chooses its actions


@dataclass(frozen=True)
class Identity:
    """Who plays: everything that ids and random numbers are made of."""

    run: RunSpec
    actor: int
    incarnation: int

    def __post_init__(self) -> None:
        if not 0 <= self.actor < 1 << 12 or not 0 <= self.incarnation < 1 << 15:
            raise ActorError(
                f"actor is {self.actor}, incarnation {self.incarnation}: an episode's id has room for 12 and 15 bits;"
                f" start a new run instead of {self.run.run}"
            )

    def episode_id(self, number: int) -> int:
        """Id of this incarnation's episode `number`; unique within the run."""
        return self.actor << 51 | self.incarnation << 36 | number

    def key(self, purpose: int) -> int:
        """64 bits that seed one purpose's random numbers."""
        key = np.uint64(self.run.seed & (2**64 - 1))
        for part in (self.actor, self.incarnation, purpose):
            key = np.uint64(kernels.mix(np.uint64(key ^ np.uint64(part))))
        return int(key)


@dataclass
class _Ended:
    """Columns of episodes that ended since the last chunk; `count` of the rows are filled."""

    episode: npt.NDArray[np.int64]  # [room]
    length: npt.NDArray[np.int32]  # [room]
    returns: npt.NDArray[np.float32]  # [room, P]
    truncated: npt.NDArray[np.uint8]  # [room]
    ended_us: npt.NDArray[np.int64]  # [room]
    count: int = 0


class Group:
    """N environments that step together."""

    def __init__(self, identity: Identity, game: GameSpec, *, number: int, start: Positions) -> None:
        run = identity.run
        rows = run.environments
        self.number = number
        self._run = run
        self._identity = identity
        self._game = game
        self._key = np.uint64(identity.key(number))
        self._seeds = np.uint64(identity.key(GROUPS + number))
        self.positions = start
        self._choices = Choices(game)
        decisions = rows * self._choices.agents
        self._chosen = np.zeros(decisions, np.uint32)
        self.action_bytes = self._choices.encode(self._chosen)  # u8[N, A], as the engine takes them
        self.recorder = Recorder(game, environments=rows, steps=run.chunk_steps)
        self._counter = 0
        self._episodes = rows
        self._episode = np.array(
            [identity.episode_id(number + GROUPS * row) for row in range(rows)], np.int64
        )
        self._step = np.zeros(rows, np.int32)
        self._returns = np.zeros((rows, game.players), np.float32)
        self._greedy_rows = np.zeros(decisions, np.int64)
        self._greedy_obs = np.zeros((decisions, self._choices.obs_size), np.float32)
        room = rows * run.chunk_steps
        self._ended = _Ended(
            np.zeros(room, np.int64),
            np.zeros(room, np.int32),
            np.zeros((room, game.players), np.float32),
            np.zeros(room, np.uint8),
            np.zeros(room, np.int64),
        )

    def reset_seeds(self) -> npt.NDArray[np.uint64]:
        """Seeds u64[N] for the episodes that the coming step may begin."""
        base = np.uint64(kernels.mix(np.uint64(self._seeds ^ np.uint64(self._counter))))
        with np.errstate(over="ignore"):
            return base + np.arange(len(self.positions), dtype=np.uint64)

    def choose(self, policy: Policy) -> None:
        """Chooses every environment's action, and records the decision."""
        at = self.positions
        legal = self._choices.legal(at.legal_masks)
        greedy = kernels.explore(
            legal,
            self._key,
            np.uint64(self._counter),
            float(self._run.exploration),
            self._chosen,
            self._greedy_rows,
        )
        if greedy:
            obs = self._choices.observations(at.obs)
            kernels.gather_rows(obs, self._greedy_rows, greedy, self._greedy_obs)
            values = policy.values(self._greedy_obs[:greedy])
            kernels.best_legal(values, legal, self._greedy_rows, greedy, self._chosen)
        self.action_bytes = self._choices.encode(self._chosen)
        if self.recorder.steps == 0:
            self.recorder.first_step_s = time.monotonic()
        self.recorder.decide(
            at, self.action_bytes, episodes=self._episode, steps=self._step, time_us=time.time_ns() // 1000
        )
        self._counter += 1

    def take(self, reply: StepReply) -> int:
        """Records what came of the actions, and moves on. Returns how many episodes ended."""
        self.recorder.outcome(
            reply.rewards,
            reply.terminated,
            reply.truncated,
            final=reply.final,
        )
        ended = self._ended
        room = slice(ended.count, None)
        closed = kernels.keep_books(
            self.positions.players,
            reply.rewards.reshape(len(self.positions), -1),
            reply.terminated,
            reply.truncated,
            int(self._game.zero_sum),
            self._identity.episode_id(self.number),
            GROUPS,
            self._episodes,
            self._episode,
            self._step,
            self._returns,
            ended.episode[room],
            ended.length[room],
            ended.returns[room],
            ended.truncated[room],
        )
        ended.ended_us[ended.count : ended.count + closed] = time.time_ns() // 1000
        ended.count += closed
        self._episodes += closed
        self.positions = reply.positions
        return closed

    def drain_episodes(self, *, sequence: int, weights_version: int) -> EpisodeChunk | None:
        """The episodes that ended since the last call, or None."""
        ended = self._ended
        count, ended.count = ended.count, 0
        if count == 0:
            return None
        return EpisodeChunk(
            run=self._run.run,
            actor=self._identity.actor,
            incarnation=self._identity.incarnation,
            sequence=sequence,
            weights_version=weights_version,
            env_id=self._run.env_id,
            count=count,
            players=self._game.players,
            episode=ended.episode[:count].tobytes(),
            length=ended.length[:count].tobytes(),
            returns=ended.returns[:count].tobytes(),
            truncated=ended.truncated[:count].tobytes(),
            ended_us=ended.ended_us[:count].tobytes(),
        )
