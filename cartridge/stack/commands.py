"""`cartridge up | down | status` on the command line.

In: parsed arguments. Out: exit codes. Invariant: the home folder is CARTRIDGE_HOME, else ./.cartridge; nothing else
of the environment is interpreted here.
"""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rich.console import Console

from cartridge.stack.down import down, status
from cartridge.stack.up import up

if TYPE_CHECKING:
    from cartridge.settings import Settings

    # argparse's own type for what add_subparsers gives
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]


def add_parser(subparsers: Subparsers) -> None:
    """Adds `up`, `down` and `status`; each sets `run`, a function from the parsed arguments to the exit code."""
    parser = subparsers.add_parser("up", help="start everything and show a training run")
    parser.add_argument(
        "--no-run", action="store_true", help="start the stack, without the demonstration run"
    )
    parser.set_defaults(run=_up)
    parser = subparsers.add_parser("down", help="stop everything, keep the data")
    parser.add_argument(
        "--delete-data", action="store_true", help="delete all data and logs as well; asks first"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.set_defaults(run=_down)
    parser = subparsers.add_parser("status", help="each process of the stack")
    parser.set_defaults(run=_status)


def _up(options: argparse.Namespace) -> int:
    return up(home=_home(), console=Console(), demonstrate=None if options.no_run else _demonstration())


def _down(options: argparse.Namespace) -> int:
    return down(home=_home(), console=Console(), delete_data=options.delete_data, yes=options.yes)


def _status(_options: argparse.Namespace) -> int:
    return status(home=_home(), console=Console())


def _demonstration() -> Callable[[Settings, Console], int]:
    # Imported late: it brings Kafka's client, which `status` and `down` do without.
    runs = importlib.import_module("cartridge.runs")
    return cast("Callable[[Settings, Console], int]", runs.demonstrate)


def _home() -> Path:
    return Path(os.environ.get("CARTRIDGE_HOME", ".cartridge")).absolute()
