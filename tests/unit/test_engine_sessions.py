"""Sessions: the engine holds the states; steps are counted, repeated, expired, and gone with the engine."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from engine import limits
from engine.admission import Rows
from engine.catalog import Catalog
from engine.client import EngineClient
from engine.errors import EngineRefused, EngineUnavailable, Refusal
from engine.metrics import EngineMetrics
from engine.server import EngineServer
from engine.sessions import Sessions
from engine.stubs import engine_pb2 as pb
from games import registry
from games.contract import encode_discrete
from games.errors import BadBatch, GameError

GAME = registry.get("tictactoe")
ID = pb.EngineId(env_id="tictactoe")
SEEDS = np.arange(3, dtype=np.uint64)


def new_server(port: int = 0) -> EngineServer:
    return EngineServer("127.0.0.1", port, engine_metrics=EngineMetrics(CollectorRegistry()))


class Bench:
    """Sessions on a clock that a test turns."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.registry = CollectorRegistry()
        metrics = EngineMetrics(self.registry)
        self.sessions = Sessions(Catalog(metrics), Rows(1000, metrics), metrics, clock=lambda: self.now_s)

    def open(self, count: int = 3, **fields: Any) -> str:
        request = pb.OpenSessionRequest(id=ID, count=count, seeds=bytes(8 * count), **fields)
        return str(self.sessions.open(request).session_id)

    def step(self, session_id: str, sequence: int, actions: list[int]) -> pb.StepBatchResponse:
        columns = encode_discrete(np.array(actions)).tobytes()
        request = pb.StepSessionRequest(session_id=session_id, sequence=sequence, actions=columns)
        return pb.StepSessionResponse.FromString(self.sessions.step(request)).outcome

    def close(self, session_id: str) -> None:
        self.sessions.close(pb.CloseSessionRequest(session_id=session_id))

    def value(self, name: str) -> float:
        return self.registry.get_sample_value(name) or 0.0


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture(scope="module")
def server() -> Iterator[EngineServer]:
    with new_server() as running:
        yield running


@pytest.fixture
def client(server: EngineServer) -> Iterator[EngineClient]:
    with EngineClient(server.address) as connected:
        yield connected


def test_a_session_plays_what_the_game_plays(client: EngineClient) -> None:
    rng = np.random.default_rng(6)
    seeds = np.arange(40, dtype=np.uint64)
    with client.open_session("tictactoe", seeds) as session:
        position: Any = GAME.reset(seeds)
        assert session.start.obs.tobytes() == position.obs.tobytes()
        for step in range(30):
            legal = position.legal_masks[:, :1] >> np.arange(9, dtype=np.uint64) & np.uint64(1)
            actions = encode_discrete(np.argmax(legal * rng.uniform(0.5, 1, legal.shape), axis=1))
            reply = session.step(actions, seeds)
            plain = client.step_batch("tictactoe", position.states, actions, reset_seeds=seeds)
            assert reply.sequence == step + 1
            assert reply.rewards.tobytes() == plain.rewards.tobytes()
            assert reply.states.tobytes() == plain.states.tobytes() == session.states.tobytes()
            assert reply.final_obs.tobytes() == plain.final_obs.tobytes()
            position = reply


def test_the_last_answer_comes_again_for_its_own_number(bench: Bench) -> None:
    name = bench.open()
    first = bench.step(name, 1, [0, 1, 2])
    assert bench.step(name, 1, [0, 1, 2]) == first
    second = bench.step(name, 2, [3, 3, 3])
    assert bench.step(name, 2, [3, 3, 3]) == second
    assert bench.value("engine_sessions") == 1
    assert bench.registry.get_sample_value("engine_steps_total", {"game": "tictactoe"}) == 6


@pytest.mark.parametrize(
    ("steps", "sequence", "message"),
    [
        (0, 0, "sequence = 0: this session's next step is 1"),
        (0, 2, "sequence = 2: this session's next step is 1"),
        (2, 1, "sequence = 1: this session's next step is 3, or 2 again for the last answer"),
        (2, 4, "sequence = 4: this session's next step is 3"),
        (1, 2**64 - 1, "next step is 2"),
    ],
)
def test_any_other_number_is_refused_and_changes_nothing(
    bench: Bench, steps: int, sequence: int, message: str
) -> None:
    name = bench.open()
    for step in range(steps):
        bench.step(name, step + 1, [step] * 3)
    with pytest.raises(Refusal, match=re.escape(message)) as error:
        bench.step(name, sequence, [8, 8, 8])
    assert error.value.status is grpc.StatusCode.FAILED_PRECONDITION
    assert bench.step(name, steps + 1, [8, 8, 8]).sequence == steps + 1


def test_the_same_number_with_other_columns_is_refused(bench: Bench) -> None:
    name = bench.open()
    bench.step(name, 1, [0, 1, 2])
    with pytest.raises(Refusal, match="sequence = 1: is answered, for other columns") as error:
        bench.step(name, 1, [0, 1, 3])
    assert error.value.status is grpc.StatusCode.FAILED_PRECONDITION


