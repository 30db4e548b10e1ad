"""The whole local stack through its commands: up, status, kills of every kind, down."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from cartridge.stack.ports import Ports, is_free
from cartridge.stack.processes import wait_gone
from cartridge.stack.servers import Servers
from cartridge.stack.stack_file import read_status, running_status
from running_stack import ROOT, Stack, make, started, wait_until

StartServers = Callable[[Path, Ports], AbstractContextManager[Servers]]
# 127.0.0.1, the same as an IPv6 address, and ::1, as the kernel writes them.
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
SERVICES = ["engine", "compactor", "learner", "actor-0", "actor-1"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack; the tests of this module use it one after another and leave it running."""
    with started(tmp_path_factory.mktemp("stack") / ".cartridge") as stack:
        yield stack


def test_status_shows_every_process_ready(stack: Stack) -> None:
    code, output, _ = stack.run("status")
    assert code == 0, output
    shown = [line.split()[:2] for line in output.splitlines()]
    expected = ["kafka", "minio", *(["prometheus"] if shutil.which("prometheus") else []), *SERVICES]
    assert shown == [[name, "ready"] for name in expected]
    for process in stack.status().processes:
        assert Path(process.log).exists()


def test_nothing_listens_beyond_loopback(stack: Stack) -> None:
    ours = dict(stack.ports.items()).values()
    listening = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            columns = line.split()
            address, _, port = columns[1].rpartition(":")
            if columns[3] == "0A" and int(port, 16) in ours:
                listening.append(address)
    assert len(listening) >= len(SERVICES) + 3
    assert set(listening) <= LOOPBACK


def test_secrets_are_for_their_owner_alone_and_on_no_command_line(stack: Stack) -> None:
    path = stack.home / "credentials.json"
    assert path.stat().st_mode & 0o777 == 0o600
    secret = re.findall(r'"s3_secret_key": "(\w+)"', path.read_text())[0]
    for process in stack.status().processes:
        assert process.identity is not None
        assert secret not in Path(f"/proc/{process.identity.pid}/cmdline").read_text()
    for log in (stack.home / "logs").iterdir():
        assert secret not in log.read_text()
    assert secret not in (stack.home / "stack.json").read_text()


def test_a_second_up_finds_it_up_in_seconds(stack: Stack) -> None:
    before = stack.status().supervisor
    began = time.monotonic()
    code, output, error = stack.run("up", "--no-run")
    assert (code, error) == (0, "")
    assert "the stack is up already" in output
    assert time.monotonic() - began < 10
    assert stack.status().supervisor == before


@pytest.mark.parametrize("name", ["engine", "minio", "kafka"])
def test_one_that_is_killed_comes_back(stack: Stack, name: str) -> None:
    stack.kill(name)


def test_after_a_kill_of_the_supervisor_nothing_is_left_and_up_starts_again_with_the_data(
    stack: Stack,
) -> None:
    admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{stack.ports.kafka}"})
    admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(20)
    status = stack.status()
    status.supervisor.signal(signal.SIGKILL)
    for process in status.processes:
        assert process.identity is not None
        assert wait_gone(process.identity, timeout_s=10), f"{process.name} outlived its supervisor"
    code, output, _ = stack.run("status")
    assert code == 1
    assert "its supervisor was killed, or the machine restarted" in output
    code, output, error = stack.run("up", "--no-run")
    assert (code, error) == (0, ""), output
    again = AdminClient({"bootstrap.servers": f"127.0.0.1:{stack.ports.kafka}"})
    assert "kept" in again.list_topics(timeout=20).topics


def test_down_stops_all_and_keeps_the_data(stack: Stack) -> None:
    processes = stack.status().processes
    code, output, error = stack.run("down")
    assert (code, error) == (0, "")
    assert re.match(r"stopped \(\d+\.\d s\); the data is in ", output)
    assert all(process.identity is not None and not process.identity.alive() for process in processes)
    assert all(is_free(port) for _, port in stack.ports.items())
    assert (stack.home / "data" / "kafka" / "meta.properties").exists()
    assert stack.run("down")[0] == 0


def test_a_port_in_use_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    stack = make(tmp_path / "home")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", stack.ports.learner_metrics))
        listener.listen()
        code, output, error = stack.run("up", "--no-run")
    assert code == 2, output
    port = stack.ports.learner_metrics
    who = rf"by pid {os.getpid()} \(.+\)"
    assert re.fullmatch(
        rf"error: port {port} \(learner_metrics\) is in use {who}: .*CARTRIDGE_LEARNER_METRICS_PORT\n", error
    )
    assert running_status(stack.home) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_up_that_is_ended_leaves_nothing_half_started(tmp_path: Path, number: signal.Signals) -> None:
    stack = make(tmp_path / "home")
    up = stack.start("up", "--no-run")

    def begun() -> bool:
        status = read_status(stack.home)
        return status is not None and any(process.identity is not None for process in status.processes)

    wait_until(begun, "nothing was started", timeout_s=60)
    status = stack.status()
    up.send_signal(number)
    output, error = up.communicate(timeout=60)
    assert wait_gone(status.supervisor, timeout_s=60)
    left = stack.status()
    assert left.phase in ("stopped", "failed")
    assert all(process.identity is None for process in left.processes)
    assert all(is_free(port) for _, port in stack.ports.items())
    if number != signal.SIGKILL:
        assert (up.returncode, error) == (130, "")
        assert "stopped; the data is kept" in output


def test_servers_start_with_nothing_but_python_on_the_path(tmp_path: Path) -> None:
    """The PATH hides java, mvn, go and docker; the servers are this machine's installation."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "env", "uname"):
        (tools / name).symlink_to(str(shutil.which(name)))
    program = (
        "import shutil, sys, pathlib\n"
        "from cartridge.stack.ports import Ports\n"
        "from cartridge.stack.servers import native_servers\n"
        "assert not any(map(shutil.which, ('java', 'mvn', 'go', 'docker', 'prometheus')))\n"
        "with native_servers(pathlib.Path(sys.argv[1]), Ports.free()) as servers:\n"
        "    print(servers.kafka)\n"
    )
    environment = {**os.environ, "PATH": str(tools)}
    for name in ("JAVA_HOME", "GOROOT", "GOPATH"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "home")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("127.0.0.1:")


def test_where_docker_answers_the_servers_are_its(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, servers: Servers, start_docker_servers: StartServers
) -> None:
    """A stand-in for `docker`, with servers that are there already: what is asked of it, and that they are used."""
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\necho 28.1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    kafka, minio = (int(address.rpartition(":")[2]) for address in (servers.kafka, servers.s3_endpoint))
    free = dict(Ports.free().items())
    (tmp_path / "home").mkdir()
    with start_docker_servers(tmp_path / "home", Ports(**{**free, "kafka": kafka, "minio": minio})) as found:
        assert (found.kafka, found.s3_endpoint) == (servers.kafka, servers.s3_endpoint)
    calls = (tmp_path / "calls").read_text().splitlines()
    assert any(call.endswith("up --wait kafka minio") for call in calls)
    assert any("down --volumes" in call for call in calls)
