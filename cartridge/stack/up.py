"""`cartridge up`: from nothing to a training run.

In: the home folder, the ports, a console. Out: a running stack; the exit code.
Invariant: what this `up` has started is either handed over whole or stopped again, also on Ctrl-C.

1. install what is missing   2. start the supervisor   3. wait until everything is ready   4. the demonstration run
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from cartridge.errors import CartridgeError
from cartridge.settings import Settings
from cartridge.stack import docker
from cartridge.stack.cache import lock
from cartridge.stack.install import install
from cartridge.stack.plan import Kind, plan, running_settings, stack_settings
from cartridge.stack.ports import Ports, variable
from cartridge.stack.processes import Identity
from cartridge.stack.progress import Part, Progress
from cartridge.stack.shell import Commands
from cartridge.stack.stack_file import Status, clean_stale, read_status, running_status
from games import registry
from games.warm import is_warm

REPOSITORY = Path(__file__).resolve().parents[2]
_POLL_S = 0.05
STOP_TIMEOUT_S = 60.0  # four stages of 10 s each, and some


@dataclass(frozen=True, kw_only=True)
class Started:
    """The stack that `up` found or made."""

    settings: Settings
    by_this: bool  # False: it was up already


def up(*, home: Path, console: Console, demonstrate: Callable[[Settings, Console], int] | None) -> int:
    """Brings the stack up and shows the demonstration. The exit code: 0, 130 after Ctrl-C, else an error's.

    Raises CartridgeError when the stack cannot start; it is stopped again by then.
    """
    began = time.monotonic()
    started: Started | None = None
    with _interruptible():
        try:
            started = bring_up(home=home, console=console)
            seconds = time.monotonic() - began
            _say(
                console,
                f"everything is ready ({seconds:.1f} s)" if started.by_this else "the stack is up already",
            )
            _tell_addresses(home, console)
            code = 0 if demonstrate is None else demonstrate(started.settings, console)
        except KeyboardInterrupt:
            _stop_after_interrupt(home, console, mine=started is not None and started.by_this)
            return 130
    return code


def bring_up(*, home: Path, console: Console) -> Started:
    """Steps 1 to 3. On any failure, Ctrl-C too, what it started is stopped before the error goes on."""
    with lock(home / "up.lock", variable="CARTRIDGE_HOME"):  # a second `up` waits here, then finds it up
        status = running_status(home)
        if status is not None and status.phase == "ready":
            _tell_unready(status, console)
            return Started(settings=running_settings(home), by_this=False)
        if status is not None:  # it is stopping, or the `up` that began it is gone
            status.supervisor.stop(grace_s=STOP_TIMEOUT_S)
        for name in clean_stale(home):
            _say(console, f"ended {name}, which a supervisor that was killed had left running")
        ports = Ports.load()
        with Progress(console) as progress:
            kind = _servers(home=home, ports=ports, progress=progress)
            _compile_kernels(progress)
            with _Daemon(home=home, ports=ports, kind=kind) as daemon:
                _wait_ready(daemon, progress)
                daemon.keep()
        return Started(settings=stack_settings(home=home, ports=ports, environment=os.environ), by_this=True)


def _servers(*, home: Path, ports: Ports, progress: Progress) -> Kind:
    """Installs or starts the servers' parts, and refuses ports that are in use. Gives who runs them."""
    kind: Kind = "docker" if docker.answers() else "native"
    if kind == "docker":
        with progress.part("servers by Docker") as part:
            docker.start(home, ports, commands=Commands(), part=part)
    else:
        found = install(progress)
        if found.prometheus is None:
            progress.line("  without Prometheus: there is none on the PATH (apt-get install prometheus)")
    for server in plan(home=home, ports=ports, kind=kind).servers:
        if server.command:
            ports.require_free(server.port_names)
    return kind


