"""A million random and mutated requests against the engine's service: no crash, no growth, no status but the right one.

Enters: a number of requests, a seed. Leaves: statuses by call, memory before and after, and every request that was not
answered as the oracle says; exit code 1 if there is one or memory grew. Invariant: the handlers are the service's own,
as gRPC calls them, in one process and one thread; time is counted in requests, so a seed repeats its run.

    python bench/fuzz.py
    python bench/fuzz.py --requests 50000 --seed 7
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import grpc
import numpy as np
from google.protobuf.message import DecodeError
from prometheus_client import CollectorRegistry

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.fuzz_oracle import INVALID, KINDS, OK, OpenSession, Oracle, session_bytes
from bench.fuzz_requests import STREAM, Case, Requests
from engine import limits
from engine.metrics import EngineMetrics
from engine.service import EngineService
from engine.stubs import engine_pb2 as pb
from games import registry
from games.contract import Game

PACKAGE = "cartridge.engine.v1"
REQUESTS = 1_000_000
_TICK_S = 0.002  # of the service's clock, a request
_WARM = 0.1  # share of the requests after which memory is looked at first
_MOST_GROWTH_BYTES = 32 * 2**20  # of the memory, from there to the end
_MOST_TEXT = 1000
_MOST_SHOWN = 20

# What a call ended with: a status, its line, the answers before.
Ended = tuple[str, str, list[bytes]]
Transport = Callable[[Case], Ended]


@dataclass
class Report:
    """What a run saw."""

    statuses: Counter[tuple[str, str]] = field(default_factory=Counter)  # by path and status
    wrong: list[str] = field(default_factory=list)
    warm_bytes: int = 0  # resident
    end_bytes: int = 0


class _Abort(Exception):
    """What gRPC raises within a handler that ends its call."""

    def __init__(self, code: grpc.StatusCode, details: str) -> None:
        self.code, self.details = code, details
        super().__init__(details)


class _Context:
    """As much of a call's context as the handlers ask for."""

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        raise _Abort(code, details)

    def set_trailing_metadata(self, metadata: tuple[tuple[str, str], ...]) -> None:
        if not all(isinstance(key, str) and isinstance(value, str) for key, value in metadata):
            raise TypeError(f"metadata = {metadata!r}: is not text")

    def cancel(self) -> None:
        """Nothing is under way."""


@dataclass(slots=True)
class _Arrival:
    method: str


