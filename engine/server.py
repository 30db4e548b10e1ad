"""The engine's process: binds, warms the kernels, serves, and leaves in good order.

Enters: an address. Leaves: a running gRPC server with health checking and reflection.
Invariant: health is SERVING and `ready()` true exactly while every game's kernels are compiled, or the game
refused, and requests are taken.

    >>> with EngineServer("127.0.0.1", 0) as server:
    ...     server.ready()
    True
"""

from __future__ import annotations

import signal
import threading
from concurrent import futures
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from cartridge import logs, telemetry
from cartridge.errors import UsageError
from cartridge.settings import Settings
from engine import autoreset, limits, metrics
from engine.calls import OnPool
from engine.errors import Refusal
from engine.memory import keep_freed
from engine.service import SERVICE, SERVICES, EngineService
from games import registry
from games.contract import Game
from games.errors import GameError

_OTHER_THREADS = 8
_LOOK_S = 0.05  # between looks at a shutdown whether anything is under way; an answer is sent within one
GRACE_S = 5.0  # for calls under way at a shutdown; the supervisor kills after 10

_log = logs.get("engine")


class EngineServer:
    """A gRPC server of every registered game.

    Args:
        host: address to bind to.
        port: 0 takes a free one; see `.port`.
        engine_metrics: None for the process's own, in the default registry.

    Raises:
        UsageError: the address is in use or cannot be bound.
    """

    def __init__(self, host: str, port: int, *, engine_metrics: metrics.EngineMetrics | None = None) -> None:
        self._metrics = engine_metrics or metrics.default()
        self.service = EngineService(self._metrics, self._set_game_health)
        self._health = _health(self.service.pools.control)
        # Our own calls have their own threads; these are for reflection.
        self._server = grpc.server(
            futures.ThreadPoolExecutor(_OTHER_THREADS, "engine-other"), options=limits.SERVER_OPTIONS
        )
        self._calls = self.service.handler()
        self._server.add_generic_rpc_handlers((self._calls,))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )
        self._stopped = threading.Event()
        self._sweeper = threading.Thread(
            target=self.service.sessions.expire_until,
            args=(self._stopped,),
            name="engine-sessions",
            daemon=True,
        )
        self._set_health(serving=False)
        try:
            self.port: int = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:
            raise UsageError(
                f"engine address {host}:{port} is in use or not of this machine; stop what uses it or set "
                "CARTRIDGE_ENGINE to another host:port"
            ) from error
        self.address = f"{host}:{self.port}"
        self._serving = False

    def ready(self) -> bool:
        """Whether requests are taken, at full speed."""
        return self._serving

    def start(self) -> None:
        """Serve; returns when ready."""
        self._server.start()
        self._sweeper.start()
        broken = registry.broken()
        self._metrics.plugins_broken.set(len(broken))
        for env_id, reason in broken.items():
            _log.error("plugin_broken", game=env_id, reason=reason)
        for game in self.service.catalog.games():
            self._warm(game)
        autoreset.warm()
        self._serving = True
        self._set_health(serving=True)

    def stop(self, grace_s: float = GRACE_S) -> None:
        """Take no new calls, let those under way end within `grace_s` seconds, return when all is closed.

        What has no work under way (a health Watch, a reflection stream, a call whose request never came) is cancelled
        as soon as nothing else is under way.
        """
        self._serving = False
        self._set_health(serving=False)
        stopped = self._server.stop(grace_s)
        self.service.streams.drain()
        idle = 0  # looks in a row that found no work; the second one is after the last answer was sent
        while idle < 2 and not stopped.wait(_LOOK_S):
            idle = 0 if self._calls.working or self.service.streams.count else idle + 1
        self._server.stop(None)
        self._stopped.set()
        if self._sweeper.is_alive():
            self._sweeper.join()
        self.service.pools.close()

    def __enter__(self) -> EngineServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _warm(self, game: Game) -> None:
        """Compile a game's kernels; one that breaks is poisoned, and the others are warmed."""
        try:
            with suppress(Refusal), self.service.catalog.guard(game, "warm"):
                game.warm()
        except GameError as refusal:  # e.g. one that starts from hints only; its first calls compile it
            _log.warning("game_not_warm", game=game.spec.env_id, reason=str(refusal))

    def _set_health(self, *, serving: bool) -> None:
        poisoned = self.service.catalog.poisoned()
        for service in ("", *SERVICES):
            self._health.set(service, _health_status(serving))
        for env_id in registry.names():
            self._health.set(f"{SERVICE}/{env_id}", _health_status(serving and env_id not in poisoned))
        self._metrics.serving.set(serving)

    def _set_game_health(self, env_id: str, offered: bool) -> None:
        self._health.set(f"{SERVICE}/{env_id}", _health_status(offered and self._serving))


def _health(control: futures.ThreadPoolExecutor) -> Any:
    """The standard health service, on the threads that always have time."""
    servicer: Any = health.HealthServicer()
    servicer.Check = OnPool(control, servicer.Check)
    servicer.Watch = OnPool(control, servicer.Watch, non_blocking=True)
    return servicer


def _health_status(serving: bool) -> Any:
    statuses = health_pb2.HealthCheckResponse
    return statuses.SERVING if serving else statuses.NOT_SERVING


def run(settings: Settings) -> int:
    """Serve at settings.host, on the port of settings.engine, until SIGTERM or SIGINT. Returns the exit code.

    Raises:
        UsageError: an address is in use.
    """
    keep_freed()
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        del number, frame
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    server = EngineServer(settings.host, int(settings.engine.rpartition(":")[2]))
    http = telemetry.serve(settings.host, settings.metrics_port, server.ready)
    try:
        server.start()
        games = [game.spec.env_id for game in server.service.catalog.games()]
        _log.info("engine_ready", address=server.address, metrics_port=http.port, games=games)
        asked.wait()
        _log.info("engine_stopping", address=server.address)
    finally:
        server.stop()
        http.close()
    _log.info("engine_stopped", address=server.address)
    return 0
