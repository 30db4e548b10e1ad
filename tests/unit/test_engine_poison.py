"""A kernel that breaks its own contract takes one game out of service, for all to see, until it is restored."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import CollectorRegistry

from engine.calls import Calls, Pools
from engine.catalog import Catalog
from engine.client import EngineClient
from engine.errors import EngineRefused, Refusal
from engine.metrics import EngineMetrics
from engine.server import EngineServer
from engine.service import EngineService
from engine.stubs import engine_pb2 as pb
from games import registry
from games.tictactoe.game import TicTacToe
from toy_games import OLD_STATE, Lanes

STATES = np.array([[5, 0, 4, 0]] * 13, np.uint8)
ACTIONS = np.zeros((13, 8), np.uint8)
SEEDS = np.zeros(13, np.uint64)
SERVICE = "cartridge.engine.v1.Engine"


class Fragile(Lanes):
    """Lanes whose named method fails."""

    spec = replace(Lanes().spec, env_id="fragile")
    fails = ""

    def __getattribute__(self, name: str) -> Any:
        if name == Fragile.fails:
            raise ZeroDivisionError("kernel\nbroke")
        return super().__getattribute__(name)


@pytest.fixture
def metrics() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def server(metrics: CollectorRegistry) -> Iterator[EngineServer]:
    registry.register("fragile", Fragile)
    try:
        with EngineServer("127.0.0.1", 0, engine_metrics=EngineMetrics(metrics)) as running:
            yield running
    finally:
        Fragile.fails = ""
        registry.unregister("fragile")


@pytest.fixture
def client(server: EngineServer) -> Iterator[EngineClient]:
    with EngineClient(server.address) as connected:
        yield connected


def stream(client: EngineClient) -> None:
    with client.open_stream("fragile") as opened:
        opened.send(STATES, ACTIONS)
        opened.receive()


def unary(client: EngineClient, name: str, **fields: Any) -> None:
    request, response = getattr(pb, f"{name}Request"), getattr(pb, f"{name}Response")
    client.unary(name, request, response)(request(id=pb.EngineId(env_id="fragile"), **fields))


def test_a_game_that_cannot_be_warmed_is_refused_from_the_start_and_the_others_are_served() -> None:
    registry.register("fragile", Fragile)
    Fragile.fails = "warm"
    try:
        with EngineServer("127.0.0.1", 0, engine_metrics=EngineMetrics(CollectorRegistry())) as running:
            assert running.ready()
            with EngineClient(running.address) as client:
                assert client.refused_games() == {"fragile": "ZeroDivisionError: kernel broke, in warm"}
                client.reset_batch("tictactoe", SEEDS)
    finally:
        Fragile.fails = ""
        registry.unregister("fragile")


CALLS: dict[str, tuple[str, Callable[[EngineClient], object]]] = {
    "Reset": ("_reset", lambda client: unary(client, "Reset", seed=1)),
    "Step": ("_step", lambda client: unary(client, "Step", state=STATES[0].tobytes(), action=bytes(8))),
    "ResetBatch": ("_reset", lambda client: client.reset_batch("fragile", SEEDS)),
    "StepBatch": ("_step", lambda client: client.step_batch("fragile", STATES, ACTIONS)),
    "StepStream": ("_step", stream),
    "Render": ("render_text", lambda client: client.render("fragile", STATES[0].tobytes())),
    "UpgradeStates": (
        "_upgrade_states",
        lambda client: client.upgrade_states("fragile", OLD_STATE, STATES[:, :3].copy()),
    ),
    "Visibility": ("_visible", lambda client: client.visible("fragile", STATES, np.zeros(13, np.uint32))),
    "OpenSession": ("_reset", lambda client: client.open_session("fragile", SEEDS)),
}


def health_of(server: EngineServer, name: str) -> str:
    with grpc.insecure_channel(server.address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        status = stub.Check(health_pb2.HealthCheckRequest(service=name)).status
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(status))


@pytest.mark.parametrize("name", CALLS)
def test_a_broken_kernel_poisons_its_game_alone(
    name: str, server: EngineServer, client: EngineClient, metrics: CollectorRegistry
) -> None:
    method, call = CALLS[name]
    call(client)
    Fragile.fails = method
    for _ in range(2):
        with pytest.raises(EngineRefused) as error:
            call(client)
        assert error.value.status is grpc.StatusCode.FAILED_PRECONDITION
        text = str(error.value).removeprefix("sequence 0: ")
        assert text.startswith(
            f"env_id 'fragile': its kernel failed (ZeroDivisionError: kernel broke, in {name}); report this, "
        )
        assert "Admin.RestoreGame" in text
    for _, other in CALLS.values():
        with pytest.raises(EngineRefused, match=rf"its kernel failed .*, in {name}"):
            other(client)
    assert len(client.reset_batch("tictactoe", SEEDS)) == 13
    # Poisonings are counted once, whatever is asked afterwards.
    assert metrics.get_sample_value("engine_game_poisonings_total", {"game": "fragile"}) == 1
    assert health_of(server, f"{SERVICE}/fragile") == "NOT_SERVING"


def test_poison_is_seen_everywhere_and_restored(
    server: EngineServer, client: EngineClient, metrics: CollectorRegistry
) -> None:
    def gauge(name: str) -> float | None:
        return metrics.get_sample_value(name, {"game": "fragile"})

    names = ("", SERVICE, f"{SERVICE}/tictactoe", f"{SERVICE}/fragile")
    assert [health_of(server, name) for name in names] == ["SERVING"] * 4
    assert client.refused_games() == {}
    with grpc.insecure_channel(server.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(service=f"{SERVICE}/fragile")
        )
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        Fragile.fails = "_step"
        with pytest.raises(EngineRefused):
            client.step_batch("fragile", STATES, ACTIONS)
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        reason = "ZeroDivisionError: kernel broke, in StepBatch"
        assert client.refused_games() == {"fragile": reason}
        assert "fragile" in [spec.env_id for spec in client.list_games()]
        assert [health_of(server, name) for name in names[:3]] == ["SERVING"] * 3
        assert (gauge("engine_game_poisoned"), gauge("engine_game_restores_total")) == (1, None)
        seen = client.preflight("fragile", 1)
        assert (seen.accepted, seen.status) == (False, grpc.StatusCode.FAILED_PRECONDITION.value[0])

        Fragile.fails = ""
        with pytest.raises(EngineRefused, match="its kernel failed"):  # not by itself
            client.step_batch("fragile", STATES, ACTIONS)
        assert client.restore_game("fragile") == reason
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()
    assert client.refused_games() == {}
    assert client.preflight("fragile", 1).accepted
    assert len(client.step_batch("fragile", STATES, ACTIONS).states) == 13
    assert client.restore_game("fragile") == ""
    assert (gauge("engine_game_poisoned"), gauge("engine_game_restores_total")) == (0, 1)


def test_a_session_waits_for_its_game(client: EngineClient) -> None:
    with client.open_session("fragile", SEEDS) as session:
        first = session.step(ACTIONS).states.tobytes()
        Fragile.fails = "_step"
        with pytest.raises(EngineRefused, match=r"its kernel failed .*, in StepSession"):
            session.step(ACTIONS)
        Fragile.fails = ""
        client.restore_game("fragile")
        assert session.states.tobytes() == first
        assert session.step(ACTIONS).sequence == 2


BREACHES: dict[str, tuple[str, str, Any]] = {
    "plan": ("Render", "_plan", lambda *_: None),
    "visible rows": ("Visibility", "_visible", lambda *_: np.zeros((2, 1), np.uint64)),
    "visible bytes": ("Visibility", "_visible", lambda *_: b"12345678"),
}


@pytest.mark.parametrize("name", BREACHES)
def test_an_answer_of_the_wrong_make_poisons_its_game(
    name: str, client: EngineClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, method, gives = BREACHES[name]
    monkeypatch.setattr(Fragile, method, gives, raising=False)
    ask = CALLS[call][1]
    if call == "Render":
        ask = lambda client: client.picture("fragile", STATES[0].tobytes())  # noqa: E731
    with pytest.raises(EngineRefused, match=rf"its kernel failed .*, in {call}") as error:
        ask(client)
    assert error.value.status is grpc.StatusCode.FAILED_PRECONDITION
    assert list(client.refused_games()) == ["fragile"]


def test_a_mover_who_is_not_there_poisons_the_game() -> None:
    class Strange(TicTacToe):
        spec = replace(TicTacToe().spec, env_id="strange")

        def _observe(self, states: Any, out: Any) -> None:
            super()._observe(states, out)
            out.players[:] = 7

    registry.register("strange", Strange)
    try:
        service = EngineService(EngineMetrics(CollectorRegistry()))
        request = pb.StepRequest(id=pb.EngineId(env_id="strange"), state=bytes(11), action=bytes(4))
        with pytest.raises(Refusal, match=r"its kernel failed .*, in Step"):
            service._step(request)
        assert list(service.catalog.poisoned()) == ["strange"]
    finally:
        registry.unregister("strange")


def test_what_fails_outside_a_game_is_counted_as_internal(metrics: CollectorRegistry) -> None:
    ours = EngineMetrics(metrics)
    pools = Pools.of(ours)
    calls = Calls(pools, ours)

    def fails(data: bytes) -> bytes:
        raise ZeroDivisionError(data)

    class Context:
        def abort(self, status: grpc.StatusCode, details: str) -> None:
            raise EngineRefused(status, details)

    calls.add("S", "Fails", fails)
    handler: Any = calls._calls["/S/Fails"].handler
    with pytest.raises(EngineRefused, match="ZeroDivisionError: b'x'; report this") as error:
        handler.unary_unary(b"x", Context())
    pools.close()
    assert error.value.status is grpc.StatusCode.INTERNAL
    counted = {"call": "Fails", "status": "INTERNAL"}
    assert metrics.get_sample_value("engine_requests_total", counted) == 1


def test_poison_and_restore_are_told_in_their_order(metrics: CollectorRegistry) -> None:
    told: list[bool] = []
    began, go = threading.Event(), threading.Event()

    def tell(env_id: str, offered: bool) -> None:
        del env_id
        if not offered:
            began.set()
            # A restore that could come between would be told first.
            assert go.wait(60)
        told.append(offered)

    catalog = Catalog(EngineMetrics(metrics), tell)
    game = registry.get("tictactoe")
    poisons = threading.Thread(target=catalog.verdict, args=(game, ZeroDivisionError("broke"), "Step"))
    poisons.start()
    assert began.wait(60)
    restores = threading.Thread(target=catalog.restore, args=("tictactoe",))
    restores.start()
    assert catalog._lock.locked()
    go.set()
    poisons.join()
    restores.join()
    assert told == [False, True]
    assert catalog.poisoned() == {}
    assert metrics.get_sample_value("engine_game_poisoned", {"game": "tictactoe"}) == 0


def test_poison_and_restore_are_logged(client: EngineClient, caplog: pytest.LogCaptureFixture) -> None:
    Fragile.fails = "_reset"
    with caplog.at_level(logging.INFO, logger="cartridge"):
        with pytest.raises(EngineRefused):
            client.reset_batch("fragile", SEEDS)
        client.restore_game("fragile")
    events = {record.getMessage(): getattr(record, "fields", {}) for record in caplog.records}
    assert json.loads(json.dumps(events["game_poisoned"])) == {"game": "fragile", "call": "ResetBatch"}
    assert events["game_restored"] == {
        "game": "fragile",
        "reason": "ZeroDivisionError: kernel broke, in ResetBatch",
    }


def test_only_games_can_be_restored(client: EngineClient) -> None:
    with pytest.raises(EngineRefused, match="env_id 'chess': no such game") as error:
        client.restore_game("chess")
    assert error.value.status is grpc.StatusCode.NOT_FOUND
    with pytest.raises(EngineRefused, match="name a game"):
        client.restore_game("")