def test_a_refused_step_leaves_the_session_where_it_was(bench: Bench) -> None:
    name = bench.open()
    bench.step(name, 1, [0, 1, 2])
    with pytest.raises(GameError, match=r"actions\[2\] = 0x02000000: cell 2 .* is taken"):
        bench.step(name, 2, [1, 0, 2])
    states = np.frombuffer(bench.step(name, 2, [1, 0, 3]).states, np.uint8).reshape(3, 11)
    assert states[2].tolist() == [0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0]


def test_what_is_idle_for_longer_than_its_timeout_is_closed(bench: Bench) -> None:
    short, long = bench.open(idle_timeout_ms=5000), bench.open()
    for _ in range(3):  # what is used is not idle
        bench.now_s += 4.0
        with pytest.raises(Refusal, match="next step is 1"):
            bench.step(short, 7, [0, 0, 0])
    bench.now_s += 5.5
    bench.sessions.expire()
    assert (bench.sessions.count, bench.value("engine_sessions_expired_total")) == (1, 1)
    with pytest.raises(
        Refusal, match="closed, or was idle for longer than its timeout; open another"
    ) as error:
        bench.step(short, 1, [0, 0, 0])
    assert error.value.status is grpc.StatusCode.NOT_FOUND
    bench.step(long, 1, [0, 0, 0])
    bench.now_s += limits.IDLE_TIMEOUT_MS / 1000 + 1
    with pytest.raises(Refusal, match="idle for longer"):  # also where nothing has swept
        bench.step(long, 2, [1, 1, 1])
    assert (bench.sessions.count, bench.value("engine_session_bytes")) == (0, 0)
    assert bench.value("engine_sessions_expired_total") == 2


def test_a_session_that_is_used_while_the_sweeper_looks_stays_open(bench: Bench) -> None:
    name = bench.open(idle_timeout_ms=5000)
    session = bench.sessions._open[name]

    class Lock:
        """The session's lock; between the sweeper's look and its lock the client's step is answered."""

        inner = session.lock

        def acquire(self, blocking: bool = True) -> bool:
            del blocking
            session.lock = self.inner
            session.used_s = bench.now_s  # as a step that had found its session leaves it
            return self.inner.acquire(blocking=False)

    bench.now_s += 5.5
    session.lock = Lock()  # type: ignore[assignment]
    bench.sessions.expire()
    assert (bench.sessions.count, bench.value("engine_sessions_expired_total")) == (1, 0)
    bench.step(name, 1, [0, 0, 0])


@pytest.mark.parametrize("timeout", [1, 999, 3_600_001, 2**32 - 1])
def test_a_timeout_out_of_bounds_is_refused(bench: Bench, timeout: int) -> None:
    with pytest.raises(Refusal, match=f"idle_timeout_ms = {timeout}: give 1000 to 3600000") as error:
        bench.open(idle_timeout_ms=timeout)
    assert error.value.status is grpc.StatusCode.INVALID_ARGUMENT
    assert bench.sessions.count == 0


def test_sessions_over_the_capacity_are_refused(bench: Bench) -> None:
    bench.sessions.capacity = 2
    first, _ = bench.open(idle_timeout_ms=1000), bench.open()
    with pytest.raises(Refusal, match="sessions = 3: over the capacity of 2; close one") as error:
        bench.open()
    assert (error.value.status, error.value.retry_after_s) == (grpc.StatusCode.RESOURCE_EXHAUSTED, 1.0)
    assert bench.value("engine_sessions_refused_total") == 1
    bench.close(first)
    third = bench.open(idle_timeout_ms=1000)
    bench.now_s += 2.0  # an idle one makes room by itself
    bench.open()
    with pytest.raises(Refusal):
        bench.step(third, 1, [0, 0, 0])


def test_sessions_over_the_memory_are_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SESSION_BYTES", 200_000)
    bench.open(500)
    with pytest.raises(Refusal, match=r"count: \d+ bytes more than the \d+ of the open sessions") as error:
        bench.open(500)
    assert error.value.status is grpc.StatusCode.RESOURCE_EXHAUSTED
    bench.open(1)


def test_a_refused_opening_gives_its_place_back(bench: Bench) -> None:
    with pytest.raises(GameError, match="hint = 0x78"):
        bench.open(hint=b"x")
    with pytest.raises(Refusal, match="states: 33 bytes beside seeds or a hint"):
        bench.open(states=bytes(33))
    assert (bench.sessions.count, bench.value("engine_session_bytes")) == (0, 0)


def test_a_session_goes_on_from_states(client: EngineClient) -> None:
    with client.open_session("tictactoe", SEEDS) as first:
        first.step(encode_discrete(np.array([0, 1, 2])))
        with client.open_session("tictactoe", states=first.states, idle_timeout_s=60) as second:
            assert second.idle_timeout_s == 60
            assert second.start.players.tolist() == [1, 1, 1]
            ours = second.step(encode_discrete(np.array([4, 4, 4])))
        theirs = first.step(encode_discrete(np.array([4, 4, 4])))
    assert ours.states.tobytes() == theirs.states.tobytes()