class Fuzzer:
    """Makes requests and judges how they end.

    Args:
        games: by env_id.
        seed: of the requests.
        paths: the calls to make, None for all.
        transport: how a case reaches an engine; None for the handlers of a service of its own.
    """

    def __init__(
        self,
        games: dict[str, Game],
        *,
        seed: int,
        paths: tuple[str, ...] | None = None,
        transport: Transport | None = None,
    ) -> None:
        self._now_s = 0.0
        self.service = EngineService(EngineMetrics(CollectorRegistry()), clock=lambda: self._now_s)
        self._handlers = self.service.handler()
        self._transport = transport or self._direct
        self.oracle = Oracle(games, lambda: self._now_s)
        chosen = {} if paths is None else {"paths": paths}
        self._requests = Requests(games, self.oracle.sessions, seed=seed, **chosen)

    def run(self, count: int, progress: Callable[[int], None] | None = None) -> Report:
        """Make `count` requests; `progress` is called after every hundredth part of them."""
        report = Report()
        part = max(1, count // 100)
        for number in range(count):
            self._now_s += _TICK_S
            self._one(self._requests.draw(), report)
            if number == int(count * _WARM):
                report.warm_bytes = resident_bytes()
            if progress is not None and number % part == part - 1:
                progress(number + 1)
        report.end_bytes = resident_bytes()
        self._look_after(report)
        return report

    def _one(self, case: Case, report: Report) -> None:
        try:
            right, answers_due = self._right(case)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            report.wrong.append(f"{_shown(case)}: the game itself raised {error!r}")
            return
        try:
            status, line, answers = self._transport(case)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            report.wrong.append(f"{_shown(case)}: raised {error!r}")
            return
        report.statuses[case.path, status] += 1
        if status not in right:
            report.wrong.append(f"{_shown(case)}: {status} ({line}), right is {sorted(right)}")
        elif answers_due is not None and _batches(case, answers) != answers_due:
            report.wrong.append(f"{_shown(case)}: {_batches(case, answers)} answers, {answers_due} were due")
        if status != OK and not (line and line.isascii() and line.isprintable() and len(line) <= _MOST_TEXT):
            report.wrong.append(f"{_shown(case)}: refused in {line!r}")
        if status == OK and status in right and case.path != STREAM:
            self._remember(case, answers[0])
            if case.path == "Engine/StepBatch":
                report.wrong += [
                    f"{_shown(case)}: {column} differ" for column in self._differing(case, answers[0])
                ]

    def _right(self, case: Case) -> tuple[set[str], int | None]:
        """The right statuses, and how many batches must be answered, None if that cannot be said."""
        if case.path != STREAM:
            return self.oracle.statuses(case.path, case.messages[0]), None
        right, answered = {OK}, 0
        for message in case.messages:
            for batch in _parsed(message):
                statuses = self.oracle.of_message("Engine/StepBatch", batch)
                if statuses != {OK} and case.exact:
                    return statuses, answered
                right |= statuses
                answered += 1
        return (right, answered) if case.exact else (right | {INVALID}, None)

    def _remember(self, case: Case, answer: bytes) -> None:
        """Read the answer, and keep the model of the open sessions as the service's should be."""
        sessions = self.oracle.sessions
        answered: Any = _answer_kind(case.path).FromString(answer)
        if not case.path.startswith("Sessions/"):
            return
        request: Any = KINDS[case.path].FromString(case.messages[0])
        if case.path == "Sessions/OpenSession":
            game = self.oracle.games[request.id.env_id]
            states = np.frombuffer(answered.start.states, np.uint8).reshape(request.count, -1).copy()
            sessions[answered.session_id] = OpenSession(
                game=game,
                states=states,
                timeout_s=(request.idle_timeout_ms or limits.IDLE_TIMEOUT_MS) / 1000,
                nbytes=session_bytes(game, request.count),
                used_s=self._now_s,
            )
        elif case.path == "Sessions/StepSession":
            session = sessions[request.session_id]
            session.states = (
                np.frombuffer(answered.outcome.states, np.uint8).reshape(session.states.shape).copy()
            )
            session.sequence = request.sequence
            session.asked = (request.actions, request.reset_seeds, request.reset_hint)
        elif case.path == "Sessions/CloseSession":
            del sessions[request.session_id]

    def _differing(self, case: Case, answer: bytes) -> list[str]:
        """The columns of a StepBatch's answer that are not the game's own; positions only where no row is reset."""
        request = pb.StepBatchRequest.FromString(case.messages[0])
        answered = pb.StepBatchResponse.FromString(answer)
        states, actions = (
            np.frombuffer(column, np.uint8).reshape(request.count, -1)
            for column in (request.states, request.actions)
        )
        outcomes = self.oracle.games[request.id.env_id].step(states, actions)
        due = {name: getattr(outcomes, name) for name in ("rewards", "terminated", "truncated", "info")}
        if not request.reset_seeds:
            names = ("states", "obs", "legal_masks", "players")
            due |= {name: getattr(outcomes.positions, name) for name in names}
        return [name for name, column in due.items() if getattr(answered, name) != column.tobytes()]

    def _direct(self, case: Case) -> Ended:
        handler: Any = self._handlers.service(_Arrival(f"/{PACKAGE}.{case.path}"))
        answers: list[bytes] = []
        try:
            if case.path == STREAM:
                answers.extend(_each(handler.stream_stream(iter(case.messages), _Context()), answers))
            else:
                answers.append(handler.unary_unary(case.messages[0], _Context()))
        except _Abort as ended:
            return ended.code.name, ended.details, answers
        return OK, "", answers

    def _look_after(self, report: Report) -> None:
        poisoned, rows = self.service.catalog.poisoned(), self.service.rows.in_flight
        if poisoned:
            report.wrong.append(f"poisoned games: {poisoned}")
        if rows:
            report.wrong.append(f"{rows} rows were never given back")
        self.oracle.expire()
        self.service.sessions.expire()
        if self.service.sessions.count != len(self.oracle.sessions):
            report.wrong.append(
                f"{self.service.sessions.count} sessions, {len(self.oracle.sessions)} are due"
            )


def _each(messages: Any, answers: list[bytes]) -> list[bytes]:
    """Take the answers one by one, so that those before a refusal are kept."""
    for message in messages:
        answers.append(message)
    return []


def _answer_kind(path: str) -> Any:
    name = path.partition("/")[2]
    return pb.Capabilities if name == "GetCapabilities" else getattr(pb, f"{name}Response")


def _parsed(message: bytes) -> list[pb.StepBatchRequest]:
    """The batches of a stream's message: all, or of the longest part of it that can be read."""
    for size in range(len(message), -1, -1):
        try:
            return list(pb.StepStreamRequest.FromString(message[:size]).batches)
        except DecodeError:
            continue
    return []


def _batches(case: Case, answers: list[bytes]) -> int:
    return sum(
        len(pb.StepStreamResponse.FromString(answer).batches) for answer in answers if case.path == STREAM
    )


def _shown(case: Case) -> str:
    return f"{case.path} {' '.join(message.hex()[:400] for message in case.messages)}"


def resident_bytes() -> int:
    """Memory of this process that is in use now; 0 where the system does not tell."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


def faults(report: Report) -> list[str]:
    """What is wrong in a run, a line each: growth of the memory, and every answer that was not right."""
    grown = report.end_bytes - report.warm_bytes
    if grown <= _MOST_GROWTH_BYTES:
        return report.wrong
    line = f"memory grew by {grown:,} bytes, {_MOST_GROWTH_BYTES:,} may be"
    return [line, *report.wrong]


def main(arguments: list[str] | None = None) -> int:
    """Fuzz and print the report. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Random and mutated requests against the engine's service.")
    parser.add_argument("--requests", type=int, default=REQUESTS, help=f"how many (default {REQUESTS:,})")
    parser.add_argument("--seed", type=int, default=1, help="of the requests (default 1)")
    options = parser.parse_args(arguments)
    games = {name: registry.get(name) for name in registry.names()}
    began_s = time.perf_counter()

    def progress(done: int) -> None:
        rate = done / (time.perf_counter() - began_s)
        print(f"\r{done:,} of {options.requests:,}, {rate:,.0f}/s", end="", file=sys.stderr, flush=True)

    report = Fuzzer(games, seed=options.seed).run(options.requests, progress)
    print(file=sys.stderr)
    paths = sorted({path for path, _ in report.statuses})
    names = sorted({status for _, status in report.statuses})
    print(f"{'call':24}" + "".join(f"{name:>21}" for name in names))
    for path in paths:
        print(f"{path:24}" + "".join(f"{report.statuses[path, name]:21,}" for name in names))
    total = sum(report.statuses.values())
    print(
        f"{total:,} requests in {time.perf_counter() - began_s:,.0f} s, {len(report.wrong)} answered wrongly"
    )
    print(
        f"resident memory: {report.warm_bytes / 2**20:,.1f} MiB after the first {_WARM:.0%}, "
        f"{report.end_bytes / 2**20:,.1f} MiB at the end"
    )
    found = faults(report)
    for wrong in found[:_MOST_SHOWN]:
        print(f"wrong: {wrong}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
