"""`cartridge down` and `cartridge status`: the stack ended, the stack shown.

In: the home folder, a console. Out: an exit code. Invariant: data is deleted only after a person has said yes, at
the terminal or by --yes, and never under a running process.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cartridge.errors import UsageError
from cartridge.stack import docker
from cartridge.stack.cache import lock
from cartridge.stack.shell import Commands
from cartridge.stack.stack_file import ProcessStatus, Status, clean_stale, read_status, running_status
from cartridge.stack.up import STOP_TIMEOUT_S

_WIDTHS = (10, 8, 6, 7, 2, 31, 0)  # of the columns in a pipe
_COLOURS = {"ready": "green", "failed": "red", "backoff": "red", "unready": "yellow", "starting": "yellow"}


def down(*, home: Path, console: Console, delete_data: bool = False, yes: bool = False) -> int:
    """Stops everything; keeps the data unless a person wants it deleted. The exit code: 0, or 1 after a `no`.

    Raises UsageError when deleting is asked for without a terminal and without `yes`.
    """
    if delete_data and not yes and not sys.stdin.isatty():
        raise UsageError("--delete-data needs a yes: run it at a terminal, or add --yes")
    if delete_data and not yes and not _agreed(home, console):
        _say(console, "nothing was stopped or deleted")
        return 1
    if home.exists():
        with lock(home / "up.lock", variable="CARTRIDGE_HOME"):  # never beside an `up`
            _stop(home, console, delete_data=delete_data)
            if delete_data:
                _delete(home)
    else:
        _say(console, f"the stack is not running, and there is no {home}")
    if delete_data:
        _say(console, f"deleted {home}")
    return 0


def _stop(home: Path, console: Console, *, delete_data: bool) -> None:
    status = running_status(home)
    before = read_status(home)
    if status is None:
        ended = clean_stale(home)
        _say(
            console,
            "the stack is not running"
            + (f"; ended what was left of it: {', '.join(ended)}" if ended else ""),
        )
    else:
        began = time.monotonic()
        status.supervisor.stop(grace_s=STOP_TIMEOUT_S)
        clean_stale(home)
    if before is not None and before.servers == "docker":
        docker.stop(home, commands=Commands(), delete_data=delete_data)
    if status is not None:
        _say(
            console,
            f"stopped ({time.monotonic() - began:.1f} s)"
            + ("" if delete_data else f"; the data is in {home}"),
        )


def _agreed(home: Path, console: Console) -> bool:
    size = sum(file.stat().st_size for file in home.rglob("*") if file.is_file() and not file.is_symlink())
    _say(console, f"{home} holds all topics, shards, checkpoints and logs: {size / 1e6:,.0f} MB.")
    try:
        return console.input("Delete them for good? [y/N] ", markup=False).strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _delete(home: Path) -> None:
    """Everything of the home but the lock that is being held."""
    for path in home.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != "up.lock":
            path.unlink()
    (home / "up.lock").unlink(missing_ok=True)
    home.rmdir()


def status(*, home: Path, console: Console) -> int:
    """Shows each process. The exit code: 0 when all are ready, else 1."""
    found = read_status(home)
    if found is None:
        _say(console, f"the stack is not running (nothing in {home}): `./just up` starts it")
        return 1
    if not found.running():
        _say(console, _why_not_running(found))
        return 1
    if console.is_terminal:
        console.print(_table(found))
    else:
        for process in found.processes:
            _say(console, "  ".join(map(str.ljust, _columns(process), _WIDTHS)).rstrip())
            if process.state != "ready" and process.message:
                _say(console, f"  {process.message}")
    return 0 if found.ready() else 1


def _why_not_running(found: Status) -> str:
    if found.phase == "failed":
        return f"the stack is not running; the last start failed: {found.error}"
    if found.phase == "stopped":
        return "the stack is not running: `./just up` starts it"
    return "the stack is not running: its supervisor was killed, or the machine restarted; `./just up` starts it again"


def _table(found: Status) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("process", "state", "since", "pid", "restarts", "address", "log"):
        table.add_column(
            heading, justify="right" if heading in ("pid", "restarts") else "left", overflow="fold"
        )
    for process in found.processes:
        name, state, *rest = (Text(column) for column in _columns(process))
        state.stylize(_COLOURS.get(process.state, "white"))
        table.add_row(name, state, *rest)
        if process.state != "ready" and process.message:
            table.add_row("", "", "", "", "", Text(process.message), "")
    return table


def _columns(process: ProcessStatus) -> tuple[str, ...]:
    pid = "-" if process.identity is None else str(process.identity.pid)
    log = os.path.relpath(process.log) if process.log else "(docker logs)"
    log = min(log, process.log or log, key=len)
    return (
        process.name,
        process.state,
        _age(time.time() - process.since),
        pid,
        str(process.restarts),
        process.address,
        log,
    )


def _age(seconds: float) -> str:
    if seconds < 120:
        return f"{max(seconds, 0):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
