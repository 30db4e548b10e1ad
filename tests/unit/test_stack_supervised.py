"""One process under supervision: real children, a clock of the test's own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cartridge.errors import CartridgeError
from cartridge.stack.server import Server
from cartridge.stack.supervised import FIRST_WAIT_S, LOG_BYTES, LONGEST_WAIT_S, STEADY_AFTER_S, Supervised

Supervise = Callable[[Server], Supervised]


class Clock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def server(
    script: str, *, ready: Callable[[], bool] = lambda: True, prepare: Callable[[], None] = lambda: None
) -> Server:
    return Server(
        name="thing",
        command=("sh", "-c", script),
        environment={"PATH": os.environ["PATH"]},
        address="127.0.0.1:1",
        port_names=(),
        ready=ready,
        prepare=prepare,
        ready_timeout_s=60.0,
        grace_s=5.0,
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def supervise(tmp_path: Path, clock: Clock) -> Iterator[Supervise]:
    members: list[Supervised] = []

    def make(server: Server) -> Supervised:
        members.append(Supervised(server, logs=tmp_path, clock=clock))
        return members[-1]

    yield make
    for member in members:
        member.ask_to_stop()
        clock.now_s += 1000  # its time is over at once
        member.stopped()


def state(member: Supervised) -> str:
    return member.status.state


def look_until(member: Supervised, *states: str) -> None:
    deadline = time.monotonic() + 20
    while member.status.state not in states:
        assert time.monotonic() < deadline, member.status
        member.look()
        time.sleep(0.005)


def test_it_is_ready_when_its_probe_says_so(supervise: Supervise) -> None:
    answer = [False]
    member = supervise(server("exec sleep 60", ready=lambda: answer[0]))
    assert state(member) == "waiting"
    member.start()
    member.look()
    assert (member.status.state, member.was_ready) == ("starting", False)
    assert member.status.identity is not None
    answer[0] = True
    member.look()
    assert (member.status.state, member.was_ready) == ("ready", True)


def test_one_that_stops_answering_is_shown_as_unready(supervise: Supervise, clock: Clock) -> None:
    answer = [True]
    member = supervise(server("exec sleep 60", ready=lambda: answer[0]))
    member.start()
    member.look()
    answer[0] = False
    member.look()
    assert state(member) == "ready"  # not asked again so soon
    clock.now_s += 5
    member.look()
    assert state(member) == "unready"
    answer[0] = True
    member.look()
    assert state(member) == "ready"


def test_restarts_wait_twice_as_long_each_time_up_to_a_bound(supervise: Supervise, clock: Clock) -> None:
    member = supervise(server("echo 'error: no broker'; exit 1", ready=lambda: False))
    member.start()
    waits = []
    for restarts in range(1, 9):
        look_until(member, "backoff")
        assert member.status.restarts == restarts
        assert member.status.message == "ended with exit code 1: error: no broker"
        assert member.status.identity is None
        before = clock.now_s
        while member.status.state == "backoff":
            clock.now_s += 0.1
            member.look()
        waits.append(clock.now_s - before)
    doubled = [min(FIRST_WAIT_S * 2**n, LONGEST_WAIT_S) for n in range(8)]
    assert waits == pytest.approx(doubled, abs=0.11)


def test_a_long_life_makes_the_next_wait_short_again(supervise: Supervise, clock: Clock) -> None:
    member = supervise(server("exec sleep 60"))
    member.start()
    for lived_s, wait_s in ((1.0, FIRST_WAIT_S), (1.0, 2 * FIRST_WAIT_S), (STEADY_AFTER_S, FIRST_WAIT_S)):
        look_until(member, "ready")
        clock.now_s += lived_s
        assert member.status.identity is not None
        member.status.identity.signal(signal.SIGKILL)
        look_until(member, "backoff")
        assert "signal 9" in member.status.message
        clock.now_s += wait_s - 0.01
        member.look()
        assert state(member) == "backoff"
        clock.now_s += 0.02


def test_bad_settings_at_the_start_are_not_tried_again(supervise: Supervise, tmp_path: Path) -> None:
    member = supervise(server("echo 'error: CARTRIDGE_ENGINE is x'; exit 2", ready=lambda: False))
    member.start()
    look_until(member, "failed")
    expected = (
        f"thing failed: ended with exit code 2: error: CARTRIDGE_ENGINE is x (log: {tmp_path}/thing.log)"
    )
    assert member.failure() == expected
    member.ask_to_stop()
    assert member.stopped()
    assert state(member) == "failed"  # what people see afterwards


def test_exit_code_2_after_it_has_worked_is_tried_again(supervise: Supervise, tmp_path: Path) -> None:
    flag = tmp_path / "go"
    member = supervise(server(f"while ! [ -e {flag} ]; do sleep 0.01; done; exit 2"))
    member.start()
    look_until(member, "ready")
    flag.touch()
    look_until(member, "backoff")
    assert member.failure() is None


def test_one_that_is_late_is_a_failure_with_its_last_line(supervise: Supervise, clock: Clock) -> None:
    member = supervise(server("echo loading; exec sleep 60", ready=lambda: False))
    member.start()
    while not (member._path.exists() and "loading" in member._path.read_text()):
        time.sleep(0.01)
    assert member.failure() is None
    clock.now_s += 61
    assert str(member.failure()).startswith("thing is not ready after 60 s: loading (log: ")


def test_what_cannot_be_prepared_is_a_failure(supervise: Supervise) -> None:
    def prepare() -> None:
        raise CartridgeError("kafka's storage cannot be formatted: disk full")

    member = supervise(server("exit 0", prepare=prepare))
    member.start()
    assert "storage cannot be formatted: disk full" in str(member.failure())


def test_a_large_log_is_put_aside(supervise: Supervise, tmp_path: Path) -> None:
    log = tmp_path / "thing.log"
    with log.open("wb") as file:
        file.truncate(LOG_BYTES + 1)
    member = supervise(server("exec sleep 60"))
    member.start()
    assert log.stat().st_size < LOG_BYTES
    assert (tmp_path / "thing.log.1").stat().st_size > LOG_BYTES


def test_it_stops_when_asked(supervise: Supervise) -> None:
    member = supervise(server("exec sleep 60"))
    member.start()
    look_until(member, "ready")
    identity = member.status.identity
    assert identity is not None
    member.ask_to_stop()
    deadline = time.monotonic() + 10
    while not member.stopped():
        assert state(member) == "stopping"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert (member.status.state, identity.alive()) == ("stopped", False)


def test_what_docker_runs_is_only_watched(tmp_path: Path, clock: Clock) -> None:
    watched = Server(
        name="kafka", command=(), environment={}, address="127.0.0.1:1", port_names=(), ready=lambda: True
    )
    member = Supervised(watched, logs=tmp_path, clock=clock)
    member.start()
    member.look()
    assert (member.status.state, member.status.identity, member.status.log) == ("ready", None, "")
    member.ask_to_stop()
    assert member.stopped()
    assert list(tmp_path.iterdir()) == []
