"""The engine's process: ports, readiness, health, reflection, shutdown."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client import CollectorRegistry

from cartridge.errors import UsageError
from engine.client import EngineClient
from engine.errors import EngineUnavailable
from engine.metrics import EngineMetrics
from engine.server import EngineServer
from engine.service import SERVICE

ROOT = Path(__file__).resolve().parent.parent.parent
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
STATES, ACTIONS = np.zeros((1, 11), np.uint8), np.zeros((1, 4), np.uint8)


def new_server(port: int = 0, registry: CollectorRegistry | None = None) -> EngineServer:
    return EngineServer("127.0.0.1", port, engine_metrics=EngineMetrics(registry or CollectorRegistry()))


@pytest.fixture
def server() -> Iterator[EngineServer]:
    with new_server() as running:
        yield running


def health_of(address: str, service: str) -> Any:
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        return stub.Check(health_pb2.HealthCheckRequest(service=service)).status


def test_a_port_in_use_is_named_with_what_to_set(server: EngineServer) -> None:
    message = rf"engine address 127\.0\.0\.1:{server.port} is in use.*CARTRIDGE_ENGINE"
    with pytest.raises(UsageError, match=message) as error:
        new_server(server.port)
    assert "\n" not in str(error.value)


def test_health_and_readiness_follow_the_servers_life() -> None:
    registry = CollectorRegistry()
    server = new_server(registry=registry)
    assert not server.ready()
    assert registry.get_sample_value("engine_serving") == 0
    server.start()
    assert server.ready()
    assert registry.get_sample_value("engine_serving") == 1
    for service in ("", SERVICE):
        assert health_of(server.address, service) == SERVING
    with grpc.insecure_channel(server.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=SERVICE))
        assert next(watch).status == SERVING
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        assert next(watch).status == NOT_SERVING
        watch.cancel()
        stopping.join()
    assert not server.ready()
    assert registry.get_sample_value("engine_serving") == 0


def test_reflection_tells_the_services(server: EngineServer) -> None:
    with grpc.insecure_channel(server.address) as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        ask = reflection_pb2.ServerReflectionRequest
        listed, symbol = stub.ServerReflectionInfo(
            iter([ask(list_services=""), ask(file_containing_symbol=SERVICE)])
        )
    assert {service.name for service in listed.list_services_response.service} >= {
        SERVICE,
        "grpc.health.v1.Health",
    }
    assert b"StepStream" in symbol.file_descriptor_response.file_descriptor_proto[0]


def test_a_shutdown_ends_idle_and_busy_streams_at_once() -> None:
    server = new_server()
    server.start()
    with EngineClient(server.address) as client, client.open_stream("tictactoe") as idle:
        idle.send(STATES, ACTIONS)
        idle.receive()
        with client.open_stream("tictactoe") as busy:
            ended = threading.Event()

            def play() -> None:
                try:
                    while True:
                        busy.send(STATES, ACTIONS)
                        busy.receive()
                except EngineUnavailable:
                    ended.set()

            player = threading.Thread(target=play)
            player.start()
            # A long grace: if a stream were waited for, this test would run into its timeout.
            server.stop(grace_s=3600.0)
            player.join()
            assert ended.is_set()
        idle.send(STATES, ACTIONS)
        with pytest.raises(EngineUnavailable):
            idle.receive()


@pytest.mark.parametrize(
    "path",
    [
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "/cartridge.engine.v1.Engine/Reset",
        "/cartridge.engine.v1.Engine/Preflight",
        "/cartridge.engine.v1.Engine/StepStream",
    ],
)
def test_a_shutdown_does_not_wait_for_calls_without_work(path: str) -> None:
    server = new_server()
    server.start()
    closing = threading.Event()

    def requests() -> Iterator[bytes]:
        if path.endswith("Watch"):
            yield b""
        closing.wait()

    with grpc.insecure_channel(server.address) as channel:
        call: Any = channel.stream_stream(path, None, None)(requests())
        if path.endswith("Watch"):
            next(call)
        else:  # another call that is answered comes after it on the same connection
            health = health_pb2_grpc.HealthStub(channel)
            assert health.Check(health_pb2.HealthCheckRequest()).status == SERVING
        server.stop(grace_s=3600.0)  # if the call were waited for, this test would run into its timeout
        with pytest.raises(grpc.RpcError) as error:
            list(call)
        assert error.value.code() in (grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE)
        closing.set()


def test_a_stopped_server_frees_its_port() -> None:
    with new_server() as first:
        pass
    with new_server(first.port) as second:
        assert second.port == first.port


def start_process(**environment: str) -> subprocess.Popen[str]:
    code = "import sys; from cartridge import logs; from cartridge.settings import Settings\n"
    code += "from engine import server; logs.configure('engine'); sys.exit(server.run(Settings.load()))"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | environment,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_serves_until_a_signal_and_exits_with_0(number: signal.Signals, tmp_path: Path) -> None:
    with new_server() as free:
        address = free.address
    with start_process(CARTRIDGE_ENGINE=address, CARTRIDGE_HOME=str(tmp_path)) as process:
        assert process.stderr is not None
        ready = process.stderr.readline()
        assert '"event": "engine_ready"' in ready
        assert f'"address": "{address}"' in ready
        port = int(ready.partition('"metrics_port": ')[2].partition(",")[0])
        with EngineClient(address) as client, client.open_stream("tictactoe") as stream:
            stream.send(STATES, ACTIONS)
            stream.receive()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
                assert answer.status == 200
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                assert b'engine_steps_total{game="tictactoe"} 1.0' in answer.read()
            process.send_signal(number)
            rest = process.stderr.read()
        assert process.wait() == 0
    assert '"event": "engine_stopped"' in rest
    assert "Traceback" not in rest
