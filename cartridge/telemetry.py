"""The HTTP face of a service: /metrics for Prometheus, /healthz and /readyz for supervisors.

In: the process's metrics and a readiness test. Out: HTTP on one port.
Invariant: /readyz answers 200 only while `ready()` is true; /healthz answers as long as the process lives.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from cartridge.errors import UsageError


class Server:
    """A running metrics server; `port` is the one it really took."""

    def __init__(self, http: ThreadingHTTPServer) -> None:
        self._http = http
        self.port: int = http.server_address[1]
        self._thread = threading.Thread(target=http.serve_forever, name="telemetry", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops answering and frees the port."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


def serve(host: str, port: int, ready: Callable[[], bool]) -> Server:
    """Serves the default registry on host:port (0 takes a free port).

    Raises UsageError when the port is taken.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = _answer(self.path, ready)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Scrapes are not events."""

    try:
        return Server(ThreadingHTTPServer((host, port), Handler))
    except OSError as error:
        raise UsageError(
            f"metrics address {host}:{port} cannot be used ({error.strerror}): set CARTRIDGE_METRICS_PORT"
        ) from error


def _answer(path: str, ready: Callable[[], bool]) -> tuple[int, str, bytes]:
    plain = "text/plain; charset=utf-8"
    if path == "/metrics":
        return 200, CONTENT_TYPE_LATEST, generate_latest(REGISTRY)
    if path == "/healthz":
        return 200, plain, b"ok\n"
    if path == "/readyz":
        return (200, plain, b"ready\n") if ready() else (503, plain, b"not ready\n")
    return 404, plain, b"there are /metrics, /healthz and /readyz\n"
