"""Operating-system processes of the stack: started on a leash, known for certain, stopped for certain.

In: a command line, an environment and a log file. Out: a `Child`, and an `Identity` that can be written down.
Invariant: a signal is only ever sent to a process whose pid *and* start time are the ones recorded, so a number
that the system has given to a stranger since (a reboot, a long uptime) is never killed.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LEASH = Path(__file__).with_name("leash.py")
_POLL_S = 0.02
_JAVA_FRAME = re.compile(r"\s+(at \S|\.\.\. \d+ more)")  # what follows the words of an exception


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A process for ever: its pid with when it started, in a form that differs between boots."""

    pid: int
    started: str  # "<boot id>/<clock ticks since boot>" on Linux, `ps` start time elsewhere

    @classmethod
    def of(cls, pid: int) -> Identity | None:
        """The process that has this pid now, or None when there is none (a zombie counts as none)."""
        started = _start_time(pid)
        return None if started is None else cls(pid=pid, started=started)

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return _start_time(self.pid) == self.started

    def signal(self, number: int) -> bool:
        """Sends a signal to this very process; False when it is gone."""
        if not self.alive():
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    def stop(self, *, grace_s: float) -> None:
        """SIGTERM, then SIGKILL after `grace_s` seconds; returns when the process is gone."""
        self.signal(signal.SIGTERM)
        if not wait_gone(self, timeout_s=grace_s):
            self.signal(signal.SIGKILL)
            wait_gone(self, timeout_s=grace_s)


class Child:
    """A process that this process started, on a leash, in a session of its own."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        self.log_start = log.stat().st_size if log.exists() else 0
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd=cwd,
            )
        self.pid = self._process.pid
        self.identity = Identity.of(self.pid)

    def exit_code(self) -> int | None:
        """None while it runs; below zero is the signal that ended it."""
        return self._process.poll()

    def terminate(self) -> None:
        """Asks it to stop; `wait` tells when it has."""
        if self.exit_code() is None:
            self._process.terminate()

    def stop(self, *, grace_s: float) -> None:
        """SIGTERM, then SIGKILL of its whole session after `grace_s` seconds."""
        self.terminate()
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Ends it and what it has started, without asking, and waits until it is gone."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            self._process.kill()  # not yet the leader of its session, or already gone
        self._process.wait()

    def last_line(self) -> str:
        """The last line that says something in what this start has logged, for a person."""
        with self.log.open("rb") as log:
            log.seek(max(self.log_start, log.seek(0, os.SEEK_END) - 65536))
            lines = log.read().decode(errors="replace").splitlines()
        said = [line.strip() for line in lines if line.strip() and not _JAVA_FRAME.match(line)]
        errors = [line for line in said if line.startswith(("error:", "ERROR"))]
        return (errors or said or ["it said nothing"])[-1]


def wait_gone(identity: Identity, *, timeout_s: float) -> bool:
    """Whether the process is gone within `timeout_s` seconds. It need not be a child of this one."""
    deadline = time.monotonic() + timeout_s
    while identity.alive():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def _start_time(pid: int) -> str | None:
    if pid <= 0:
        return None
    if sys.platform != "linux":
        return _start_time_by_ps(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    fields = stat[stat.rindex(")") + 2 :].split()  # the name before it may hold spaces and brackets
    state, ticks = fields[0], fields[19]
    return None if state in "ZX" else f"{boot}/{ticks}"


def _start_time_by_ps(pid: int) -> str | None:
    found = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.strip()
    return None if not found or found.startswith("Z") else found.partition(" ")[2].strip()
