"""Over capacity: who waits, who is refused and when to come again; what is asked about it is answered at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from prometheus_client import CollectorRegistry

from engine import limits
from engine.admission import CallPool, Rows
from engine.calls import CONTROL_THREADS
from engine.client import EngineClient
from engine.errors import EngineRefused, Refusal
from engine.metrics import EngineMetrics
from engine.server import EngineServer
from engine.stubs import engine_pb2 as pb
from games import registry
from games.contract import Positions
from games.tictactoe.game import TicTacToe

DEADLINE_S = 60.0
SLOW = pb.EngineId(env_id="slow")


class Slow(TicTacToe):
    """Its resets of one row wait until they are let go."""

    spec = replace(registry.get("tictactoe").spec, env_id="slow")
    go = threading.Event()

    def _reset(self, seeds: Any, hint: bytes, out: Positions) -> None:
        if len(seeds) == 1 and seeds[0]:
            assert self.go.wait(DEADLINE_S)
        super()._reset(seeds, hint, out)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)


@contextmanager
def busy_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[EngineServer, CollectorRegistry, list[Any]]]:
    """An engine whose one thread for calls is at work, with two more calls that wait for it: as many as may."""
    monkeypatch.setattr(limits, "CALL_THREADS", 1)
    monkeypatch.setattr(limits, "MAX_WAITING_CALLS", 2)
    metrics = CollectorRegistry()
    registry.register("slow", Slow)
    Slow.go.clear()
    try:
        with (
            EngineServer("127.0.0.1", 0, engine_metrics=EngineMetrics(metrics)) as server,
            grpc.insecure_channel(server.address) as channel,
        ):
            pools = server.service.pools
            reset = channel.unary_unary("/cartridge.engine.v1.Engine/Reset", None, None)
            calls = []
            for count in range(3):
                calls.append(reset.future(pb.ResetRequest(id=SLOW, seed=7).SerializeToString()))
                until(lambda count=count: pools.calls.running + pools.calls.waiting == count + 1)  # type: ignore[misc]
            try:
                yield server, metrics, calls
            finally:
                Slow.go.set()
                for call in calls:
                    call.result(DEADLINE_S)
    finally:
        registry.unregister("slow")


def test_a_busy_engine_tells_how_it_is_and_refuses_with_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with busy_engine(monkeypatch) as (server, metrics, calls), EngineClient(server.address) as client:
        seen = client.preflight("tictactoe", 100)
        assert (seen.accepted, seen.status) == (False, grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])
        assert seen.reason.startswith("requests = 2: as many as may wait (2); try again in ")
        assert (seen.queue_depth, seen.queue_capacity, seen.requests_in_flight) == (2, 2, 1)
        assert seen.retry_after_ms >= 10

        # Everything that tells of the engine's state answers, and what would wait is refused at once.
        assert client.refused_games() == {}
        assert client.restore_game("slow") == ""
        with grpc.insecure_channel(server.address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            asked = health_pb2.HealthCheckRequest(service="cartridge.engine.v1.Engine/slow")
            assert health.Check(asked).status == health_pb2.HealthCheckResponse.SERVING
            assert next(health.Watch(asked)).status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(EngineRefused, match="requests = 2: as many as may wait") as error:
            client.capabilities("tictactoe")
        assert error.value.status is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert error.value.retry_after_s is not None
        assert 0.01 <= error.value.retry_after_s <= 5
        assert not any(call.done() for call in calls)

        assert metrics.get_sample_value("engine_queue_depth", {"queue": "calls"}) == 2
        assert metrics.get_sample_value("engine_queue_capacity", {"queue": "calls"}) == 2
        assert metrics.get_sample_value("engine_queue_refusals_total", {"queue": "calls"}) == 1
        assert metrics.get_sample_value("engine_queue_waits_total", {"queue": "calls"}) == 2
        refused = {"call": "GetCapabilities", "status": "RESOURCE_EXHAUSTED"}
        assert metrics.get_sample_value("engine_requests_total", refused) == 1

        Slow.go.set()
        for call in calls:
            assert pb.ResetResponse.FromString(call.result(DEADLINE_S)).state == bytes(11)
        until(lambda: client.preflight("tictactoe", 100).queue_depth == 0)
        assert client.preflight("tictactoe", 100).accepted
        assert client.capabilities("tictactoe").env_id == "tictactoe"
        waited = metrics.get_sample_value("engine_queue_wait_seconds_total", {"queue": "calls"})
        assert waited is not None
        assert waited > 0


def never(closing: threading.Event) -> Iterator[bytes]:
    """The requests of a half-open call: none, until it may end."""
    closing.wait()
    yield from ()


def test_a_call_is_refused_at_once_though_reflection_streams_hold_their_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closing = threading.Event()
    path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    ask = reflection_pb2.ServerReflectionRequest(list_services="").SerializeToString()

    def asking() -> Iterator[bytes]:
        yield ask
        closing.wait()

    with (
        busy_engine(monkeypatch) as (server, _, _),
        grpc.insecure_channel(server.address) as channel,
        EngineClient(server.address, timeout_s=DEADLINE_S) as client,
    ):
        held: list[Any] = [channel.stream_stream(path, None, None)(asking()) for _ in range(8)]
        for stream in held:
            next(stream)
        with pytest.raises(EngineRefused, match="as many as may wait"):
            client.capabilities("tictactoe")
        assert not any(stream.done() for stream in held)
        closing.set()


def test_some_half_open_calls_do_not_silence_what_tells_of_the_state() -> None:
    closing = threading.Event()
    with (
        EngineServer("127.0.0.1", 0, engine_metrics=EngineMetrics(CollectorRegistry())) as server,
        grpc.insecure_channel(server.address) as channel,
        EngineClient(server.address, timeout_s=DEADLINE_S) as client,
    ):
        path = "/cartridge.engine.v1.Engine/Preflight"
        held: list[Any] = [
            channel.stream_stream(path, None, None)(never(closing)) for _ in range(CONTROL_THREADS - 1)
        ]
        assert client.preflight("tictactoe", 1).accepted
        assert not any(call.done() for call in held)
        closing.set()


def test_a_shutdown_lets_work_under_way_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with busy_engine(monkeypatch) as (server, _, calls):
        stopping = threading.Thread(target=server.stop, args=(DEADLINE_S,))
        stopping.start()
        stopping.join(0.5)
        assert stopping.is_alive()  # one call is at work, two wait for its thread
        Slow.go.set()
        for call in calls:
            assert pb.ResetResponse.FromString(call.result(DEADLINE_S)).state == bytes(11)
        stopping.join(DEADLINE_S)
        assert not stopping.is_alive()


def test_streams_go_on_while_calls_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    with EngineServer("127.0.0.1", 0, engine_metrics=EngineMetrics(CollectorRegistry())) as other:
        spec = EngineClient(other.address).capabilities("tictactoe")
    with busy_engine(monkeypatch) as (server, _, _), EngineClient(server.address) as client:
        client._specs["tictactoe"] = spec  # as a client that has asked before
        with client.open_stream("tictactoe") as stream:
            stream.send(np.zeros((5, 11), np.uint8), np.zeros((5, 4), np.uint8))
            assert len(stream.receive().states) == 5
            assert client.preflight("tictactoe", 1).streams == 1


@pytest.mark.parametrize(
    ("env_id", "count", "status", "reason"),
    [
        ("tictactoe", 1, "OK", ""),
        ("tictactoe", 65_536, "OK", ""),
        ("tictactoe", 0, "INVALID_ARGUMENT", "count = 0: give at least one row"),
        ("tictactoe", 65_537, "RESOURCE_EXHAUSTED", "count = 65537: over the limit of 65536 rows"),
        ("chess", 1, "NOT_FOUND", "env_id 'chess': no such game"),
        ("", 1, "INVALID_ARGUMENT", "id.env_id = '': name a game"),
    ],
)
def test_preflight_says_what_the_batch_would_be_told(
    env_id: str, count: int, status: str, reason: str
) -> None:
    with (
        EngineServer("127.0.0.1", 0, engine_metrics=EngineMetrics(CollectorRegistry())) as server,
        EngineClient(server.address) as client,
    ):
        seen = client.preflight(env_id, count)
        assert (seen.accepted, seen.status) == (status == "OK", grpc.StatusCode[status].value[0])
        assert seen.reason.startswith(reason)
        assert seen.retry_after_ms == 0
        assert (seen.row_capacity, seen.stream_capacity) == (limits.MAX_ROWS_IN_FLIGHT, limits.MAX_STREAMS)
        assert (seen.session_capacity, seen.sessions) == (limits.MAX_SESSIONS, 0)
        if status != "OK":
            step = client.unary("StepBatch", pb.StepBatchRequest, pb.StepBatchResponse)
            with pytest.raises(EngineRefused) as error:
                step(pb.StepBatchRequest(id=pb.EngineId(env_id=env_id), count=count))
            assert (error.value.status.name, str(error.value)) == (status, seen.reason)


def test_rows_over_the_capacity_wait_in_a_stream_and_are_refused_elsewhere() -> None:
    metrics = CollectorRegistry()
    rows = Rows(10, EngineMetrics(metrics))

    def value(name: str) -> float:
        return metrics.get_sample_value(name, {"queue": "rows"}) or 0.0

    rows.take(8, wait=False)
    assert rows.refusal(2) is None
    with pytest.raises(
        Refusal, match="count = 3: 8 rows are being worked on, 10 may be; try again in 50"
    ) as e:
        rows.take(3, wait=False)
    assert (e.value.status, e.value.retry_after_s) == (grpc.StatusCode.RESOURCE_EXHAUSTED, 0.05)
    for wait in (False, True):  # that would never be
        with pytest.raises(Refusal, match="count = 11: over the capacity of 10 rows; split the batch") as e:
            rows.take(11, wait=wait)
        assert e.value.retry_after_s is None
    waiting = threading.Thread(target=rows.take, args=(3,), kwargs={"wait": True})
    waiting.start()
    until(lambda: value("engine_queue_waits_total") == 1)
    assert rows.in_flight == value("engine_queue_depth") == 8
    rows.give(8)
    waiting.join(DEADLINE_S)
    assert rows.in_flight == 3
    assert value("engine_queue_refusals_total") == 3
    assert value("engine_queue_wait_seconds_total") > 0
    assert value("engine_queue_capacity") == 10


def test_every_row_that_was_taken_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_ROWS_IN_FLIGHT", 20)
    with (
        EngineServer("127.0.0.1", 0, engine_metrics=EngineMetrics(CollectorRegistry())) as server,
        EngineClient(server.address) as client,
    ):
        states, actions = np.zeros((20, 11), np.uint8), np.zeros((20, 4), np.uint8)
        bad = np.full((20, 4), 9, np.uint8)
        for _ in range(3):
            client.reset_batch("tictactoe", np.zeros(20, np.uint64))
            client.step_batch("tictactoe", states, actions)
            client.upgrade_states("tictactoe", "state:packed_u8:v1", states)
            with client.open_session("tictactoe", np.zeros(20, np.uint64)) as session:
                session.step(actions)
            with pytest.raises(EngineRefused, match="cell"):
                client.step_batch("tictactoe", states, bad)
            with client.open_stream("tictactoe") as stream:
                stream.send(states, actions)
                stream.receive()
                stream.send(states, bad)
                with pytest.raises(EngineRefused):
                    stream.receive()
            with pytest.raises(EngineRefused, match="hint"):
                client.reset_batch("tictactoe", np.zeros(20, np.uint64), b"x")
            assert server.service.rows.in_flight == 0
        with pytest.raises(EngineRefused, match="count = 21: over the capacity of 20 rows"):
            client.reset_batch("tictactoe", np.zeros(21, np.uint64))
        assert not client.preflight("tictactoe", 21).accepted


def test_impossible_capacities_are_refused() -> None:
    with pytest.raises(ValueError, match="capacity = 0"):
        Rows(0, EngineMetrics(CollectorRegistry()))
    with pytest.raises(ValueError, match="threads = 0, capacity = 5"):
        CallPool(0, 5, EngineMetrics(CollectorRegistry()))
