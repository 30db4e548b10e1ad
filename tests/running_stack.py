"""A whole local stack for tests, used as a person would: by the `cartridge` command in child processes.

In: a home folder. Out: commands' exit codes and words; what each process is doing; `started` for a stack of one's own.
Invariant: no two stacks share a port or a folder, and what a test started is down when its block ends.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cartridge.settings import Settings
from cartridge.stack.ports import Ports, variable
from cartridge.stack.stack_file import ProcessStatus, Status, read_status
from stage import Stage

ROOT = Path(__file__).resolve().parents[1]
CARTRIDGE = Path(sys.executable).with_name("cartridge")
_SAMPLE = re.compile(r"^(\w+?)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def wait_until(condition: Callable[[], bool], otherwise: str, *, timeout_s: float) -> None:
    """Returns as soon as `condition()` is true; fails with `otherwise` when it stays false."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(otherwise)
        time.sleep(0.02)


@dataclass(frozen=True)
class Done:
    """What a command said."""

    code: int
    output: str
    error: str

    @property
    def refusal(self) -> str:
        """The one line of a command that refused bad input: exit code 2, and nothing beside that line."""
        assert (self.code, self.output) == (2, ""), self
        assert re.fullmatch(r"error: [^\n]+\n", self.error), self.error
        return self.error


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack of the test's own: its home, its ports, and commands on it."""

    home: Path
    ports: Ports

    def environment(self, **more: str) -> dict[str, str]:
        """The variables that make a command one on this stack."""
        chosen = {variable(name): str(port) for name, port in self.ports.items()}
        inherited = {name: value for name, value in os.environ.items() if name != "CARTRIDGE_PORTS"}
        return {
            **inherited,
            **chosen,
            "CARTRIDGE_HOME": str(self.home),
            "CARTRIDGE_SERVERS": "native",
            **more,
        }

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """`cartridge ARGUMENTS` with its output in pipes and nothing to read."""
        return self.spawn([str(CARTRIDGE), *arguments], stdin=subprocess.DEVNULL, **more)

    def spawn(self, command: Sequence[str], *, stdin: int, **more: str) -> subprocess.Popen[str]:
        """Any command in the checkout, with its output in pipes."""
        return subprocess.Popen(
            command,
            env=self.environment(**more),
            cwd=ROOT,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """`cartridge ARGUMENTS` for the time of the block, after which it is gone."""
        process = self.start(*arguments)
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def run(self, *arguments: str, **more: str) -> tuple[int, str, str]:
        """The exit code, output and errors of `cartridge ARGUMENTS`."""
        process = self.start(*arguments, **more)
        output, error = process.communicate(timeout=220)
        return process.returncode, output, error

    def do(self, *arguments: str, **more: str) -> Done:
        """As `run`."""
        return Done(*self.run(*arguments, **more))

    def shell(self, line: str, *, typed: str = "") -> Done:
        """A line as a person types it in the checkout, with `typed` on its standard input."""
        process = self.spawn(["sh", "-c", line], stdin=subprocess.PIPE)
        output, error = process.communicate(typed, timeout=220)
        return Done(process.returncode, output, error)

    def status(self) -> Status:
        """What the supervisor wrote last."""
        status = read_status(self.home)
        assert status is not None
        return status

    def process(self, name: str) -> ProcessStatus:
        """One of its processes."""
        return next(process for process in self.status().processes if process.name == name)

    def wait(self, name: str, state: str, *, restarts: int) -> None:
        """Waits for a process to be in `state` after so many restarts."""

        def reached() -> bool:
            process = self.process(name)
            return process.state == state and process.restarts == restarts

        wait_until(reached, f"{name} is not {state} after {restarts} restarts", timeout_s=60)

    def kill(self, name: str) -> None:
        """Kills a process at once, and waits until it is ready again, having been started again once."""
        before = self.process(name)
        assert before.identity is not None
        before.identity.signal(signal.SIGKILL)
        self.wait(name, "ready", restarts=before.restarts + 1)
        assert self.process(name).identity != before.identity

    def settings(self) -> Settings:
        """Where its servers are, for clients of the test's own."""
        return Settings.load({"CARTRIDGE_HOME": str(self.home)})

    def stage(self) -> Stage:
        """It as the log's oracle sees it."""
        return _WholeStack("", self.settings())

    def metrics(self, port: int) -> dict[tuple[str, str], float]:
        """The samples of one service: (name, labels as they are written) -> value."""
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as response:
            text = response.read().decode()
        return {(name, labels): float(value) for name, labels, value in _SAMPLE.findall(text)}


class _WholeStack(Stage):
    """The stage whose names have no prefix."""

    @property
    def group(self) -> str:
        return "cartridge.compactor"

    def topic(self, name: str) -> str:
        return f"cartridge.{name}"


def make(home: Path) -> Stack:
    """A stack that is not up yet."""
    return Stack(home=home, ports=Ports.free())


@contextmanager
def started(home: Path) -> Iterator[Stack]:
    """A stack that is up, without a run; down after the block."""
    stack = make(home)
    code, output, error = stack.run("up", "--no-run")
    try:
        assert (code, error) == (0, ""), output
        assert "everything is ready" in output
        yield stack
    finally:
        stack.run("down")


@dataclass(frozen=True)
class Trained:
    """A stack after `cartridge up` with its demonstration run."""

    stack: Stack
    up: Done
    run: str  # the demonstration run's name

    def sql(self, query: str) -> list[dict[str, Any]]:
        """The rows that `cartridge sql` answers with."""
        done = self.stack.do("sql", query, "--format", "json")
        assert (done.code, done.error) == (0, ""), done
        return [json.loads(line) for line in done.output.splitlines()]
