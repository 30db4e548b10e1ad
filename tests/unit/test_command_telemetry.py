"""The HTTP face: /metrics, /healthz, and /readyz as long as `ready` says so."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import Counter

from cartridge import telemetry
from cartridge.errors import UsageError

SEEN = Counter("test_command_telemetry_seen_total", "What this test counts")


class Switch:
    on = False


@pytest.fixture
def switch() -> Switch:
    return Switch()


@pytest.fixture
def server(switch: Switch) -> Iterator[telemetry.Server]:
    running = telemetry.serve("127.0.0.1", 0, lambda: switch.on)
    yield running
    running.close()


def get(server: telemetry.Server, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_it_is_ready_exactly_while_the_service_is(server: telemetry.Server, switch: Switch) -> None:
    assert get(server, "/readyz") == (503, "not ready\n")
    switch.on = True
    assert get(server, "/readyz") == (200, "ready\n")
    switch.on = False
    assert get(server, "/readyz")[0] == 503


def test_it_lives_while_it_is_not_ready(server: telemetry.Server) -> None:
    assert get(server, "/healthz") == (200, "ok\n")


def test_metrics_are_the_processes(server: telemetry.Server) -> None:
    SEEN.inc(3)
    status, text = get(server, "/metrics")
    assert status == 200
    assert "\ntest_command_telemetry_seen_total 3.0\n" in text


def test_another_path_says_what_there_is(server: telemetry.Server) -> None:
    status, text = get(server, "/")
    assert status == 404
    assert all(path in text for path in ("/metrics", "/healthz", "/readyz"))


def test_a_port_in_use_is_one_clear_line(server: telemetry.Server) -> None:
    with pytest.raises(UsageError, match=f"127.0.0.1:{server.port} .*CARTRIDGE_METRICS_PORT"):
        telemetry.serve("127.0.0.1", server.port, lambda: True)


def test_a_closed_server_frees_its_port() -> None:
    closed = telemetry.serve("127.0.0.1", 0, lambda: True)
    closed.close()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", closed.port))
