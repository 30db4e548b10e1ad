"""`up` before anything is started: what it refuses, and what it finds running."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from rich.console import Console

from cartridge.errors import CartridgeError, UsageError
from cartridge.settings import Settings
from cartridge.stack import plan
from cartridge.stack.ports import Ports
from cartridge.stack.processes import Identity
from cartridge.stack.stack_file import ProcessStatus, Status, stack_path, write_json, write_status
from cartridge.stack.up import up


@pytest.fixture
def running(tmp_path: Path) -> Path:
    """A home whose supervisor is this very process."""
    mine = Identity.of(os.getpid())
    assert mine is not None
    engine = ProcessStatus(name="engine", address="a", log="/x/engine.log", state="backoff", message="oh no")
    write_status(tmp_path, Status(supervisor=mine, phase="ready", servers="native", processes=(engine,)))
    settings = plan.stack_settings(home=tmp_path, ports=Ports(kafka=19092), environment={})
    found = plan.Plan(settings=settings, ports=Ports(kafka=19092), kind="native", servers=())
    write_json(stack_path(tmp_path), found.addresses())
    return tmp_path


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    home = tmp_path / "file" / ".cartridge"
    with pytest.raises(UsageError, match=f"CARTRIDGE_HOME is {home}, which cannot be written"):
        up(home=home, console=Console(file=io.StringIO()), demonstrate=None)


def test_a_running_stack_is_used_and_what_ails_it_is_said(running: Path) -> None:
    seen: list[Settings] = []

    def demonstrate(settings: Settings, _console: Console) -> int:
        seen.append(settings)
        return 3

    output = io.StringIO()
    assert up(home=running, console=Console(file=output), demonstrate=demonstrate) == 3
    assert seen[0].kafka == "127.0.0.1:19092"  # where it really is, not where it would be by default
    assert "engine is not ready: backoff oh no (log: /x/engine.log)" in output.getvalue()
    assert "the stack is up already" in output.getvalue()


def test_ctrl_c_in_the_demonstration_leaves_a_stack_up_that_was_up_before(running: Path) -> None:
    def demonstrate(_settings: Settings, _console: Console) -> int:
        raise KeyboardInterrupt

    output = io.StringIO()
    assert up(home=running, console=Console(file=output), demonstrate=demonstrate) == 130
    assert "the stack stays up: `./just down` stops it" in output.getvalue()


def test_an_error_of_the_demonstration_goes_on_to_the_command(running: Path) -> None:
    def demonstrate(_settings: Settings, _console: Console) -> int:
        raise CartridgeError("the run did not learn")

    with pytest.raises(CartridgeError, match="the run did not learn"):
        up(home=running, console=Console(file=io.StringIO()), demonstrate=demonstrate)
