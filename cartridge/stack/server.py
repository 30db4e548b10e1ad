"""What the stack knows of one process it runs: how to start it and how to tell that it works.

In: nothing; these are records. Out: `Server`, as the supervisor and the tests start it.
Invariant: `ready` asks the process for the work it is there for, and returns within about 0.3 s.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cartridge.stack.ports import LOOPBACK


@dataclass(frozen=True, kw_only=True)
class Server:
    """One process: a server or one of Cartridge's services."""

    name: str
    command: tuple[str, ...]  # empty: somebody else runs it (Docker), it is only watched
    environment: Mapping[str, str]
    address: str  # host:port, or a URL for people
    port_names: tuple[str, ...]  # fields of Ports that it listens on
    ready: Callable[[], bool] = field(repr=False)
    prepare: Callable[[], None] = field(
        repr=False, default=lambda: None
    )  # before the first start; may take seconds
    cwd: Path | None = None
    needs: tuple[str, ...] = ()  # names of those that must be ready before its first start
    stage: int = 0  # the stack is stopped from the highest stage to the lowest
    optional: bool = False  # the stack is whole without it
    ready_timeout_s: float = 60.0
    grace_s: float = 10.0  # between SIGTERM and SIGKILL


def http_ok(port: int, path: str, *, timeout_s: float = 0.3) -> bool:
    """Whether GET `path` on the loopback port answers 200."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
