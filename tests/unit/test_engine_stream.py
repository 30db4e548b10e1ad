"""The pipelined stream: order, bounds, determinism, and what a client sees when the engine goes away."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from prometheus_client import CollectorRegistry

from engine import limits
from engine.client import EngineClient
from engine.errors import EngineError, EngineRefused, EngineUnavailable, StreamFull
from engine.layout import row_bytes
from engine.metrics import EngineMetrics
from engine.request import engine_id_bytes, step_request_bytes
from engine.response import StepReply
from engine.server import EngineServer
from engine.service import EngineService
from engine.stream import StepStream
from engine.stubs import engine_pb2 as pb
from games import registry
from games.batch import unpack_masks
from games.contract import Positions, encode_discrete
from games.errors import BadBatch

GAME = registry.get("tictactoe")
Actions = npt.NDArray[np.uint8]


def new_server(port: int = 0) -> EngineServer:
    return EngineServer("127.0.0.1", port, engine_metrics=EngineMetrics(CollectorRegistry()))


@pytest.fixture(scope="module")
def server() -> Iterator[EngineServer]:
    with new_server() as running:
        yield running


@pytest.fixture
def client(server: EngineServer) -> Iterator[EngineClient]:
    with EngineClient(server.address) as connected:
        yield connected


def choose(legal_masks: npt.NDArray[np.uint64], rng: np.random.Generator) -> Actions:
    legal = unpack_masks(legal_masks, 9)
    return encode_discrete(np.argmax(legal * rng.uniform(0.5, 1.0, legal.shape), axis=1))


def fields(reply: StepReply) -> tuple[bytes, ...]:
    names = ("states", "obs", "rewards", "terminated", "truncated", "legal_masks", "players", "info")
    return tuple(getattr(reply, name).tobytes() for name in (*names, "final_states", "final_obs"))


def test_answers_are_not_joined_beyond_what_a_message_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MESSAGE_BYTES", 100_000)
    service = EngineService(EngineMetrics(CollectorRegistry()))
    stepper = service._stepper("StepStream")
    name = engine_id_bytes("tictactoe")
    most = limits.MESSAGE_BYTES // row_bytes(GAME.spec)
    message = b"".join(
        step_request_bytes(
            name, np.zeros((rows, 11), np.uint8), np.zeros((rows, 4), np.uint8), sequence=rows, in_stream=True
        )
        for rows in (1, most, 2)
    )
    answers = list(service._stream_answers(stepper, message))
    assert max(map(len, answers)) <= limits.MESSAGE_BYTES
    batches = [batch for answer in answers for batch in pb.StepStreamResponse.FromString(answer).batches]
    assert [batch.sequence for batch in batches] == [1, most, 2]


def test_many_batches_under_way_are_answered_in_order(client: EngineClient) -> None:
    start = client.reset_batch("tictactoe", np.zeros(9, np.uint64))
    with client.open_stream("tictactoe", max_in_flight=40) as stream:
        for turn in range(40):
            rows = 1 + turn % 9
            assert stream.send(start.states[:rows], encode_discrete(np.full(rows, turn % 9))) == turn
        assert stream.in_flight == 40
        for turn in range(40):
            reply = stream.receive()
            assert reply.sequence == turn
            assert len(reply.states) == 1 + turn % 9
            assert (reply.states[:, turn % 9] == 1).all()
        assert stream.in_flight == 0


def play(stream: StepStream, start: Positions, *, steps: int, groups: int) -> list[tuple[bytes, ...]]:
    """`groups` sets of episodes in turn, one batch of each under way; what comes back, in order."""
    rng = np.random.default_rng(11)
    seeds = np.arange(len(start), dtype=np.uint64)
    for _ in range(groups):
        stream.send(start.states, choose(start.legal_masks, rng), seeds)
    got = []
    for _ in range(steps):
        for _ in range(groups):
            reply = stream.receive()
            got.append(fields(reply))
            stream.send(reply.states, choose(reply.legal_masks, rng), seeds)
    for _ in range(groups):
        stream.receive()
    return got


def test_the_same_actions_give_the_same_bytes_on_any_stream(
    server: EngineServer, client: EngineClient
) -> None:
    start = client.reset_batch("tictactoe", np.zeros(50, np.uint64))
    with client.open_stream("tictactoe") as stream:
        first = play(stream, start, steps=20, groups=3)
    with EngineClient(server.address) as other, other.open_stream("tictactoe") as stream:
        assert play(stream, start, steps=20, groups=3) == first


def test_a_stream_plays_what_the_game_plays(client: EngineClient) -> None:
    rng = np.random.default_rng(2)
    seeds = np.arange(64, dtype=np.uint64)
    position = GAME.reset(seeds)
    with client.open_stream("tictactoe") as stream:
        for _ in range(30):
            actions = choose(position.legal_masks, rng)
            stream.send(position.states, actions, seeds)
            reply = stream.receive()
            outcome = GAME.step(position.states, actions)
            ended = np.flatnonzero(outcome.terminated)
            assert reply.final_states.tobytes() == outcome.positions.states[ended].tobytes()
            assert reply.final_obs.tobytes() == outcome.positions.obs[ended].tobytes()
            assert reply.ended_rows().tolist() == ended.tolist()
            fresh = GAME.reset(seeds[ended])
            position = outcome.positions
            position.states[ended], position.obs[ended] = fresh.states, fresh.obs
            position.legal_masks[ended], position.players[ended] = fresh.legal_masks, fresh.players
            assert reply.states.tobytes() == position.states.tobytes()
            assert reply.obs.tobytes() == position.obs.tobytes()
            assert reply.legal_masks.tobytes() == position.legal_masks.tobytes()
            assert reply.players.tobytes() == position.players.tobytes()


def test_answers_larger_than_a_message_come_in_several(client: EngineClient) -> None:
    rows = limits.STREAM_FLUSH_BYTES // 100
    start = client.reset_batch("tictactoe", np.zeros(rows, np.uint64))
    with client.open_stream("tictactoe") as stream:
        for turn in range(6):
            stream.send(start.states, encode_discrete(np.full(rows, turn)))
        for turn in range(6):
            assert (stream.receive().states[:, turn] == 1).all()


def test_arrays_may_be_changed_after_a_send(client: EngineClient) -> None:
    states, actions = np.zeros((4, 11), np.uint8), np.zeros((4, 4), np.uint8)
    with client.open_stream("tictactoe") as stream:
        stream.send(states, actions)
        states[:], actions[:] = 255, 255
        assert (stream.receive().states[:, 0] == 1).all()


def test_more_than_may_be_under_way_is_refused(client: EngineClient) -> None:
    states, actions = np.zeros((1, 11), np.uint8), np.zeros((1, 4), np.uint8)
    with client.open_stream("tictactoe", max_in_flight=2) as stream:
        stream.send(states, actions)
        stream.send(states, actions)
        with pytest.raises(StreamFull, match="in_flight = 2: is max_in_flight; receive"):
            stream.send(states, actions)
        stream.receive()
        stream.send(states, actions)
    with pytest.raises(ValueError, match="max_in_flight = 0"):
        client.open_stream("tictactoe", max_in_flight=0)


def test_misuse_is_told_and_does_no_harm(client: EngineClient) -> None:
    with client.open_stream("tictactoe") as stream:
        with pytest.raises(EngineError, match="nothing is under way"):
            stream.receive()
        with pytest.raises(BadBatch, match="actions"):
            stream.send(np.zeros((2, 11), np.uint8), np.zeros((1, 4), np.uint8))
        stream.send(np.zeros((1, 11), np.uint8), np.zeros((1, 4), np.uint8))
        assert stream.receive().sequence == 0
    with pytest.raises(EngineUnavailable, match="the stream is closed"):
        stream.send(np.zeros((1, 11), np.uint8), np.zeros((1, 4), np.uint8))


def test_a_refused_batch_ends_the_stream_after_the_answers_before_it(client: EngineClient) -> None:
    states, actions = np.zeros((2, 11), np.uint8), np.zeros((2, 4), np.uint8)
    bad = encode_discrete(np.array([0, 9]))
    with client.open_stream("tictactoe") as stream:
        stream.send(states, actions)
        stream.send(states, bad)
        stream.send(states, actions)
        assert stream.receive().sequence == 0
        for _ in range(2):
            with pytest.raises(EngineRefused, match=r"sequence 1: actions\[1\] = 0x09000000") as error:
                stream.receive()
            assert error.value.status is grpc.StatusCode.INVALID_ARGUMENT
    with client.open_stream("tictactoe") as stream:
        stream.send(states, actions)
        assert stream.receive().sequence == 0


def test_a_client_goes_on_with_the_next_engine_from_the_states_it_holds() -> None:
    rng = np.random.default_rng(3)
    first = new_server()
    first.start()
    with EngineClient(first.address) as client:
        position: Any = client.reset_batch("tictactoe", np.zeros(8, np.uint64))
        with client.open_stream("tictactoe") as stream:
            stream.send(position.states, choose(position.legal_masks, rng))
            position = stream.receive()
            first.stop()
            stream.send(position.states, choose(position.legal_masks, rng))
            with pytest.raises(EngineUnavailable):
                stream.receive()
            with pytest.raises(EngineUnavailable):
                stream.send(position.states, choose(position.legal_masks, rng))
        with new_server(first.port), client.open_stream("tictactoe") as stream:
            actions = choose(position.legal_masks, rng)
            stream.send(position.states, actions)
            expected = GAME.step(np.ascontiguousarray(position.states), actions)
            assert stream.receive().states.tobytes() == expected.positions.states.tobytes()


def test_an_engine_that_never_answers_is_given_up_in_time() -> None:
    released = threading.Event()

    def silent(messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        del messages, context
        released.wait()
        yield from ()

    def told(message: bytes, context: grpc.ServicerContext) -> bytes:
        del message, context
        from engine.capabilities import to_message

        return to_message(GAME.spec).SerializeToString()

    silent_server = grpc.server(futures.ThreadPoolExecutor(2))
    handlers = {
        "StepStream": grpc.stream_stream_rpc_method_handler(silent),
        "GetCapabilities": grpc.unary_unary_rpc_method_handler(told),
    }
    silent_server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("cartridge.engine.v1.Engine", handlers),)
    )
    port = silent_server.add_insecure_port("127.0.0.1:0")
    silent_server.start()
    try:
        with (
            EngineClient(f"127.0.0.1:{port}", timeout_s=0.2) as client,
            client.open_stream("tictactoe") as stream,
        ):
            stream.send(np.zeros((1, 11), np.uint8), np.zeros((1, 4), np.uint8))
            with pytest.raises(EngineUnavailable, match=r"no answer within 0\.2 s") as error:
                stream.receive()
            assert error.value.status is grpc.StatusCode.DEADLINE_EXCEEDED
    finally:
        released.set()
        silent_server.stop(None).wait()


def test_an_engine_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with EngineClient(address, timeout_s=0.3) as client:
            with pytest.raises(
                EngineUnavailable, match=rf"engine {address}: no answer within 0\.3 s; is it running"
            ):
                client.list_games()
            with pytest.raises(EngineUnavailable):
                client.open_stream("tictactoe")


def test_streams_over_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_STREAMS", 1)
    states, actions = np.zeros((1, 11), np.uint8), np.zeros((1, 4), np.uint8)
    with new_server() as server, EngineClient(server.address) as client:
        with client.open_stream("tictactoe") as first:
            first.send(states, actions)
            first.receive()
            with client.open_stream("tictactoe") as second:
                second.send(states, actions)
                with pytest.raises(EngineRefused, match="streams = 2: over the limit of 1") as error:
                    second.receive()
                assert error.value.status is grpc.StatusCode.RESOURCE_EXHAUSTED
        with client.open_stream("tictactoe") as third:
            third.send(states, actions)
            assert third.receive().sequence == 0
