"""What all tests share: real servers, started once a session.

In: nothing. Out: the `servers` fixture. Invariant: never skipped: by testcontainers where a Docker engine answers,
as native processes elsewhere; either way on free ports and with data of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from cartridge.stack import docker
from cartridge.stack.minio import Credentials
from cartridge.stack.ports import Ports
from cartridge.stack.server import Server
from cartridge.stack.servers import Servers, native_servers

_DOCKER_TIMEOUT_S = 180.0

# How long an example takes says nothing on a machine that others load, or that loads a kernel with the first one.
settings.register_profile("cartridge", deadline=None)
settings.load_profile("cartridge")


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Kafka and MinIO on free ports: .kafka, .s3_endpoint (host:port), .access_key, .secret_key, .environment()."""
    home: Path = tmp_path_factory.mktemp("servers")
    start = docker_servers if docker.answers() else native_servers
    with start(home, Ports.free()) as running:
        yield running


@pytest.fixture(scope="session")
def start_docker_servers() -> Callable[[Path, Ports], AbstractContextManager[Servers]]:
    """How `servers` starts them where a Docker engine answers."""
    return docker_servers


@contextmanager
def docker_servers(home: Path, ports: Ports) -> Iterator[Servers]:
    """Kafka and MinIO of compose/compose.yaml, removed with their volumes after the block."""
    from testcontainers.compose import DockerCompose

    environment = docker.write_environment(home, ports)
    with environment.open("a") as file:  # tests beside a running stack, or beside other tests
        file.write(f"COMPOSE_PROJECT_NAME={docker.compose(home)[3]}\n")
    credentials = Credentials.of(home)
    folder = docker.COMPOSE_FILE.parent
    with DockerCompose(
        folder, docker.COMPOSE_FILE.name, env_file=str(environment), services=["kafka", "minio"]
    ):
        for server in docker.containers(ports)[:2]:
            _wait_ready(server)
        yield Servers(
            kafka=f"127.0.0.1:{ports.kafka}",
            s3_endpoint=f"127.0.0.1:{ports.minio}",
            access_key=credentials.s3_access_key,
            secret_key=credentials.s3_secret_key,
        )


def _wait_ready(server: Server) -> None:
    deadline = time.monotonic() + _DOCKER_TIMEOUT_S
    while not server.ready():
        if time.monotonic() > deadline:
            pytest.fail(f"{server.name} in Docker is not ready after {_DOCKER_TIMEOUT_S:.0f} s")
        time.sleep(0.02)
