"""Which ports the stack listens on, and whether they are free.

In: `CARTRIDGE_<NAME>_PORT` variables over the defaults, or `CARTRIDGE_PORTS=free`. Out: one frozen `Ports`.
Invariant: all ports differ, and a port that somebody else holds is named before anything is started.
"""

from __future__ import annotations

import os
import random
import socket
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from cartridge.errors import UsageError

LOOPBACK = "127.0.0.1"
# Below the range that systems hand to outgoing connections: nobody takes one between its choice and its use.
_UNASSIGNED = range(20_000, 32_000)


@dataclass(frozen=True, kw_only=True)
class Ports:
    """TCP ports on the loopback address, one a listener."""

    kafka: int = 9092
    kafka_controller: int = 9093
    minio: int = 9000
    prometheus: int = 9090
    grafana: int = 3000  # Docker only
    engine: int = 50051
    engine_metrics: int = 9101
    compactor_metrics: int = 9102
    learner_metrics: int = 9103
    actor_0_metrics: int = 9110
    actor_1_metrics: int = 9111

    def __post_init__(self) -> None:
        taken: dict[int, str] = {}
        for name, port in self.items():
            if not 0 < port < 65536:
                raise UsageError(f"{variable(name)} is {port}: it must be 1 to 65535")
            if port in taken:
                raise UsageError(
                    f"{variable(name)} is {port}, which is {variable(taken[port])} as well: set one of them to another"
                )
            taken[port] = name

    def items(self) -> list[tuple[str, int]]:
        """Names with their ports."""
        return [(field.name, getattr(self, field.name)) for field in fields(self)]

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> Ports:
        """Ports from the environment over the defaults; with CARTRIDGE_PORTS=free over ones that are free now."""
        environment = os.environ if environment is None else environment
        policy = environment.get("CARTRIDGE_PORTS", "default")
        if policy not in ("default", "free"):
            raise UsageError(
                f"CARTRIDGE_PORTS is {policy!r}: it must be 'free', or unset for the usual ports"
            )
        chosen = dict((cls.free() if policy == "free" else cls()).items())
        for name in chosen:
            text = environment.get(variable(name))
            if text is not None:
                if not text.isdigit():
                    raise UsageError(f"{variable(name)} is {text!r}: it must be a port, 1 to 65535")
                chosen[name] = int(text)
        return cls(**chosen)

    @classmethod
    def free(cls) -> Ports:
        """Ports that nobody listens on at this moment, all different."""
        names = [field.name for field in fields(cls)]
        candidates = random.SystemRandom().sample(_UNASSIGNED, k=len(_UNASSIGNED))
        free = (port for port in candidates if is_free(port))
        found = dict(zip(names, free, strict=False))
        return cls(**found)

    def require_free(self, names: Iterable[str]) -> None:
        """Raises UsageError naming the first of these ports that is in use, by whom, and what to set."""
        for name in names:
            port = getattr(self, name)
            if not is_free(port):
                raise UsageError(
                    f"port {port} ({name}) is in use{_by(port)}: stop that, or set {variable(name)}"
                )


def variable(name: str) -> str:
    """The environment variable that sets a port."""
    return f"CARTRIDGE_{name.upper()}_PORT"


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def answers(port: int, *, timeout_s: float = 0.2) -> bool:
    """Whether somebody accepts connections on this loopback port."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=timeout_s).close()
    except OSError:
        return False
    return True


def _by(port: int) -> str:
    """` by pid 42 (postgres)` where the system tells, else nothing."""
    inodes = _listening_inodes(port)
    if not inodes:
        return ""
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if any(_opens(link, inodes) for link in (process / "fd").iterdir()):
                return f" by pid {process.name} ({(process / 'comm').read_text().strip()})"
        except OSError:  # gone meanwhile, or another user's
            continue
    return ""


def _opens(link: Path, inodes: set[str]) -> bool:
    try:
        return str(link.readlink()) in inodes
    except OSError:  # closed meanwhile
        return False


def _listening_inodes(port: int) -> set[str]:
    if sys.platform != "linux":
        return set()
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        path = Path(table)
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            columns = line.split()
            if columns[3] == "0A" and int(columns[1].rpartition(":")[2], 16) == port:  # 0A is LISTEN
                found.add(f"socket:[{columns[9]}]")
    return found
