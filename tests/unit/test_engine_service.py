"""Every call of the engine, on a real server at a free loopback port: answers, refusals with their status, metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from engine import limits
from engine.client import EngineClient
from engine.errors import EngineRefused, EngineUnavailable
from engine.metrics import EngineMetrics
from engine.request import engine_id_bytes, step_request_bytes
from engine.server import EngineServer
from engine.stubs import engine_pb2 as pb
from engine.stubs import engine_pb2_grpc
from games import registry
from games.batch import unpack_masks
from games.contract import Positions, encode_discrete
from games.errors import BadBatch
from games.tictactoe.game import TicTacToe

GAME = registry.get("tictactoe")
ID = pb.EngineId(env_id="tictactoe")
EMPTY = bytes(11)
WON = bytes.fromhex("0101010202000000000101")
NEAR_WIN = bytes.fromhex("0101000202000000000000")  # c1 wins for player 0


class Broken(TicTacToe):
    """A kernel that fails."""

    spec = replace(GAME.spec, env_id="broken")
    fails = True

    def _reset(self, seeds: Any, hint: bytes, out: Positions) -> None:
        if self.fails and len(seeds) == 13:
            raise ZeroDivisionError("kernel\nbroke")
        super()._reset(seeds, hint, out)


@pytest.fixture(scope="module")
def metrics() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture(scope="module")
def server(metrics: CollectorRegistry) -> Iterator[EngineServer]:
    with EngineServer("127.0.0.1", 0, engine_metrics=EngineMetrics(metrics)) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: EngineServer) -> Iterator[EngineClient]:
    with EngineClient(server.address) as connected:
        yield connected


@pytest.fixture(scope="module")
def stub(server: EngineServer) -> Iterator[Any]:
    """The generated client, as anybody in any language would have it."""
    with grpc.insecure_channel(server.address) as channel:
        yield engine_pb2_grpc.EngineStub(channel)  # type: ignore[no-untyped-call]


def refused(call: Callable[[], Any]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as error:
        call()
    details = error.value.details() or ""
    assert "\n" not in details
    return error.value.code(), details


def test_capabilities_come_back_as_the_spec_that_they_are(client: EngineClient) -> None:
    assert client.capabilities("tictactoe") == GAME.spec
    assert GAME.spec in client.list_games()


def test_unary_calls_play_a_game(stub: Any) -> None:
    start = stub.Reset(pb.ResetRequest(id=ID, seed=7))
    assert (start.state, start.player, start.legal_mask) == (EMPTY, 0, (0x1FF).to_bytes(8, "little"))
    assert start.obs == GAME.reset(np.zeros(1, np.uint64)).obs.tobytes()
    step = stub.Step(pb.StepRequest(id=ID, state=start.state, action=(4).to_bytes(4, "little")))
    assert (step.reward, step.done, step.truncated, step.player) == (0.0, False, False, 1)
    assert list(step.rewards) == [0.0, 0.0]
    assert step.info == 1 << 8
    assert step.legal_mask == (0x1EF).to_bytes(8, "little")
    won = stub.Step(pb.StepRequest(id=ID, state=NEAR_WIN, action=(2).to_bytes(4, "little")))
    assert (won.reward, won.done, won.player, list(won.rewards)) == (1.0, True, 1, [1.0, -1.0])
    assert won.next_state == WON
    assert won.legal_mask == bytes(8)


def test_the_loser_of_the_second_players_win_is_the_first(stub: Any) -> None:
    near = bytes.fromhex("0101000202000100000100")
    won = stub.Step(pb.StepRequest(id=ID, state=near, action=(5).to_bytes(4, "little")))
    assert (won.reward, won.player, list(won.rewards)) == (1.0, 0, [-1.0, 1.0])


def test_render_is_the_games_text(client: EngineClient) -> None:
    assert client.render("tictactoe", WON) == GAME.render_text(WON)


def test_batches_equal_the_game_in_process(client: EngineClient) -> None:
    rng = np.random.default_rng(1)
    position = client.reset_batch("tictactoe", np.arange(200, dtype=np.uint64))
    for _ in range(5):
        legal = unpack_masks(position.legal_masks, 9)
        actions = encode_discrete(np.argmax(legal * rng.random(legal.shape), axis=1))
        reply = client.step_batch("tictactoe", position.states, actions)
        outcome = GAME.step(position.states, actions)
        assert reply.states.tobytes() == outcome.positions.states.tobytes()
        assert reply.obs.tobytes() == outcome.positions.obs.tobytes()
        assert reply.legal_masks.tobytes() == outcome.positions.legal_masks.tobytes()
        assert reply.players.tobytes() == outcome.positions.players.tobytes()
        assert reply.rewards.tobytes() == outcome.rewards.tobytes()
        assert reply.terminated.tobytes() == outcome.terminated.tobytes()
        assert reply.info.tobytes() == outcome.info.tobytes()
        assert len(reply.final_states) == 0
        goes_on = np.flatnonzero(reply.terminated == 0)
        position = GAME.observe(np.ascontiguousarray(reply.states[goes_on]))


def test_auto_reset_keeps_how_the_ended_episodes_looked(client: EngineClient) -> None:
    states = np.frombuffer(NEAR_WIN + EMPTY + NEAR_WIN, np.uint8).reshape(3, 11)
    actions = encode_discrete(np.array([2, 2, 5]))
    reply = client.step_batch("tictactoe", states, actions, reset_seeds=np.arange(3, dtype=np.uint64))
    plain = GAME.step(states, actions)
    assert reply.terminated.tolist() == [1, 0, 0]
    assert reply.rewards.tolist() == [1.0, 0.0, 0.0]
    assert reply.info.tobytes() == plain.info.tobytes()
    assert reply.ended_rows().tolist() == [0]
    assert reply.final_states.tobytes() == WON
    assert reply.final_obs.tobytes() == plain.positions.obs[0].tobytes()
    assert reply.states[0].tobytes() == EMPTY
    assert reply.obs[0].tobytes() == GAME.reset(np.zeros(1, np.uint64)).obs.tobytes()
    assert (int(reply.legal_masks[0, 0]), int(reply.players[0])) == (0x1FF, 0)
    for row in (1, 2):
        assert reply.states[row].tobytes() == plain.positions.states[row].tobytes()
        assert reply.obs[row].tobytes() == plain.positions.obs[row].tobytes()


def test_batches_by_the_generated_client_are_the_same(stub: Any, client: EngineClient) -> None:
    states = np.frombuffer(NEAR_WIN + EMPTY, np.uint8).reshape(2, 11)
    actions = encode_discrete(np.array([2, 2]))
    request = pb.StepBatchRequest(
        id=ID, count=2, states=states.tobytes(), actions=actions.tobytes(), reset_seeds=bytes(16), sequence=9
    )
    theirs = stub.StepBatch(request)
    ours = client.step_batch("tictactoe", states, actions, reset_seeds=np.zeros(2, np.uint64))
    assert (theirs.sequence, theirs.count, theirs.final_players) == (9, 2, b"\x01")
    columns = (
        "states obs rewards terminated legal_masks players info final_states final_obs final_legal_masks"
    )
    for field in columns.split():
        assert getattr(theirs, field) == getattr(ours, field).tobytes()
    (streamed,) = stub.StepStream(iter([pb.StepStreamRequest(batches=[request, request])]))
    assert [batch.SerializeToString() for batch in streamed.batches] == [theirs.SerializeToString()] * 2
    start = stub.ResetBatch(pb.ResetBatchRequest(id=ID, count=2, seeds=bytes(16)))
    assert (start.count, start.states, start.players) == (2, bytes(22), bytes(2))


@pytest.mark.parametrize("env_id", ["chess", "", "tictactoe "])
def test_an_unknown_game_is_refused_by_every_call(stub: Any, env_id: str) -> None:
    other = pb.EngineId(env_id=env_id)
    calls: list[Callable[[], Any]] = [
        lambda: stub.GetCapabilities(other),
        lambda: stub.Reset(pb.ResetRequest(id=other)),
        lambda: stub.Step(pb.StepRequest(id=other)),
        lambda: stub.Render(pb.RenderRequest(id=other)),
        lambda: stub.ResetBatch(pb.ResetBatchRequest(id=other, count=1)),
        lambda: stub.StepBatch(pb.StepBatchRequest(id=other, count=1)),
        lambda: list(stub.StepStream(iter([pb.StepStreamRequest(batches=[pb.StepBatchRequest(id=other)])]))),
    ]
    for call in calls:
        status, details = refused(call)
        assert status is (grpc.StatusCode.NOT_FOUND if env_id else grpc.StatusCode.INVALID_ARGUMENT)
        assert repr(env_id) in details
        assert "tictactoe" in details


def test_another_build_is_refused(stub: Any) -> None:
    status, details = refused(lambda: stub.GetCapabilities(pb.EngineId(env_id="tictactoe", build_id="old")))
    assert status is grpc.StatusCode.FAILED_PRECONDITION
    assert details.startswith("id.build_id = 'old': this engine has build 'tictactoe-1'")


@pytest.mark.parametrize(
    ("request_", "status", "message"),
    [
        (pb.StepBatchRequest(id=ID), "INVALID_ARGUMENT", "count = 0: give at least one row"),
        (
            pb.StepBatchRequest(id=ID, count=65_537),
            "RESOURCE_EXHAUSTED",
            "count = 65537: over the limit of 65536 rows",
        ),
        (
            pb.StepBatchRequest(id=ID, count=2**32 - 1),
            "RESOURCE_EXHAUSTED",
            "count = 4294967295: over the limit",
        ),
        (
            pb.StepBatchRequest(id=ID, count=2, states=bytes(21), actions=bytes(8)),
            "INVALID_ARGUMENT",
            "states: 21 bytes; count = 2 rows of 11 bytes need 22",
        ),
        (
            pb.StepBatchRequest(id=ID, count=2, states=bytes(22), actions=bytes(9)),
            "INVALID_ARGUMENT",
            "actions: 9 bytes; count = 2 rows of 4 bytes need 8",
        ),
        (
            pb.StepBatchRequest(id=ID, count=1, states=EMPTY, actions=bytes(4), reset_seeds=bytes(16)),
            "INVALID_ARGUMENT",
            "reset_seeds: 16 bytes; count = 1 rows of 8 bytes need 8",
        ),
        (
            pb.StepBatchRequest(id=ID, count=1, states=WON, actions=bytes(4)),
            "INVALID_ARGUMENT",
            f"states[0] = 0x{WON.hex()}: the episode has ended",
        ),
        (
            pb.StepBatchRequest(id=ID, count=1, states=EMPTY, actions=b"\x09\0\0\0"),
            "INVALID_ARGUMENT",
            "actions[0] = 0x09000000: cell 9 is not on the board",
        ),
        (
            pb.StepBatchRequest(id=ID, count=2, states=EMPTY + NEAR_WIN, actions=bytes(8)),
            "INVALID_ARGUMENT",
            "actions[1] = 0x00000000: cell 0 (a1) is taken",
        ),
    ],
)
def test_a_bad_batch_is_refused_and_the_stream_says_which(
    stub: Any, request_: pb.StepBatchRequest, status: str, message: str
) -> None:
    code, details = refused(lambda: stub.StepBatch(request_))
    assert code.name == status
    assert message in details
    good = pb.StepBatchRequest(id=ID, count=1, states=EMPTY, actions=bytes(4), sequence=41)
    request_.sequence = 42
    answers = stub.StepStream(iter([pb.StepStreamRequest(batches=[good, request_, good])]))
    assert [batch.sequence for batch in next(answers).batches] == [41]
    code, details = refused(lambda: next(answers))
    assert code.name == status
    assert details.startswith("sequence 42: ")
    assert message in details


def test_bad_unary_input_is_refused(stub: Any) -> None:
    action = bytes(4)
    for call, message in (
        (
            lambda: stub.Step(pb.StepRequest(id=ID, state=b"ab", action=action)),
            "state: 2 bytes; this game's are 11",
        ),
        (
            lambda: stub.Step(pb.StepRequest(id=ID, state=EMPTY, action=b"")),
            "action: 0 bytes; this game's are 4",
        ),
        (lambda: stub.Step(pb.StepRequest(id=ID, state=WON, action=action)), "the episode has ended"),
        (lambda: stub.Render(pb.RenderRequest(id=ID, state=b"\x05" * 11)), "states[0] = 0x0505"),
        (lambda: stub.Reset(pb.ResetRequest(id=ID, hint=b"x")), "hint = 0x78"),
        (
            lambda: stub.ResetBatch(pb.ResetBatchRequest(id=ID, count=2, seeds=bytes(8))),
            "seeds: 8 bytes; count = 2",
        ),
    ):
        status, details = refused(call)
        assert status is grpc.StatusCode.INVALID_ARGUMENT
        assert message in details
    status, details = refused(lambda: stub.ResetBatch(pb.ResetBatchRequest(id=ID, count=70_000)))
    assert (status, "count = 70000") == (grpc.StatusCode.RESOURCE_EXHAUSTED, details[:13])


@pytest.mark.parametrize("method", ["GetCapabilities", "StepBatch", "StepStream"])
def test_bytes_that_are_no_message_are_refused(server: EngineServer, method: str) -> None:
    with grpc.insecure_channel(server.address) as channel:
        path = f"/cartridge.engine.v1.Engine/{method}"
        if method == "StepStream":
            status, details = refused(
                lambda: list(channel.stream_stream(path, None, None)(iter([b"\x0a\xff"])))
            )
        else:
            status, details = refused(lambda: channel.unary_unary(path, None, None)(b"\x0a\xff"))
    assert status is grpc.StatusCode.INVALID_ARGUMENT
    assert details


def test_a_message_over_the_limit_is_refused_by_grpc(server: EngineServer) -> None:
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(server.address, options=options) as channel:
        call = channel.unary_unary("/cartridge.engine.v1.Engine/StepBatch", None, None)
        status, details = refused(lambda: call(bytes(limits.MESSAGE_BYTES + 1)))
    assert status is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert str(limits.MESSAGE_BYTES) in details


def test_an_answer_that_fits_no_message_is_refused() -> None:
    limits.check_count(1024, 65_536)
    with pytest.raises(
        Exception, match="count = 1025: the answer of 65536 bytes a row is over 67108864 bytes"
    ):
        limits.check_count(1025, 65_536)


def test_the_largest_batch_is_taken(client: EngineClient) -> None:
    start = client.reset_batch("tictactoe", np.zeros(limits.MAX_COUNT, np.uint64))
    reply = client.step_batch("tictactoe", start.states, np.zeros((limits.MAX_COUNT, 4), np.uint8))
    assert reply.players.sum() == limits.MAX_COUNT


def test_a_refused_batch_changes_nothing_for_the_next(client: EngineClient) -> None:
    start = client.reset_batch("tictactoe", np.zeros(4, np.uint64))
    good = encode_discrete(np.array([0, 1, 2, 3]))
    before = client.step_batch("tictactoe", start.states, good)
    with pytest.raises(EngineRefused) as error:
        client.step_batch("tictactoe", start.states, encode_discrete(np.array([0, 1, 2, 9])))
    assert error.value.status is grpc.StatusCode.INVALID_ARGUMENT
    assert error.value.exit_code == 2
    after = client.step_batch("tictactoe", start.states, good)
    assert after.obs.tobytes() == before.obs.tobytes()


def test_the_client_refuses_columns_before_it_sends_them(client: EngineClient) -> None:
    with pytest.raises(BadBatch, match="states: is"):
        client.step_batch("tictactoe", np.zeros((2, 10), np.uint8), np.zeros((2, 4), np.uint8))
    with pytest.raises(BadBatch, match="seeds"):
        client.reset_batch("tictactoe", np.zeros(2, np.int32))
    with pytest.raises(ValueError, match="timeout_s = 0"):
        EngineClient("127.0.0.1:1", timeout_s=0)


def test_a_game_that_breaks_its_contract_is_poisoned_and_the_others_go_on(
    server: EngineServer, client: EngineClient, metrics: CollectorRegistry
) -> None:
    registry.register("broken", Broken)
    try:
        assert len(client.reset_batch("broken", np.zeros(12, np.uint64))) == 12
        for _ in range(2):
            with pytest.raises(
                EngineRefused, match=r"'broken': its kernel failed .ZeroDivisionError: kernel."
            ) as error:
                client.reset_batch("broken", np.zeros(13, np.uint64))
            assert error.value.status is grpc.StatusCode.FAILED_PRECONDITION
        with pytest.raises(EngineRefused, match="its kernel failed"):
            client.step_batch("broken", np.zeros((1, 11), np.uint8), np.zeros((1, 4), np.uint8))
        assert metrics.get_sample_value("engine_game_poisoned", {"game": "broken"}) == 1
        assert len(client.reset_batch("tictactoe", np.zeros(13, np.uint64))) == 13
        Broken.fails = False
        server.service.catalog.restore("broken")
        assert len(client.reset_batch("broken", np.zeros(13, np.uint64))) == 13
        assert metrics.get_sample_value("engine_game_poisoned", {"game": "broken"}) == 0
    finally:
        Broken.fails = True
        registry.unregister("broken")


def test_every_request_is_counted_once_with_its_status(
    client: EngineClient, metrics: CollectorRegistry
) -> None:
    def value(name: str, **labels: str) -> float:
        return metrics.get_sample_value(name, labels) or 0.0

    steps = value("engine_steps_total", game="tictactoe")
    ok = value("engine_requests_total", call="StepBatch", status="OK")
    bad = value("engine_requests_total", call="StepBatch", status="INVALID_ARGUMENT")
    resets = value("engine_resets_total", game="tictactoe", cause="auto")
    timed = value("engine_step_latency_seconds_count", game="tictactoe", call="batch")
    states = np.frombuffer(NEAR_WIN * 3, np.uint8).reshape(3, 11)
    client.step_batch(
        "tictactoe", states, encode_discrete(np.array([2, 2, 5])), reset_seeds=np.zeros(3, np.uint64)
    )
    with pytest.raises(EngineRefused):
        client.step_batch("tictactoe", states, encode_discrete(np.array([2, 2, 0])))
    assert value("engine_steps_total", game="tictactoe") == steps + 3
    assert value("engine_requests_total", call="StepBatch", status="OK") == ok + 1
    assert value("engine_requests_total", call="StepBatch", status="INVALID_ARGUMENT") == bad + 1
    assert value("engine_resets_total", game="tictactoe", cause="auto") == resets + 2
    assert value("engine_step_latency_seconds_count", game="tictactoe", call="batch") == timed + 1
    assert value("engine_requests_in_flight", call="StepBatch") == 0


def test_an_encoded_id_is_read_however_it_is_spelt(stub: Any, client: EngineClient) -> None:
    # Field order and repetition are free in protobuf: the last env_id counts.
    spelt = engine_id_bytes("chess") + engine_id_bytes("tictactoe")
    data = step_request_bytes(spelt, np.zeros((1, 11), np.uint8), np.zeros((1, 4), np.uint8))
    assert stub.StepBatch(pb.StepBatchRequest.FromString(data)).count == 1
    unavailable = EngineUnavailable(grpc.StatusCode.UNAVAILABLE, "gone")
    assert unavailable.exit_code == 1
    assert client.timeout_s == 10.0
