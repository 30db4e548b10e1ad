"""One process under supervision: started, watched, started again, stopped.

In: the time and what the process does. Out: its `ProcessStatus`. Invariant: never more than one instance runs;
restarts wait 0.2 s, doubling to 10 s, and the wait is 0.2 s again once an instance has lived for 30 s.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cartridge.errors import CartridgeError
from cartridge.stack.processes import Child
from cartridge.stack.server import Server
from cartridge.stack.stack_file import ProcessStatus, State

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 10.0
STEADY_AFTER_S = 30.0  # alive for so long, it counts as healthy
PROBE_EVERY_S = 2.0  # once it is ready; before that it is asked at each look
LOG_BYTES = 16 * 1024 * 1024  # a larger log is put aside at the next start
_UNUSABLE = 2  # the exit code for bad settings: trying again changes nothing


class Supervised:
    """A state machine; `look` moves it on and never blocks for more than the readiness probe takes (0.3 s)."""

    def __init__(self, server: Server, *, logs: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.server = server
        self._clock = clock
        self._path = logs / f"{server.name}.log"
        self._child: Child | None = None
        self._started = self._first_started = self._probed = self._kill_at = 0.0
        self._wait_s = FIRST_WAIT_S
        self._retry_at = 0.0
        self.was_ready = False
        log = str(self._path) if server.command else ""
        self.status = ProcessStatus(name=server.name, address=server.address, log=log, since=time.time())

    def start(self) -> None:
        """Prepares it and starts it the first time; what goes wrong in that is its failure."""
        self._first_started = self._clock()
        try:
            if self.server.command:
                self.server.prepare()
        except (CartridgeError, OSError) as error:
            self.status = replace(self.status, message=str(error))
            self._become("failed")
        else:
            self._spawn()

    def look(self) -> None:
        """Sees what has become of it, and starts it again when that is due."""
        if self.status.state == "backoff":
            if self._clock() >= self._retry_at:
                self._spawn()
        elif self.status.state in ("starting", "ready", "unready"):
            code = self._child.exit_code() if self._child is not None else None
            if code is not None:
                self._ended(code)
            else:
                self._probe()

    def failure(self) -> str | None:
        """Why it cannot become ready the first time, or None while it still may."""
        if self.was_ready or self.status.state in ("waiting", "stopped"):
            return None
        if self.status.state == "failed":
            return f"{self.server.name} failed: {self.status.message} (log: {self._path})"
        if self._clock() - self._first_started > self.server.ready_timeout_s:
            said = self.status.message or (
                self._child.last_line() if self._child is not None else "no answer"
            )
            late = f"is not ready after {self.server.ready_timeout_s:.0f} s"
            return f"{self.server.name} {late}: {said}" + (
                f" (log: {self._path})" if self.server.command else ""
            )
        return None

    def ask_to_stop(self) -> None:
        """Sends SIGTERM; `stopped` tells when it has ended, and kills it when its time is over."""
        if self._child is None:
            self._rest()
        elif self.status.state not in ("stopping", "stopped"):
            self._become("stopping")
            self._kill_at = self._clock() + self.server.grace_s
            self._child.terminate()

    def stopped(self) -> bool:
        """Whether it has ended."""
        if self._child is not None and self._child.exit_code() is None:
            if self._clock() < self._kill_at:
                return False
            self._child.kill()
        self._child = None
        self._rest()
        return True

    def _spawn(self) -> None:
        self._started = self._probed = self._clock()
        if self.server.command:
            try:
                self._child = self._make_child()
            except OSError as error:  # a full disk, no more processes: it may pass
                self._wait_for_retry(f"cannot be started: {error}")
                return
        self._become("starting")

    def _make_child(self) -> Child:
        _put_aside(self._path)
        server = self.server
        return Child(
            server.name, server.command, environment=server.environment, log=self._path, cwd=server.cwd
        )

    def _ended(self, code: int) -> None:
        child, self._child = self._child, None
        said = "" if child is None else child.last_line()
        message = f"ended with {_reason(code)}: {said}"
        if code == _UNUSABLE and not self.was_ready:
            self.status = replace(self.status, message=message)
            self._become("failed")
        else:
            self._wait_for_retry(message)

    def _wait_for_retry(self, message: str) -> None:
        if self._clock() - self._started >= STEADY_AFTER_S:
            self._wait_s = FIRST_WAIT_S
        self._retry_at = self._clock() + self._wait_s
        self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)
        self.status = replace(self.status, message=message, restarts=self.status.restarts + 1)
        self._become("backoff")

    def _probe(self) -> None:
        now = self._clock()
        if self.status.state == "ready" and now - self._probed < PROBE_EVERY_S:
            return
        self._probed = now
        if self.server.ready():
            self.was_ready = True
            self._become("ready")
        elif self.status.state == "ready":
            self._become("unready")

    def _rest(self) -> None:
        """It runs no more; that it has failed stays to be seen."""
        if self.status.state != "failed":
            self._become("stopped")

    def _become(self, state: State) -> None:
        identity = None if self._child is None else self._child.identity
        if state != self.status.state or identity != self.status.identity:
            self.status = replace(self.status, state=state, identity=identity, since=time.time())


def _reason(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def _put_aside(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
