"""A sample of bench/fuzz.py: random and mutated requests end with the right status, in process and over the wire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from bench.fuzz import PACKAGE, Ended, Fuzzer, Report, faults
from bench.fuzz_oracle import KINDS
from bench.fuzz_requests import STREAM, WEIGHTS, Case
from engine.metrics import EngineMetrics
from engine.server import EngineServer
from engine.stubs import engine_pb2 as pb
from games import registry
from games.contract import Game
from toy_games import Lanes

SAMPLE = 20_000
OVER_THE_WIRE = 1500
GROWTH_BYTES = 64 * 2**20  # between a tenth of the sample and its end; an answer kept a request would be more
# Sessions expire by the clock, which over the wire is not ours.
STATELESS = tuple(path for path in WEIGHTS if not path.startswith("Sessions/"))


@pytest.fixture
def games() -> Iterator[dict[str, Game]]:
    """All games, and one that has agents, a grid, hints and an older encoding."""
    registry.register("lanes", Lanes)
    try:
        yield {name: registry.get(name) for name in registry.names()}
    finally:
        registry.unregister("lanes")


def test_every_request_ends_with_the_right_status_and_nothing_grows(games: dict[str, Game]) -> None:
    report = Fuzzer(games, seed=11).run(SAMPLE)
    assert report.wrong == []
    assert sum(report.statuses.values()) == SAMPLE
    assert {path for path, _ in report.statuses} == {*KINDS, STREAM}
    ended = {status for _, status in report.statuses}
    assert ended == {
        "OK",
        "INVALID_ARGUMENT",
        "NOT_FOUND",
        "FAILED_PRECONDITION",
        "RESOURCE_EXHAUSTED",
        "UNIMPLEMENTED",
    }
    assert report.end_bytes - report.warm_bytes < GROWTH_BYTES


def over(channel: grpc.Channel) -> Any:
    """How a case reaches the engine at the other end."""

    def send(case: Case) -> Ended:
        path, answers = f"/{PACKAGE}.{case.path}", []
        try:
            if case.path == STREAM:
                for answer in channel.stream_stream(path, None, None)(iter(case.messages)):
                    answers.append(answer)
            else:
                answers.append(channel.unary_unary(path, None, None)(case.messages[0]))
        except grpc.RpcError as error:
            return error.code().name, error.details() or "", answers
        return "OK", "", answers

    return send


def test_over_the_wire_they_end_with_the_same(games: dict[str, Game]) -> None:
    metrics = CollectorRegistry()
    with (
        EngineServer("127.0.0.1", 0, engine_metrics=EngineMetrics(metrics)) as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        report = Fuzzer(games, seed=12, paths=STATELESS, transport=over(channel)).run(OVER_THE_WIRE)
        assert report.wrong == []
        assert server.service.catalog.poisoned() == {}
        assert server.service.rows.in_flight == 0
    assert sum(report.statuses.values()) == OVER_THE_WIRE


def test_a_kernel_that_fails_on_some_bytes_is_found(
    games: dict[str, Game], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Lanes._step

    def fails(self: Lanes, states: Any, actions: Any, out: Any) -> None:
        step(self, states, actions, out)
        if len(states) == 5:
            raise IndexError("row 4")

    fuzzer = Fuzzer({"lanes": games["lanes"]}, seed=13)
    monkeypatch.setattr(Lanes, "_step", fails)
    report = fuzzer.run(500)
    assert any("the game itself raised IndexError('row 4')" in wrong for wrong in report.wrong)


def always(*ended: Any) -> Any:
    """An engine that ends every call in one way."""

    def send(case: Case) -> Any:
        del case
        return ended

    return send


def test_an_answer_that_should_have_been_a_refusal_is_found(games: dict[str, Game]) -> None:
    paths = ("Engine/GetCapabilities", "Engine/StepBatch")
    fuzzer = Fuzzer(games, seed=14, paths=paths, transport=always("OK", "", [b""]))
    report = fuzzer.run(200)
    assert any("OK (), right is ['NOT_FOUND']" in wrong for wrong in report.wrong)
    assert any("OK (), right is ['INVALID_ARGUMENT']" in wrong for wrong in report.wrong)


def test_a_refusal_that_is_no_line_is_found(games: dict[str, Game]) -> None:
    engine = always("INVALID_ARGUMENT", "two\nlines", [])
    report = Fuzzer(games, seed=15, paths=("Engine/Step",), transport=engine).run(20)
    assert any(r"refused in 'two\nlines'" in wrong for wrong in report.wrong)
    assert any("right is ['OK']" in wrong for wrong in report.wrong)


@pytest.mark.parametrize("column", ["states", "rewards", "players"])
def test_a_column_that_is_not_the_games_is_found(games: dict[str, Game], column: str) -> None:
    fuzzer = Fuzzer(games, seed=16, paths=("Engine/StepBatch",))
    honest = fuzzer._transport

    def forging(case: Case) -> Ended:
        status, line, answers = honest(case)
        for at, answer in enumerate(answers):
            message = pb.StepBatchResponse.FromString(answer)
            data = getattr(message, column)
            setattr(message, column, bytes([data[0] ^ 1]) + data[1:])
            answers[at] = message.SerializeToString()
        return status, line, answers

    fuzzer._transport = forging
    assert any(f": {column} differ" in wrong for wrong in fuzzer.run(50).wrong)


def test_growth_of_the_memory_is_a_fault() -> None:
    most = 32 * 2**20
    assert faults(Report(warm_bytes=5, end_bytes=5 + most)) == []
    assert faults(Report(warm_bytes=5, end_bytes=6 + most)) == [
        "memory grew by 33,554,433 bytes, 33,554,432 may be"
    ]


def test_memory_is_counted() -> None:
    from bench.fuzz import resident_bytes

    before = resident_bytes()
    held = np.ones(64 * 2**20, np.uint8)
    assert resident_bytes() - before > len(held) // 2 or before == 0
