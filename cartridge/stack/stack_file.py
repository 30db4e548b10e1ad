"""What the supervisor writes down for everybody else: where things are, and how each process is.

In: addresses, processes. Out: home/stack.json (while the stack runs) and home/status.json, replaced atomically.
Invariant: a reader sees one whole version; a supervisor that is written down but does not run is recognised by its
pid and start time, and nothing that it recorded is taken for true any more.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from cartridge.errors import UsageError
from cartridge.stack.processes import Identity

State = Literal["waiting", "starting", "ready", "unready", "backoff", "stopping", "stopped", "failed"]
Phase = Literal["starting", "ready", "stopping", "stopped", "failed"]


@dataclass(frozen=True, kw_only=True)
class ProcessStatus:
    """One process of the stack, as people see it."""

    name: str
    address: str
    log: str  # path; empty for a container
    state: State = "waiting"
    identity: Identity | None = None  # of the running process
    restarts: int = 0
    since: float = 0.0  # seconds since the epoch, when it took this state
    message: str = ""  # the last line that it logged before it failed


@dataclass(frozen=True, kw_only=True)
class Status:
    """The stack at one moment."""

    supervisor: Identity
    phase: Phase
    servers: Literal["native", "docker"]
    processes: tuple[ProcessStatus, ...]
    error: str = ""  # why phase is failed

    def running(self) -> bool:
        """Whether the supervisor that wrote this still runs."""
        return self.supervisor.alive()

    def ready(self) -> bool:
        """Whether everything works at this moment."""
        return self.running() and all(process.state == "ready" for process in self.processes)


def stack_path(home: Path) -> Path:
    """Addresses and ports, read by Settings; there only while the stack is up."""
    return home / "stack.json"


def status_path(home: Path) -> Path:
    """The last known status; stays after the stack has stopped."""
    return home / "status.json"


def write_status(home: Path, status: Status) -> None:
    """Replaces status.json."""
    write_json(status_path(home), asdict(status))


def read_status(home: Path) -> Status | None:
    """The last status written, or None when there is none. Raises UsageError when the file is damaged."""
    path = status_path(home)
    try:
        written = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise UsageError(f"{path} cannot be read ({error}): remove it and run the command again") from error
    try:
        return Status(
            **{**written, "supervisor": Identity(**written["supervisor"])}
            | {"processes": tuple(_process(process) for process in written["processes"])}
        )
    except (KeyError, TypeError) as error:
        raise UsageError(f"{path} is of another version ({error!r}): remove it and run it again") from error


def running_status(home: Path) -> Status | None:
    """The status of the stack that runs now, or None when none does."""
    status = read_status(home)
    return status if status is not None and status.running() else None


def clean_stale(home: Path) -> list[str]:
    """After a supervisor that was killed, or a reboot: ends what it left running and forgets its addresses.

    Returns the names of the processes that had to be ended. Must not be called while a supervisor runs.
    """
    status = read_status(home)
    ended = []
    for process in status.processes if status is not None else ():
        if process.identity is not None and process.identity.alive():
            process.identity.stop(grace_s=10.0)
            ended.append(process.name)
    if status is not None:
        stopped = tuple(replace(process, state="stopped", identity=None) for process in status.processes)
        write_status(home, replace(status, phase="stopped", processes=stopped))
    stack_path(home).unlink(missing_ok=True)
    return ended


def write_json(path: Path, value: Any, *, mode: int = 0o644) -> None:
    """Replaces a JSON file in one step. A full disk leaves the old one."""
    part = path.with_name(path.name + ".part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
            json.dump(value, file, indent=1)
        part.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def _process(written: dict[str, Any]) -> ProcessStatus:
    identity = written["identity"]
    return ProcessStatus(**{**written, "identity": None if identity is None else Identity(**identity)})
