"""The supervisor over small shell processes: order, failure, stopping, an `up` that has gone."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cartridge.stack.plan import Plan, stack_settings
from cartridge.stack.ports import Ports
from cartridge.stack.processes import Identity
from cartridge.stack.server import Server
from cartridge.stack.stack_file import Status, read_status, stack_path
from cartridge.stack.supervisor import Supervisor

FOREVER = 'trap "exit 0" TERM; echo started; while :; do sleep 0.01; done'


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def server(home: Path, name: str, script: str = FOREVER) -> Server:
    """A process that notes when it starts and ends, and is ready once it has said `started`."""
    log = home / "logs" / f"{name}.log"
    noted = f"echo +{name} >> {home}/order; trap 'echo -{name} >> {home}/order' EXIT; {script}"
    return Server(
        name=name,
        command=("sh", "-c", noted),
        environment={"PATH": os.environ["PATH"]},
        address="127.0.0.1:1",
        port_names=(),
        ready=lambda: "started" in log.read_text(),
        ready_timeout_s=10.0,
        grace_s=5.0,
    )


def supervisor(home: Path, *servers: Server, starter: Identity | None = None) -> Supervisor:
    settings = stack_settings(home=home, ports=Ports(), environment={})
    plan = Plan(settings=settings, ports=Ports(), kind="native", servers=servers)
    return Supervisor(plan, starter=starter)


def when(
    home: Path, condition: Callable[[Status], bool], action: Callable[[Status], None]
) -> threading.Thread:
    """Does something as soon as the written status fits; the supervisor itself needs the main thread."""

    def watch() -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            status = read_status(home)
            if status is not None and condition(status):
                action(status)
                return
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)  # the assertions of the test tell what is missing

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def ask_to_stop(_status: Status) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_needs_are_started_first_and_stages_stopped_in_reverse(tmp_path: Path) -> None:
    kafka = server(tmp_path, "kafka")
    engine = replace(server(tmp_path, "engine"), stage=1)
    actor = replace(server(tmp_path, "actor"), stage=2, needs=("kafka", "engine"))
    seen: list[dict[str, object]] = []

    def read_then_stop(status: Status) -> None:
        seen.append(json.loads(stack_path(tmp_path).read_text()))
        ask_to_stop(status)

    watcher = when(tmp_path, lambda status: status.phase == "ready", read_then_stop)
    assert supervisor(tmp_path, actor, engine, kafka).run() == 0
    watcher.join()
    order = (tmp_path / "order").read_text().split()
    assert sorted(order[:2]) == ["+engine", "+kafka"]
    assert order[2:] == ["+actor", "-actor", "-engine", "-kafka"]
    status = read_status(tmp_path)
    assert status is not None
    assert (status.phase, {process.state for process in status.processes}) == ("stopped", {"stopped"})
    assert seen[0]["settings"] == {
        "kafka": "127.0.0.1:9092",
        "s3_endpoint": "127.0.0.1:9000",
        "bucket": "cartridge",
        "engine": "127.0.0.1:50051",
    }
    assert not stack_path(tmp_path).exists()


def test_one_that_cannot_start_stops_everything_and_is_named(tmp_path: Path) -> None:
    bad = server(tmp_path, "engine", "echo 'error: port 50051 is in use'; exit 2")
    assert supervisor(tmp_path, server(tmp_path, "kafka"), bad).run() == 1
    status = read_status(tmp_path)
    assert status is not None
    assert status.phase == "failed"
    assert status.error == (
        "engine failed: ended with exit code 2: error: port 50051 is in use "
        f"(log: {tmp_path}/logs/engine.log)"
    )
    assert [process.state for process in status.processes] == ["stopped", "failed"]
    assert "-kafka" in (tmp_path / "order").read_text()


def test_one_that_is_never_ready_fails_the_start(tmp_path: Path) -> None:
    slow = replace(server(tmp_path, "learner"), ready=lambda: False, ready_timeout_s=0.3)
    assert supervisor(tmp_path, slow).run() == 1
    status = read_status(tmp_path)
    assert status is not None
    assert "learner is not ready after 0 s: started" in status.error


def test_an_optional_one_may_fail(tmp_path: Path) -> None:
    optional = replace(server(tmp_path, "prometheus", "exit 2"), optional=True)
    watcher = when(tmp_path, lambda status: status.phase == "ready", ask_to_stop)
    assert supervisor(tmp_path, server(tmp_path, "kafka"), optional).run() == 0
    watcher.join()


def test_one_that_is_killed_comes_back(tmp_path: Path) -> None:
    killed: list[int] = []

    def back_again(status: Status) -> bool:
        process = status.processes[0]
        if process.state == "ready" and process.restarts == 0 and process.identity is not None and not killed:
            killed.append(process.identity.pid)
            process.identity.signal(signal.SIGKILL)
        return process.state == "ready" and process.restarts == 1

    watcher = when(tmp_path, back_again, ask_to_stop)
    assert supervisor(tmp_path, server(tmp_path, "engine")).run() == 0
    watcher.join()
    assert killed
    assert (tmp_path / "order").read_text().split() == ["+engine", "+engine", "-engine"]


def test_without_the_up_that_waits_an_unfinished_start_is_given_up(tmp_path: Path) -> None:
    gone = Identity(pid=os.getpid(), started="another boot/1")
    never = replace(server(tmp_path, "learner"), ready=lambda: False)
    assert supervisor(tmp_path, never, starter=gone).run() == 1
    status = read_status(tmp_path)
    assert status is not None
    assert status.error == "the `up` that started the stack was ended before it was ready"


def test_a_finished_start_stays_without_the_up_that_began_it(tmp_path: Path) -> None:
    mine = Identity.of(os.getpid())
    watcher = when(tmp_path, lambda status: status.phase == "ready", ask_to_stop)
    assert supervisor(tmp_path, server(tmp_path, "kafka"), starter=mine).run() == 0
    watcher.join()
