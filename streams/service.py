"""`cartridge compactor`: the compactor as a process.

In: settings. Out: an exit code. Invariant: SIGTERM ends it after one more flush.
"""

from __future__ import annotations

import signal
import socket
import threading
import time

from cartridge import logs, telemetry
from cartridge.objects import ObjectStore
from cartridge.settings import Settings
from streams import kafka, topics
from streams.compactor import Compactor
from streams.errors import Fenced

_LAG_EVERY_S = 1.0
_log = logs.get("streams.service")


def run(settings: Settings, *, member: str | None = None) -> int:
    """Compacts until SIGTERM or SIGINT. `member` names this process among the compactors; the host by default."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    topics.ensure(settings.kafka)
    kafka.publish_schemas(settings.kafka)
    compactor = Compactor(
        bootstrap=settings.kafka, store=ObjectStore.connect(settings), member=member or socket.gethostname()
    )
    server = telemetry.serve(settings.host, settings.metrics_port, lambda: compactor.assigned)
    compactor.start()
    _log.info("started", metrics_port=server.port)
    try:
        _work(compactor, stop)
    except Fenced as error:
        _log.error("fenced", reason=str(error))
        return 1
    finally:
        compactor.close()
        server.close()
    _log.info("stopped")
    return 0


def _work(compactor: Compactor, stop: threading.Event) -> None:
    measured_s = 0.0
    while not stop.is_set():
        compactor.run_once()
        if time.monotonic() - measured_s > _LAG_EVERY_S:
            measured_s = time.monotonic()
            compactor.measure_lag()
    compactor.flush()
