"""`cartridge learner`: learns every run that is wanted.

In: cartridge.runs and cartridge.shards. Out: checkpoints, cartridge.weights, heartbeats.
Invariant: one run's failure is said on cartridge.run-status and does not touch the others.
"""

from __future__ import annotations

import signal
import threading
import time

import torch

from cartridge import logs, telemetry
from cartridge.errors import CartridgeError
from cartridge.objects import ObjectStore, StoreUnavailable
from cartridge.settings import Settings
from games import registry
from games.errors import GameError
from games.kernel import warm_all
from learner import kernels
from learner.feed import ShardFeed
from learner.trainer import Trainer
from streams import kafka, topics
from streams.errors import BrokerUnavailable
from streams.records import RunSpec, WeightsPublished
from streams.status import EVERY_S, StatusBoard

_TURN_S = 0.05
_IDLE_S = 0.02
_log = logs.get("learner.service")


def run(settings: Settings) -> int:
    """Learns until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    torch.set_num_threads(1)  # mini-batches are too small to share, and the other core is the actors'
    warm_all(kernels)
    _warm_games()
    topics.ensure(settings.kafka)
    service = LearnerService(settings, stop=stop)
    server = telemetry.serve(settings.host, settings.metrics_port, lambda: service.ready)
    _log.info("started", metrics_port=server.port)
    try:
        service.work()
    finally:
        service.close()
        server.close()
    _log.info("stopped")
    return 0


def _warm_games() -> None:
    """Loads every game's kernels. A game that cannot is told of here, and fails the runs that want it."""
    for name in registry.names():
        try:
            registry.get(name).warm()
        except Exception:  # noqa: BLE001  whatever it is, the other games go on
            _log.error("game_failed", game=name, exc_info=True)


class LearnerService:
    """The learning loop of one learner process."""

    def __init__(self, settings: Settings, *, stop: threading.Event) -> None:
        self._settings = settings
        self._stop = stop
        self._store = ObjectStore.connect(settings)
        self._producer = kafka.producer(settings.kafka, linger_ms=0)
        self._board = StatusBoard(settings.kafka, "learner")
        self._runs = kafka.Follower(settings.kafka, topics.RUNS, RunSpec)
        self._feed = ShardFeed(settings)
        self._specs: dict[str, RunSpec] = {}
        self._trainers: dict[str, Trainer] = {}
        self._failed: dict[str, RunSpec] = {}
        self._finished: set[str] = set()
        self.ready = False

    def work(self) -> None:
        """Learns until stopped."""
        self._finished = {run for run, weights in self._newest_weights().items() if weights.final}
        for spec in self._runs.catch_up():
            self._specs[spec.run] = spec
        self.ready = True
        said_s = 0.0
        while not self._stop.is_set():
            if self._feed.failure is not None:
                raise self._feed.failure
            for spec in self._runs.poll(0):
                self._specs[spec.run] = spec
            if not self._turn():
                self._wait()
            if time.monotonic() - said_s > EVERY_S:
                said_s = time.monotonic()
                for trainer in self._trainers.values():
                    self._say(trainer, "WAITING" if trainer.waiting else "RUNNING")

    def _wait(self) -> None:
        started_s = time.monotonic()
        self._feed.wait(_IDLE_S)
        for trainer in self._trainers.values():
            trainer.count_wait(time.monotonic() - started_s)

    def _turn(self) -> bool:
        """A turn of every run. Returns whether any had something to do."""
        worked = False
        for spec in list(self._specs.values()):
            if spec.wanted != "RUNNING" or self._failed.get(spec.run) == spec or spec.run in self._finished:
                self._end(spec.run, "STOPPED")
                continue
            try:
                worked |= self._learn(spec)
            except (StoreUnavailable, BrokerUnavailable) as error:
                # Only the beginning of a run ends here, not its fault: it begins again at a later turn.
                _log.warning("unavailable", run=spec.run, reason=str(error))
                self._stop.wait(_IDLE_S)
            except (CartridgeError, GameError) as error:
                self._fail(spec, str(error))
        return worked

    def _learn(self, spec: RunSpec) -> bool:
        trainer = self._trainers.get(spec.run)
        if trainer is None:
            trainer = self._begin(spec)
        worked = trainer.advance(until_s=time.monotonic() + _TURN_S)
        if trainer.finished:
            self._finished.add(spec.run)
            self._end(spec.run, "FINISHED")
        return worked

    def _begin(self, spec: RunSpec) -> Trainer:
        self._board.begin(spec.run)
        trainer = Trainer(
            spec,
            registry.get(spec.env_id),
            feed=self._feed,
            store=self._store,
            producer=self._producer,
            bootstrap=self._settings.kafka,
            stop=self._stop,
        )
        trainer.start(self._newest_weights().get(spec.run))
        self._trainers[spec.run] = trainer
        _log.info("run_started", run=spec.run, env_id=spec.env_id, weights_version=trainer.version)
        return trainer

    def _newest_weights(self) -> dict[str, WeightsPublished]:
        """The last announcement of each run."""
        announced = kafka.read_all(self._settings.kafka, topics.WEIGHTS, WeightsPublished)
        return {weights.run: weights for weights in announced}

    def _end(self, run: str, state: str) -> None:
        trainer = self._trainers.pop(run, None)
        if trainer is not None:
            trainer.close()
            self._say(trainer, state)
            _log.info("run_ended", run=run, state=state, weights_version=trainer.version)

    def _fail(self, spec: RunSpec, reason: str) -> None:
        self._failed[spec.run] = spec
        self._trainers.pop(spec.run, None)
        self._feed.unsubscribe(spec.run)
        self._board.say(spec.run, "FAILED", message=reason)
        _log.error("run_failed", run=spec.run, reason=reason)

    def _say(self, trainer: Trainer, state: str) -> None:
        self._board.say(trainer.spec.run, state, weights_version=trainer.version, numbers=trainer.numbers())

    def close(self) -> None:
        """Ends every run cleanly; each goes on from its last checkpoint next time."""
        for run in list(self._trainers):
            self._end(run, "STOPPED")
        self._board.close()
        self._feed.close()
        self._runs.close()
