"""Whether Docker is there to use: asked of fake `docker` programs on the PATH."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rich.console import Console

from cartridge.errors import UsageError
from cartridge.stack import docker
from cartridge.stack.ports import Ports
from cartridge.stack.progress import Part, Progress
from cartridge.stack.shell import CommandFailed, Commands

WORKS = 'case "$1 $2" in "info --format") echo 28.1;; "compose version") echo v2.39;; *) exit 9;; esac'
NO_ENGINE = (
    'case "$1" in info) echo "Cannot connect to the Docker daemon" >&2; exit 1;; compose) echo v2.39;; esac'
)
EMPTY_ANSWER = 'case "$1" in info) echo;; compose) echo v2.39;; esac'
NO_COMPOSE = 'case "$1" in info) echo 28.1;; *) echo "unknown command" >&2; exit 1;; esac'


def path_with(folder: Path, script: str | None) -> dict[str, str]:
    if script is not None:
        program = folder / "docker"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    return {"PATH": str(folder)}


@pytest.mark.parametrize(
    ("script", "expected", "reason"),
    [
        (WORKS, True, ""),
        (None, False, "there is no docker on the PATH"),
        (NO_ENGINE, False, "no Docker engine answers"),
        (EMPTY_ANSWER, False, "no Docker engine answers"),
        (NO_COMPOSE, False, "docker has no compose plugin"),
        ("exec 2>/dev/null; kill -9 $$", False, "no Docker engine answers"),
    ],
)
def test_docker_is_used_only_when_all_of_it_answers(
    tmp_path: Path, script: str | None, expected: bool, reason: str
) -> None:
    environment = path_with(tmp_path, script)
    assert docker.answers({**environment, "CARTRIDGE_SERVERS": "native"}) is False
    if expected:
        assert docker.answers({**environment, "CARTRIDGE_SERVERS": "docker"})
    else:
        assert not docker.answers(environment)
        with pytest.raises(UsageError, match=f"CARTRIDGE_SERVERS is docker, but {reason}"):
            docker.answers({**environment, "CARTRIDGE_SERVERS": "docker"})


def test_an_engine_that_hangs_is_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "_ANSWER_TIMEOUT_S", 0.2)
    assert not docker.answers({**path_with(tmp_path, "exec /bin/sleep 60"), "CARTRIDGE_SERVERS": ""})


def test_an_unknown_wish_is_refused() -> None:
    with pytest.raises(UsageError, match="CARTRIDGE_SERVERS is 'podman'"):
        docker.answers({"CARTRIDGE_SERVERS": "podman"})


RECORDS = (
    'echo "$@" >> "$0.calls"; case "$*" in *" ps "*) exit 0;; *" up "*) echo "Container kafka Started";; esac'
)


def test_the_servers_are_started_and_removed_by_compose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: Part
) -> None:
    monkeypatch.setenv("PATH", path_with(tmp_path, RECORDS)["PATH"] + os.pathsep + os.environ["PATH"])
    home = tmp_path / "home"
    docker.stop(home, commands=Commands())  # nothing there: nothing is asked of Docker
    docker.start(home, Ports.free(), commands=Commands(), part=part)
    assert part.detail == "Container kafka Started"
    docker.stop(home, commands=Commands(), delete_data=True)
    calls = (tmp_path / "docker.calls").read_text().splitlines()
    assert [call.partition("compose.yaml ")[2] for call in calls] == [
        "ps --quiet --status running",
        "--progress plain up --detach kafka minio prometheus grafana",
        "--profile services down --volumes",
    ]
    secrets = (home / "compose.env").read_text()
    assert (home / "compose.env").stat().st_mode & 0o777 == 0o600
    assert "CARTRIDGE_S3_SECRET_KEY=" in secrets
    secret = secrets.partition("CARTRIDGE_S3_SECRET_KEY=")[2].split()[0]
    assert not any(secret in call for call in calls)
    assert "/etc/prometheus/rules.yml" in (home / "config" / "prometheus.yml").read_text()


def test_what_docker_says_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: Part) -> None:
    fails = 'case "$*" in *" up "*) echo "no space left on device"; exit 1;; esac'
    monkeypatch.setenv("PATH", path_with(tmp_path, fails)["PATH"] + os.pathsep + os.environ["PATH"])
    with pytest.raises(CommandFailed, match=r"docker compose .* exited with 1: no space left on device"):
        docker.start(tmp_path / "home", Ports.free(), commands=Commands(), part=part)


def test_two_homes_are_two_projects(tmp_path: Path) -> None:
    assert docker.compose(tmp_path / "a")[3] != docker.compose(tmp_path / "b")[3]


def test_containers_are_watched_at_the_addresses_of_the_native_stack() -> None:
    ports = Ports.free()
    watched = {server.name: server for server in docker.containers(ports)}
    assert tuple(watched) == docker.SERVERS
    assert watched["kafka"].address == f"127.0.0.1:{ports.kafka}"
    assert all(server.command == () for server in watched.values())
    assert not any(server.ready() for server in watched.values())


@pytest.fixture
def part() -> Part:
    return Part(Progress(Console(quiet=True)), "servers by Docker")