def _compile_kernels(progress: Progress) -> None:
    """The games' kernels, before the engine would do it one after the other. Raises CartridgeError."""
    names = registry.builtin()
    if is_warm(names):
        return
    commands = Commands()
    with progress.part("kernels of the games (compiled)") as part:
        done = itertools.count(1)
        try:
            commands.run(
                [sys.executable, "-m", "games.warm"],
                cwd=REPOSITORY,
                on_line=lambda line: part.say(line, done=next(done), total=len(names)),
            )
        finally:
            commands.cancel()


class _Daemon:
    """The supervisor's process: detached, and stopped at the end of the block unless it is to be kept."""

    def __init__(self, *, home: Path, ports: Ports, kind: Kind) -> None:
        self._home = home
        self._kept = False
        chosen = {variable(name): str(port) for name, port in ports.items()}
        self.log = home / "logs" / "supervisor.log"
        self.log.parent.mkdir(exist_ok=True)
        with self.log.open("ab") as output:
            self.log_start = output.tell()
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "cartridge.stack.supervisor", "--home", str(home)),
                    *("--servers", kind, "--starter", str(os.getpid())),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd=REPOSITORY,
                env={**os.environ, **chosen},
            )
        self.identity = Identity.of(self.process.pid)

    def __enter__(self) -> _Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._kept:
            self.process.terminate()
            self.process.wait(STOP_TIMEOUT_S)

    def keep(self) -> None:
        """It works: it stays."""
        self._kept = True

    def status(self) -> Status | None:
        """What this supervisor has written so far."""
        status = read_status(self._home)
        return status if status is not None and status.supervisor == self.identity else None


def _wait_ready(daemon: _Daemon, progress: Progress) -> None:
    """Shows each process until it is ready. Raises CartridgeError with the one that failed, its words, its log."""
    shown: dict[str, Part] = {}
    try:
        while True:
            ended = daemon.process.poll()  # asked first, so that its last words are not missed
            status = daemon.status()
            _show(status, shown=shown, progress=progress)
            if status is not None and status.phase == "ready":
                return
            if ended is not None:
                error = "" if status is None else status.error
                raise CartridgeError(error or _last_words(daemon, ended))
            time.sleep(_POLL_S)
    finally:
        for part in shown.values():
            part.end("not ready")


def _show(status: Status | None, *, shown: dict[str, Part], progress: Progress) -> None:
    for process in status.processes if status is not None else ():
        if process.state == "waiting":
            continue
        if process.name not in shown:
            shown[process.name] = progress.begin(process.name, quiet=True)
        part = shown[process.name]
        part.say(f"{process.state} {process.message}")
        if process.state == "ready":
            part.end("ready")


def _last_words(daemon: _Daemon, code: int) -> str:
    with daemon.log.open() as log:
        log.seek(daemon.log_start)
        lines = [line.strip() for line in log if line.strip()]
    said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (said or [f"the supervisor ended with exit code {code}"])[-1] + f" (log: {daemon.log})"


def _tell_addresses(home: Path, console: Console) -> None:
    status = running_status(home)
    for process in status.processes if status is not None else ():
        _say(console, f"  {process.name:<10}  {process.address}")
    _say(console, f"  logs        {home / 'logs'}")
    _say(console, "  `./just status` shows each process; `./just down` stops everything and keeps the data")


def _tell_unready(status: Status, console: Console) -> None:
    for process in status.processes:
        if process.state != "ready":
            _say(
                console,
                f"  {process.name} is not ready: {process.state} {process.message} (log: {process.log})",
            )


def _stop_after_interrupt(home: Path, console: Console, *, mine: bool) -> None:
    status = running_status(home)
    if mine and status is not None:
        _say(console, "\nstopping what was started ...")
        status.supervisor.stop(grace_s=STOP_TIMEOUT_S)
    left = running_status(home)
    _say(
        console, "stopped; the data is kept" if left is None else "the stack stays up: `./just down` stops it"
    )


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM and a closed terminal end `up` as Ctrl-C does."""
    before = {
        number: signal.signal(number, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