def test_a_session_is_gone_with_its_engine() -> None:
    first = new_server()
    first.start()
    with EngineClient(first.address) as client:
        session = client.open_session("tictactoe", SEEDS)
        session.step(encode_discrete(np.array([0, 1, 2])))
        first.stop()
        with new_server(first.port) as again:
            assert again.port == first.port
            message = (
                "is not of this engine process, which may have started anew.*open another with the states"
            )
            with pytest.raises(EngineRefused, match=message) as error:
                session.step(encode_discrete(np.array([3, 3, 3])))
            assert error.value.status is grpc.StatusCode.NOT_FOUND
            with client.open_session("tictactoe", states=session.states) as anew:
                assert anew.start.players.tolist() == [1, 1, 1]


def test_a_refused_step_leaves_no_session_behind(server: EngineServer, client: EngineClient) -> None:
    with (
        pytest.raises(EngineRefused, match="cell"),
        client.open_session("tictactoe", SEEDS) as session,
    ):
        session.step(np.full((3, 4), 9, np.uint8))
    assert server.service.sessions.count == 0


def test_a_step_that_is_not_answered_in_time_leaves_no_session_behind(
    server: EngineServer, client: EngineClient
) -> None:
    session = client.open_session("tictactoe", SEEDS)
    call = session._call

    def late(path: str, request: bytes, timeout_s: float | None) -> bytes:
        if path == "Sessions/StepSession":
            raise EngineUnavailable(grpc.StatusCode.DEADLINE_EXCEEDED, "no answer")
        return call(path, request, timeout_s)

    session._call = late
    with pytest.raises(EngineUnavailable):
        session.step(np.zeros((3, 4), np.uint8))
    assert server.service.sessions.count == 1
    session.close()
    assert server.service.sessions.count == 0


def test_a_closed_session_is_told_apart_and_closing_twice_is_harmless(client: EngineClient) -> None:
    session = client.open_session("tictactoe", SEEDS)
    session.close()
    session.close()
    with pytest.raises(EngineRefused, match="is closed, or was idle"):
        session.step(encode_discrete(np.array([0, 1, 2])))


def test_a_step_that_was_not_answered_is_made_again_once(client: EngineClient) -> None:
    session = client.open_session("tictactoe", SEEDS)
    call = session._call
    lost: list[bytes] = []

    def losing(path: str, request: bytes, timeout_s: float | None) -> bytes:
        answer = call(path, request, timeout_s)
        if path.endswith("StepSession") and not lost:
            lost.append(answer)
            raise EngineUnavailable(grpc.StatusCode.UNAVAILABLE, "the answer was lost")
        return answer

    session._call = losing
    actions = encode_discrete(np.array([0, 1, 2]))
    with pytest.raises(EngineUnavailable):
        session.step(actions)
    reply = session.step(actions)
    assert (reply.sequence, reply.players.tolist()) == (1, [1, 1, 1])
    assert session.step(encode_discrete(np.array([4, 4, 4]))).sequence == 2
    session.close()


def test_two_repeats_at_once_get_one_answer(bench: Bench) -> None:
    name = bench.open(1000)
    actions = [0] * 1000
    answers: list[pb.StepBatchResponse] = []
    threads = [
        threading.Thread(target=lambda: answers.append(bench.step(name, 1, actions))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    assert all(answer == answers[0] for answer in answers)
    assert bench.registry.get_sample_value("engine_steps_total", {"game": "tictactoe"}) == 1000


def test_the_client_refuses_what_makes_no_session(client: EngineClient) -> None:
    with pytest.raises(ValueError, match="give one of them"):
        client.open_session("tictactoe")
    with pytest.raises(ValueError, match="idle_timeout_s = -1"):
        client.open_session("tictactoe", SEEDS, idle_timeout_s=-1)
    with pytest.raises(BadBatch, match="seeds"):
        client.open_session("tictactoe", np.zeros(2, np.int32))
    with (
        client.open_session("tictactoe", SEEDS) as session,
        pytest.raises(BadBatch, match="actions"),
    ):
        session.step(encode_discrete(np.array([0, 1])))


def test_idle_sessions_are_closed_though_nobody_calls(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.open()
    bench.now_s += limits.IDLE_TIMEOUT_MS
    swept, stopped = threading.Event(), threading.Event()
    expire = bench.sessions.expire

    def watched() -> None:
        expire()
        swept.set()

    monkeypatch.setattr(bench.sessions, "expire", watched)
    sweeper = threading.Thread(target=bench.sessions.expire_until, args=(stopped,))
    sweeper.start()
    try:
        assert swept.wait(30)
        assert bench.sessions.count == 0
    finally:
        stopped.set()
        sweeper.join()
