"""`cartridge actor`: plays every run that is wanted.

In: cartridge.runs and cartridge.weights. Out: transitions, episodes, heartbeats.
Invariant: one run's failure is said on cartridge.run-status and does not touch the others.
"""

from __future__ import annotations

import signal
import threading
import time

from actor import kernels
from actor.group import Identity
from actor.play import Player
from actor.publisher import Publisher
from actor.weights import WeightsFollower
from cartridge import logs, telemetry
from cartridge.errors import CartridgeError, UsageError
from cartridge.objects import ObjectStore
from cartridge.settings import Settings
from engine.client import EngineClient
from engine.errors import EngineError
from engine.memory import keep_freed
from games.errors import GameError
from games.kernel import warm_all
from streams import kafka, topics
from streams.errors import BrokerUnavailable
from streams.records import RunSpec
from streams.status import EVERY_S, StatusBoard

_RUNS_EVERY_S = 0.05
_IDLE_POLL_S = 0.02
_RETRY_S = 0.2
_log = logs.get("actor.service")


def run(settings: Settings, *, index: int) -> int:
    """Plays until SIGTERM or SIGINT as actor number `index` of every run that has so many."""
    if not 0 <= index < 1 << 12:
        raise UsageError(f"--index is {index}: it must be 0 to {(1 << 12) - 1}")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    keep_freed()
    warm_all(kernels)
    topics.ensure(settings.kafka)
    service = ActorService(settings, index=index, stop=stop)
    server = telemetry.serve(settings.host, settings.metrics_port, lambda: service.ready)
    _log.info("started", actor=index, metrics_port=server.port)
    try:
        service.work()
    finally:
        service.close()
        server.close()
    _log.info("stopped", actor=index)
    return 0


class ActorService:
    """The playing loop of one actor process."""

    def __init__(self, settings: Settings, *, index: int, stop: threading.Event) -> None:
        self._index = index
        self._stop = stop
        self._client = EngineClient(settings.engine)
        self._publisher = Publisher(settings.kafka, stopping=stop.is_set)
        self._board = StatusBoard(settings.kafka, f"actor-{index}")
        self._runs = kafka.Follower(settings.kafka, topics.RUNS, RunSpec)
        self._weights = WeightsFollower(settings.kafka, ObjectStore.connect(settings))
        self._specs: dict[str, RunSpec] = {}
        self._players: dict[str, Player] = {}
        self._failed: dict[str, RunSpec] = {}
        self._again_s = 0.0
        self.ready = False

    def work(self) -> None:
        """Plays until stopped."""
        for spec in self._runs.catch_up():
            self._specs[spec.run] = spec
        self.ready = True
        looked_s = said_s = 0.0
        while not self._stop.is_set():
            now_s = time.monotonic()
            if now_s - looked_s > _RUNS_EVERY_S:
                looked_s = now_s
                self._look(0)
            played = self._turn()
            if now_s - said_s > EVERY_S:
                said_s = now_s
                self._say()
            if not played:
                self._look(_IDLE_POLL_S)

    def _look(self, wait_s: float) -> None:
        if self._weights.failure is not None:
            raise self._weights.failure
        for spec in self._runs.poll(wait_s):
            self._specs[spec.run] = spec

    def _wanted(self, spec: RunSpec) -> bool:
        return (
            spec.wanted == "RUNNING"
            and self._index < spec.actors
            and self._failed.get(spec.run) != spec
            and not self._weights.is_final(spec.run)
        )

    def _turn(self) -> bool:
        """One turn of every run. Returns whether any of them played."""
        played = False
        for spec in list(self._specs.values()):
            if not self._wanted(spec):
                self._end(spec)
                continue
            try:
                played |= self._play(spec)
            except (CartridgeError, GameError) as error:
                if isinstance(error, BrokerUnavailable) or (
                    isinstance(error, EngineError) and error.may_retry
                ):
                    self._retry_later(spec, error)
                else:
                    self._fail(spec, str(error))
        return played

    def _retry_later(self, spec: RunSpec, error: Exception) -> None:
        if time.monotonic() > self._again_s:
            _log.warning("unavailable", run=spec.run, reason=str(error))
        self._again_s = time.monotonic() + _RETRY_S

    def _play(self, spec: RunSpec) -> bool:
        announced = self._weights.newest(spec.run)
        if announced is None or time.monotonic() < self._again_s:
            return False
        player = self._players.get(spec.run)
        if player is None:
            self._client.capabilities(spec.env_id)  # asked first: no number is taken while the engine is away
            identity = Identity(spec, self._index, self._board.begin(spec.run))
            player = self._players[spec.run] = Player(identity, self._client, self._publisher)
            _log.info("run_started", run=spec.run, actor=self._index, incarnation=identity.incarnation)
        return player.turn(announced)

    def _end(self, spec: RunSpec) -> None:
        player = self._players.pop(spec.run, None)
        if player is None:
            return
        player.close()
        self._publisher.flush(10)
        self._say_one(player, "FINISHED" if self._weights.is_final(spec.run) else "STOPPED")
        _log.info("run_ended", run=spec.run, actor=self._index, transitions=player.totals.transitions)

    def _fail(self, spec: RunSpec, reason: str) -> None:
        self._failed[spec.run] = spec
        player = self._players.pop(spec.run, None)
        if player is not None:
            player.close()
        self._board.say(spec.run, "FAILED", message=reason)
        _log.error("run_failed", run=spec.run, actor=self._index, reason=reason)

    def _say(self) -> None:
        for player in self._players.values():
            self._say_one(player, "WAITING" if player.waiting else "RUNNING")

    def _say_one(self, player: Player, state: str) -> None:
        totals = player.totals
        self._board.say(
            player.identity.run.run,
            state,
            weights_version=player.weights_version,
            numbers={
                "transitions_total": totals.transitions,
                "episodes_total": totals.episodes,
                "chunks_total": totals.chunks,
                "allowance_wait_seconds_total": totals.allowance_wait_s,
                "weights_lag_seconds": totals.weights_lag_s,
            },
        )

    def close(self) -> None:
        """Ends every run cleanly: what was played is acknowledged before the process goes."""
        for player in self._players.values():
            player.close()
            self._say_one(player, "STOPPED")
        left = self._publisher.flush(8)
        if left:
            _log.error("unacknowledged", messages=left)
        self._board.close()
        self._weights.close()
        self._runs.close()
        self._client.close()
