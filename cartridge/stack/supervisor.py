"""The one process that all others of the local stack are children of.

In: the home folder, ports by environment. Out: running servers and services, stack.json, status.json, a log each.
Invariant: when it ends, however it ends, its children end; while it starts, one that cannot work stops everything.

    python -m cartridge.stack.supervisor --home .cartridge        (`cartridge up` starts it detached)
"""

from __future__ import annotations

import argparse
import fcntl
import os
import select
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from cartridge import logs
from cartridge.errors import CartridgeError, UsageError
from cartridge.stack.plan import Plan, plan
from cartridge.stack.ports import Ports
from cartridge.stack.processes import Identity
from cartridge.stack.stack_file import Phase, Status, stack_path, write_json, write_status
from cartridge.stack.supervised import Supervised

_log = logs.get(__name__)
# A child's end wakes it at once; these are for readiness and back-off. (m) 1.4 % of a core at 0.05 s.
_BUSY_TICK_S = 0.05
_IDLE_TICK_S = 0.5


class Supervisor:
    """Starts, watches and stops the processes of a plan."""

    def __init__(self, plan: Plan, *, starter: Identity | None = None) -> None:
        """`starter`: the `up` that waits for it; when that is gone before everything is ready, nothing stays."""
        self._plan = plan
        self._starter = starter
        self._home = plan.settings.home
        self._members = [Supervised(server, logs=self._home / "logs") for server in plan.servers]
        self._phase: Phase = "starting"
        self._error = ""
        self._written: Status | None = None
        self._stop_asked = False
        identity = Identity.of(os.getpid())
        if identity is None:
            raise CartridgeError(f"the supervisor's own process {os.getpid()} has no start time")
        self._identity = identity

    def run(self) -> int:
        """Runs until it is asked to stop or cannot start. The exit code: 0, or 1 when something failed."""
        write_json(stack_path(self._home), self._plan.addresses())
        try:
            with _Alarm() as alarm:
                signal.signal(signal.SIGTERM, self._ask)
                signal.signal(signal.SIGINT, self._ask)
                while not self._stop_asked and self._phase != "failed":
                    self._look()
                    alarm.wait(self._tick_s())
                self._stop_all(alarm)
        finally:
            stack_path(self._home).unlink(missing_ok=True)
        return 1 if self._error else 0

    def _tick_s(self) -> float:
        idle = all(member.status.state in ("ready", "failed") for member in self._members)
        return _IDLE_TICK_S if idle and self._phase == "ready" else _BUSY_TICK_S

    def _ask(self, number: int, _frame: object) -> None:
        _log.info("stop_asked", signal=number)
        self._stop_asked = True

    def _look(self) -> None:
        ready = {member.server.name for member in self._members if member.was_ready}
        for member in self._members:
            if member.status.state == "waiting" and ready.issuperset(member.server.needs):
                _log.info("process_start", process=member.server.name)
                member.start()
            before = member.status.state
            member.look()
            if member.status.state != before:
                self._tell(member)
        self._judge()
        self._write()

    def _judge(self) -> None:
        """Whether the start has failed or is complete. Afterwards nothing that a process does stops the others."""
        if not self._home.exists():
            self._phase, self._error = "failed", f"{self._home} is gone"
        if self._phase != "starting":
            return
        needed = [member for member in self._members if not member.server.optional]
        failures = [failure for member in needed if (failure := member.failure())]
        if failures:
            self._phase, self._error = "failed", failures[0]
            _log.error("stack_failed", reason=failures[0])
        elif self._starter is not None and not self._starter.alive():
            self._phase, self._error = (
                "failed",
                "the `up` that started the stack was ended before it was ready",
            )
        elif all(member.was_ready for member in needed):
            self._phase = "ready"
            _log.info("stack_ready")

    def _stop_all(self, alarm: _Alarm) -> None:
        """From the highest stage to the lowest, the members of a stage at once."""
        if self._phase != "failed":
            self._phase = "stopping"
        for stage in sorted({member.server.stage for member in self._members}, reverse=True):
            members = [member for member in self._members if member.server.stage == stage]
            for member in members:
                member.ask_to_stop()
            self._write()
            while members := [member for member in members if not member.stopped()]:
                alarm.wait(_BUSY_TICK_S)
        if self._phase != "failed":
            self._phase = "stopped"
        self._write()
        _log.info("stack_stopped", reason=self._error or "asked")

    def _write(self) -> None:
        status = Status(
            supervisor=self._identity,
            phase=self._phase,
            servers=self._plan.kind,
            processes=tuple(member.status for member in self._members),
            error=self._error,
        )
        if status == self._written:
            return
        try:
            write_status(self._home, status)
            self._written = status
        except OSError as error:  # a full disk stops nobody; it is written as soon as there is room
            _log.warning("status_not_written", reason=str(error))

    @staticmethod
    def _tell(member: Supervised) -> None:
        status = member.status
        tell = _log.warning if status.state in ("backoff", "failed", "unready") else _log.info
        tell(
            f"process_{status.state}",
            process=status.name,
            pid=None if status.identity is None else status.identity.pid,
            restarts=status.restarts,
            message=status.message,
        )


class _Alarm:
    """A wait that ends early when a signal comes: a child has ended, or somebody asks to stop."""

    def __enter__(self) -> _Alarm:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # ignored signals would not wake it
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        self._reader.close()
        self._writer.close()

    def wait(self, timeout_s: float) -> None:
        """Returns after the time, or at once on a signal."""
        if select.select([self._reader], [], [], timeout_s)[0]:
            self._reader.recv(4096)


def main(arguments: Sequence[str] | None = None) -> int:
    """Supervises the stack of one home in the foreground."""
    parser = argparse.ArgumentParser(prog="python -m cartridge.stack.supervisor", description=main.__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--servers", choices=("native", "docker"), default="native")
    parser.add_argument("--starter", type=int, help="a process without which an unfinished start is given up")
    options = parser.parse_args(arguments)
    logs.configure("supervisor")
    home = options.home.absolute()
    try:
        with (home / "supervisor.lock").open("a") as guard:
            try:
                fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UsageError(f"a supervisor runs in {home} already: `./just status`") from error
            starter = None
            if options.starter is not None:
                starter = Identity.of(options.starter) or Identity(pid=options.starter, started="gone")
            return Supervisor(
                plan(home=home, ports=Ports.load(), kind=options.servers), starter=starter
            ).run()
    except CartridgeError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except OSError as error:  # a full disk, above all
        print(f"error: {error.filename or home} cannot be written: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 1


if __name__ == "__main__":
    sys.exit(main())
