"""One run as one actor plays it: groups of environments over the engine's stream.

In: the engine, weights and the allowance. Out: chunks and episodes at the publisher.
Invariant: every step that the engine answered is published once, under the weights that chose its action.

The engine is stateless: when its stream breaks, the requests in flight are sent again on a new one, and the answers
are the same.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from actor import metrics
from actor.allowance import Allowance
from actor.errors import ActorError
from actor.group import GROUPS, Group, Identity
from actor.publisher import Publisher
from actor.weights import Announced
from cartridge import logs
from engine.client import EngineClient, StepReply, StepStream
from engine.errors import EngineError
from games.choices import Choices
from games.contract import GameSpec
from streams.records import TransitionChunk

_FLUSH_AGE_S = 0.2  # a slow game's steps are published at least this often
_RETAKE_S = 2.0  # held so long without an announcement, somebody's part of the allowance may be lost
_log = logs.get("actor.play")


@dataclass
class Totals:
    """Figures of one run on this actor, since it started."""

    transitions: int = 0
    episodes: int = 0
    chunks: int = 0
    allowance_wait_s: float = 0.0
    weights_lag_s: float = 0.0


class Player:
    """Plays one run. `turn` takes one step of every group."""

    def __init__(self, identity: Identity, client: EngineClient, publisher: Publisher) -> None:
        run = identity.run
        self.identity = identity
        self.totals = Totals()
        self._client = client
        self._publisher = publisher
        self._game: GameSpec = client.capabilities(run.env_id)
        self._choices = Choices(self._game)
        try:
            self._hint = bytes.fromhex(run.hint)
        except ValueError as error:
            raise ActorError(f"hint is {run.hint!r}: {error}") from error
        self._groups = [self._start(number) for number in range(GROUPS)]
        self._in_flight: list[Group] = []  # in the order of sending
        self._allowance = Allowance(actors=run.actors)
        self._stream: StepStream | None = None
        self._announced: Announced | None = None
        self._refused: Announced | None = None
        self._granted_s = 0.0
        self._sequence = 0
        self._waiting_since_s: float | None = None

    def _start(self, number: int) -> Group:
        run = self.identity.run
        seeds = np.uint64(self.identity.key(2 * GROUPS + number)) ^ np.arange(
            run.environments, dtype=np.uint64
        )
        start = self._client.reset_batch(run.env_id, seeds, self._hint)
        return Group(self.identity, self._game, number=number, start=start)

    @property
    def weights_version(self) -> int:
        """The weights in play, or -1 before the first."""
        return -1 if self._announced is None else self._announced.weights.version

    @property
    def waiting(self) -> bool:
        """Whether the learner's allowance holds this actor back."""
        return self._waiting_since_s is not None

    def turn(self, announced: Announced) -> bool:
        """One step of every group, as far as the allowance goes. Returns whether anything was played.

        Raises EngineError when the engine does not answer, or refuses. If it `may_retry`, call again later: nothing
        is lost.
        """
        self._swap(announced)
        if self._announced is None:
            return False
        played = False
        for group in self._groups:
            if group in self._in_flight:
                self._receive(group)
                played = True
            self._publish_if_due(group)
            if self._allowance.open:
                self._send(group)
                played = True
        self._count_waiting(held=not self._allowance.open)
        return played

    def _swap(self, announced: Announced) -> None:
        """Takes new weights between two steps; what the old ones chose is completed and published first."""
        if announced in (self._announced, self._refused):
            return
        choices, policy = self._choices, announced.policy
        if policy.obs_floats != choices.obs_size or policy.actions != choices.count:
            self._refused = announced
            metrics.WEIGHTS_REFUSED.inc()
            _log.error(
                "weights_refused",
                run=self.identity.run.run,
                weights_version=policy.version,
                reason=f"they take {policy.obs_floats} floats and value {policy.actions} choices: "
                f"{self._game.env_id} has {choices.obs_size} and {choices.count}",
            )
            return
        self._settle()
        follows = (
            self._announced is not None
        )  # the first weights of a player may have been announced long ago
        self._announced = announced
        self._allowance.grant(announced.weights)
        self._granted_s = time.monotonic()
        lag_s = time.time() - announced.weights.published_us / 1e6
        if follows:
            self.totals.weights_lag_s = lag_s
            metrics.WEIGHTS_LAG.observe(lag_s)
        metrics.WEIGHTS_VERSION.labels(self.identity.run.run).set(policy.version)

    def _settle(self) -> None:
        """Waits for what is in flight and publishes everything recorded."""
        for group in list(self._in_flight):
            self._receive(group)
        for group in self._groups:
            self._publish(group)

    def _send(self, group: Group) -> None:
        if self._announced is None:
            raise RuntimeError("a group cannot choose before there are weights")
        self._allowance.spend(len(group.positions))
        group.choose(self._announced.policy)
        self._in_flight.append(group)
        self._transmit(self._open(), group)

    def _transmit(self, stream: StepStream, group: Group) -> None:
        stream.send(group.positions.states, group.action_bytes, group.reset_seeds(), reset_hint=self._hint)

    def _open(self) -> StepStream:
        """The stream; a new one sends again what is in flight, but for the newest, which is the caller's."""
        if self._stream is None:
            self._stream = self._client.open_stream(self.identity.run.env_id)
            for group in self._in_flight[:-1]:
                self._transmit(self._stream, group)
        return self._stream

    def _receive(self, group: Group) -> None:
        """Takes replies until `group`'s has come. The first reply is to the oldest request, whoever's that is."""
        if self._stream is None:
            self._stream = self._client.open_stream(self.identity.run.env_id)
            for waiting in self._in_flight:
                self._transmit(self._stream, waiting)
        while group in self._in_flight:
            try:
                reply = self._stream.receive()
            except EngineError as error:
                if error.may_retry:
                    self._drop_stream()
                raise
            self._take(self._in_flight.pop(0), reply)

    def _take(self, group: Group, reply: StepReply) -> None:
        ended = group.take(reply)
        run = self.identity.run.run
        self.totals.transitions += len(group.positions)
        self.totals.episodes += ended
        metrics.STEPS.labels(run).inc(len(group.positions))
        metrics.EPISODES.labels(run).inc(ended)

    def _drop_stream(self) -> None:
        stream, self._stream = self._stream, None
        metrics.ENGINE_RETRIES.inc()
        if stream is not None:
            stream.close()

    def _publish_if_due(self, group: Group) -> None:
        recorder = group.recorder
        if recorder.full or (recorder.steps and time.monotonic() - recorder.first_step_s > _FLUSH_AGE_S):
            self._publish(group)

    def _publish(self, group: Group) -> None:
        run, game, version = self.identity.run, self._game, self.weights_version
        episodes = group.drain_episodes(sequence=self._sequence, weights_version=version)
        for rows in group.recorder.drain(group.positions):
            chunk = TransitionChunk(
                run=run.run,
                actor=self.identity.actor,
                incarnation=self.identity.incarnation,
                sequence=self._sequence,
                weights_version=version,
                env_id=game.env_id,
                build_id=game.build_id,
                state_encoding=game.encoding.state,
                action_encoding=game.encoding.action,
                obs_encoding=game.encoding.obs,
                schema_version=game.encoding.schema_version,
                count=rows.count,
                agents=game.reward_width,
                behaviour_log_prob=b"",  # the greedy policy with random moves has none worth keeping
                **rows.columns,
            )
            self._publisher.transitions(chunk)
            self._sequence += 1
            self.totals.chunks += 1
        if episodes is not None:
            self._publisher.episodes(episodes)

    def _count_waiting(self, *, held: bool) -> None:
        now_s = time.monotonic()
        if self._waiting_since_s is not None:
            waited_s = now_s - self._waiting_since_s
            self.totals.allowance_wait_s += waited_s
            metrics.ALLOWANCE_WAIT.labels(self.identity.run.run).inc(waited_s)
        self._waiting_since_s = now_s if held else None
        if held and now_s - self._granted_s > _RETAKE_S:
            self._granted_s = now_s
            self._allowance.retake()

    def close(self) -> None:
        """Completes and publishes what is in flight, if the engine still answers; frees the stream."""
        try:
            self._settle()
        except EngineError as error:
            # the steps in flight were never answered: they did not happen
            _log.warning("in_flight_dropped", run=self.identity.run.run, reason=str(error))
            for group in self._groups:
                self._publish(group)
        if self._stream is not None:
            self._stream.close()
            self._stream = None
