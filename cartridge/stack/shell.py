"""Commands that set something up: run with their output read as progress, ended with the installation.

In: a command line. Out: its lines, one call each. Invariant: `Commands.cancel`, or the death of this process, ends
all of them; a command that fails says what it said last.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cartridge.errors import CartridgeError
from cartridge.stack.processes import LEASH

_LAST_LINES = 20


class CommandFailed(CartridgeError):
    """A command ended with another code than 0; `lines` are its last."""

    def __init__(self, command: Sequence[str], code: int, lines: Sequence[str]) -> None:
        self.code = code
        self.lines = tuple(lines)
        said = next((line for line in reversed(lines) if line.strip()), "it said nothing")
        super().__init__(f"`{' '.join(command[:3])} …` exited with {code}: {said.strip()}")


class Commands:
    """Runs commands, from any thread, until it is cancelled."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._cancelled = False

    def run(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        on_line: Callable[[str], None] = lambda _: None,
    ) -> str:
        """Runs a command to its end; gives what it printed last. Raises CommandFailed."""
        last: deque[str] = deque(maxlen=_LAST_LINES)
        process = self._start(command, environment, cwd)
        try:
            assert process.stdout is not None
            for line in process.stdout:
                last.append(line.rstrip())
                on_line(last[-1])
            code = process.wait()
        finally:
            self._end(process)
            with self._lock:
                self._running.discard(process)
        if code != 0:
            raise CommandFailed(command, code, list(last))
        return "\n".join(last)

    def cancel(self) -> None:
        """Ends all commands; later ones are refused."""
        with self._lock:
            self._cancelled = True
            running = list(self._running)
        for process in running:
            self._end(process)

    def check(self) -> None:
        """Raises CartridgeError once it is cancelled."""
        if self._cancelled:
            raise CartridgeError(
                "the installation was stopped: run the command again, it goes on where it was"
            )

    def _start(
        self, command: Sequence[str], environment: Mapping[str, str] | None, cwd: Path | None
    ) -> subprocess.Popen[str]:
        with self._lock:
            self.check()
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env=None if environment is None else dict(environment),
                cwd=cwd,
            )
            self._running.add(process)
            return process

    @staticmethod
    def _end(process: subprocess.Popen[str]) -> None:
        """Kills the command's whole session (a compiler has children); harmless when it has ended."""
        if process.poll() is None:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                process.kill()  # the leash has not made its session yet
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
