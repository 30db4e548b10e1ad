"""The engine's process: binds, warms the kernels, serves, and leaves in good order.

Enters: an address. Leaves: a running gRPC server with health checking and reflection.
Invariant: health is SERVING and `ready()` true exactly while every game's kernels are compiled and requests are taken.

    >>> with EngineServer("127.0.0.1", 0) as server:
    ...     server.ready()
    True
"""

from __future__ import annotations

import signal
import threading
from concurrent import futures
from types import FrameType, TracebackType

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from cartridge import logs, telemetry
from cartridge.errors import UsageError
from cartridge.settings import Settings
from engine import autoreset, limits, metrics
from engine.memory import keep_freed
from engine.service import SERVICE, EngineService

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
        self.service = EngineService(self._metrics)
        self._health = health.HealthServicer()
        self._server = grpc.server(
            futures.ThreadPoolExecutor(
                limits.MAX_STREAMS + limits.UNARY_THREADS, thread_name_prefix="engine"
            ),
            options=limits.SERVER_OPTIONS,
        )
        self._server.add_generic_rpc_handlers((self.service.handler(),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
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
        for game in self.service.catalog.games():
            game.warm()
        autoreset.warm()
        self._serving = True
        self._set_health(serving=True)

    def stop(self, grace_s: float = GRACE_S) -> None:
        """Take no new calls, let those under way end within `grace_s` seconds, return when all is closed."""
        self._serving = False
        self._set_health(serving=False)
        stopped = self._server.stop(grace_s)
        self.service.streams.drain()
        stopped.wait()

    def __enter__(self) -> EngineServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _set_health(self, *, serving: bool) -> None:
        statuses = health_pb2.HealthCheckResponse
        for service in ("", SERVICE):
            self._health.set(service, statuses.SERVING if serving else statuses.NOT_SERVING)
        self._metrics.serving.set(serving)


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
