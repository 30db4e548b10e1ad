"""`cartridge up | down | status` on the command line.

In: parsed arguments, settings. Out: exit codes. Invariant: of the settings only the home folder counts here; the
addresses are those that the stack itself has or makes.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from rich.console import Console

from cartridge.settings import Settings
from cartridge.stack.down import down, status
from cartridge.stack.up import up

if TYPE_CHECKING:
    # argparse's own type for what add_subparsers gives
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Adds `up`, `down` and `status`; each sets `handler`, (arguments, settings) -> exit code."""
    parser = subparsers.add_parser("up", help="start everything and show a training run")
    parser.add_argument(
        "--no-run", action="store_true", help="start the stack, without the demonstration run"
    )
    parser.set_defaults(handler=_up)
    parser = subparsers.add_parser("down", help="stop everything, keep the data")
    parser.add_argument(
        "--delete-data", action="store_true", help="delete all data and logs as well; asks first"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(handler=_down)
    parser = subparsers.add_parser("status", help="each process of the stack")
    parser.set_defaults(handler=_status)


def _up(parsed: argparse.Namespace, settings: Settings) -> int:
    return up(home=settings.home, console=Console(), demonstrate=None if parsed.no_run else _demonstration())


def _down(parsed: argparse.Namespace, settings: Settings) -> int:
    return down(home=settings.home, console=Console(), delete_data=parsed.delete_data, yes=parsed.yes)


def _status(_parsed: argparse.Namespace, settings: Settings) -> int:
    return status(home=settings.home, console=Console())


def _demonstration() -> Callable[[Settings, Console], int]:
    # Imported late: it brings the games and DuckDB, which `status` and `down` do without.
    runs = importlib.import_module("cartridge.runs")
    return cast("Callable[[Settings, Console], int]", runs.demonstrate)
