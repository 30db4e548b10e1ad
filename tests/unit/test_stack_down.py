"""`down` and `status` of a stack that does not run, and what may be deleted."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from cartridge.errors import UsageError
from cartridge.stack.down import down, status
from cartridge.stack.processes import Identity
from cartridge.stack.stack_file import ProcessStatus, Status, write_status


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / ".cartridge"
    (home / "data" / "kafka").mkdir(parents=True)
    (home / "data" / "kafka" / "meta.properties").write_text("x" * 10)
    return home


def console() -> Console:
    return Console(file=io.StringIO(), width=200)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_down_of_nothing_is_no_error(tmp_path: Path, home: Path) -> None:
    for folder in (home, tmp_path / "missing"):
        shown = console()
        assert down(home=folder, console=shown) == 0
        assert "the stack is not running" in said(shown)
    assert (home / "data" / "kafka" / "meta.properties").exists()


def test_data_is_not_deleted_without_a_person_s_yes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(UsageError, match="--delete-data needs a yes: run it at a terminal, or add --yes"):
        down(home=home, console=console(), delete_data=True)
    assert home.exists()


@pytest.mark.parametrize(
    ("answer", "deleted"), [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False), ("", False)]
)
def test_at_a_terminal_a_person_is_asked(
    home: Path, monkeypatch: pytest.MonkeyPatch, answer: str, deleted: bool
) -> None:
    terminal = io.StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    shown = console()
    assert down(home=home, console=shown, delete_data=True) == (0 if deleted else 1)
    assert home.exists() is not deleted
    assert "holds all topics, shards, checkpoints and logs" in said(shown)


def test_scripts_say_yes_on_the_command_line(home: Path) -> None:
    assert down(home=home, console=console(), delete_data=True, yes=True) == 0
    assert not home.exists()
    assert down(home=home, console=console(), delete_data=True, yes=True) == 0


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        ("ready", "its supervisor was killed, or the machine restarted"),
        ("stopped", "the stack is not running: `./just up` starts it"),
        ("failed", "the last start failed: kafka is not ready"),
    ],
)
def test_status_says_why_nothing_runs(home: Path, phase: str, expected: str) -> None:
    gone = Identity(pid=os.getpid(), started="another boot/1")
    written = Status(supervisor=gone, phase=phase, servers="native", processes=(), error="kafka is not ready")  # type: ignore[arg-type]
    write_status(home, written)
    shown = console()
    assert status(home=home, console=shown) == 1
    assert expected in said(shown)


def test_status_of_nothing(tmp_path: Path) -> None:
    shown = console()
    assert status(home=tmp_path, console=shown) == 1
    assert "`./just up` starts it" in said(shown)


@pytest.mark.parametrize("terminal", [False, True])
def test_status_shows_each_process_and_what_ails_it(home: Path, terminal: bool) -> None:
    mine = Identity.of(os.getpid())
    assert mine is not None
    engine = ProcessStatus(
        name="engine", address="127.0.0.1:50051", log="/x/engine.log", state="ready", identity=mine
    )
    ailing = ProcessStatus(
        name="learner", address="m", log="/x/learner.log", state="backoff", restarts=3, message="oh [no]"
    )
    shown = Console(file=io.StringIO(), width=200, force_terminal=terminal, color_system=None)
    write_status(home, Status(supervisor=mine, phase="ready", servers="native", processes=(engine,)))
    assert status(home=home, console=shown) == 0
    write_status(home, Status(supervisor=mine, phase="ready", servers="native", processes=(engine, ailing)))
    assert status(home=home, console=shown) == 1
    for text in ("engine", "127.0.0.1:50051", "/x/engine.log", str(os.getpid()), "backoff"):
        assert text in said(shown)
    if terminal:
        assert "oh [no]" in said(shown)
