"""Kafka and MinIO as child processes of this one: for tests, and to develop a service against.

In: a home folder and ports. Out: their addresses and credentials, once they really answer.
Invariant: they end with the block, and with this process however it dies.

    with native_servers(Path("home"), Ports.free()) as servers:
        print(servers.kafka, servers.s3_endpoint)

    python -m cartridge.stack.servers --home /tmp/home [--ports free]
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from cartridge.errors import CartridgeError
from cartridge.stack.install import install
from cartridge.stack.installed import Installed
from cartridge.stack.kafka import kafka
from cartridge.stack.minio import Credentials, minio
from cartridge.stack.ports import Ports
from cartridge.stack.processes import Child
from cartridge.stack.progress import Progress
from cartridge.stack.server import Server

_POLL_S = 0.02


@dataclass(frozen=True, kw_only=True)
class Servers:
    """Where the servers are."""

    kafka: str  # host:port
    s3_endpoint: str  # host:port
    access_key: str
    secret_key: str = field(repr=False)

    def environment(self) -> dict[str, str]:
        """The variables that tell a service of these servers."""
        return {
            "CARTRIDGE_KAFKA": self.kafka,
            "CARTRIDGE_S3_ENDPOINT": self.s3_endpoint,
            "CARTRIDGE_S3_ACCESS_KEY": self.access_key,
            "CARTRIDGE_S3_SECRET_KEY": self.secret_key,
        }


@contextmanager
def native_servers(home: Path, ports: Ports, *, console: Console | None = None) -> Iterator[Servers]:
    """Kafka and MinIO with their data in `home`, for the time of the block.

    Raises UsageError when a port is in use, CartridgeError when one does not start (naming its log).
    """
    home = home.absolute()
    with Progress(console or Console(stderr=True)) as progress:
        found = install(progress)
    credentials = Credentials.of(home)
    servers = base_servers(installed=found, home=home, ports=ports, credentials=credentials)
    for server in servers:
        ports.require_free(server.port_names)
    with ExitStack() as running:
        children = []
        for server in servers:
            server.prepare()
            child = Child(
                server.name,
                server.command,
                environment=server.environment,
                log=home / "logs" / f"{server.name}.log",
            )
            running.callback(child.stop, grace_s=server.grace_s)
            children.append(child)
        for server, child in zip(servers, children, strict=True):
            wait_ready(server, child)
        yield Servers(
            kafka=f"127.0.0.1:{ports.kafka}",
            s3_endpoint=f"127.0.0.1:{ports.minio}",
            access_key=credentials.s3_access_key,
            secret_key=credentials.s3_secret_key,
        )


def base_servers(*, installed: Installed, home: Path, ports: Ports, credentials: Credentials) -> list[Server]:
    """Kafka and MinIO, which everything needs."""
    return [
        kafka(installed=installed, home=home, ports=ports),
        minio(installed=installed, home=home, ports=ports, credentials=credentials),
    ]


def wait_ready(server: Server, child: Child) -> None:
    """Returns when the server works. Raises CartridgeError with its last line and its log when it ends or is late."""
    deadline = time.monotonic() + server.ready_timeout_s
    while not server.ready():
        late = time.monotonic() > deadline
        if late or child.exit_code() is not None:
            how = (
                f"is not ready after {server.ready_timeout_s:.0f} s"
                if late
                else f"ended with {child.exit_code()}"
            )
            raise CartridgeError(f"{server.name} {how}: {child.last_line()} (log: {child.log})")
        time.sleep(_POLL_S)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the servers in the foreground until Ctrl-C or SIGTERM, and prints where they are."""
    parser = argparse.ArgumentParser(prog="python -m cartridge.stack.servers", description=main.__doc__)
    parser.add_argument("--home", type=Path, default=Path(".cartridge"), help="data, logs and credentials")
    parser.add_argument("--ports", choices=("default", "free"), default="default")
    options = parser.parse_args(arguments)
    console = Console(soft_wrap=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        ports = Ports.free() if options.ports == "free" else Ports.load()
        with native_servers(options.home, ports, console=console) as servers:
            for name, value in servers.environment().items():
                console.print(f"export {name}={value}", highlight=False, markup=False)
            signal.pause()
    except KeyboardInterrupt:
        return 0
    except CartridgeError as error:
        Console(stderr=True, soft_wrap=True).print(f"error: {error}", highlight=False, markup=False)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
