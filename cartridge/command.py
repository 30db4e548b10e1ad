"""The `cartridge` command.

In: a command line. Out: an exit code: 0 done, 1 failed, 2 bad input or an impossible setting, 130 interrupted.
Invariant: an error is one line on standard error that says what to do next; nothing else imports every package.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

# These modules import what they need when they are asked: `cartridge status` does not wait for torch.
from cartridge import (
    evaluate_command,
    games_command,
    logs,
    replay_command,
    runs_command,
    sql_command,
    train_command,
)
from cartridge.errors import CartridgeError
from cartridge.settings import Settings
from cartridge.stack import commands as stack


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command. Returns the exit code."""
    logs.silence()  # until a service configures them
    parsed = _parser().parse_args(arguments)
    try:
        return int(parsed.handler(parsed, Settings.load()))
    except CartridgeError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of a pipe has seen enough
        sys.stderr.close()
        return 0


class _OneLine(argparse.ArgumentParser):
    """Says what is wrong in one line; argparse's own way is to list every option first."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}: see `{self.prog} --help`\n")


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _OneLine(
        prog="cartridge", description="Reinforcement learning on a log."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    stack.add_parser(commands)
    train_command.add_parser(commands)
    runs_command.add_parser(commands)
    evaluate_command.add_parser(commands)
    sql_command.add_parser(commands)
    replay_command.add_parser(commands)
    games_command.add_parser(commands)
    _add_services(commands)
    return parser


def _add_services(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    engine = commands.add_parser("engine", help="the gRPC service over the games")
    engine.set_defaults(handler=_engine)
    actor = commands.add_parser("actor", help="plays every wanted run and publishes its transitions")
    actor.add_argument("--index", type=int, default=0, help="number of this actor within every run, from 0")
    actor.set_defaults(handler=_actor)
    compactor = commands.add_parser(
        "compactor", help="compacts transitions into Parquet shards, exactly once"
    )
    compactor.add_argument(
        "--member", help="name of this process among the compactors; the host's by default"
    )
    compactor.set_defaults(handler=_compactor)
    learner = commands.add_parser("learner", help="learns every wanted run and publishes its weights")
    learner.set_defaults(handler=_learner)


def _engine(_parsed: argparse.Namespace, settings: Settings) -> int:
    logs.configure("engine", level=settings.log_level)
    from engine import server

    return server.run(settings)


def _actor(parsed: argparse.Namespace, settings: Settings) -> int:
    logs.configure(f"actor-{parsed.index}", level=settings.log_level)
    from actor import service

    return service.run(settings, index=parsed.index)


def _compactor(parsed: argparse.Namespace, settings: Settings) -> int:
    logs.configure("compactor", level=settings.log_level)
    from streams import service

    return service.run(settings, member=parsed.member)


def _learner(_parsed: argparse.Namespace, settings: Settings) -> int:
    logs.configure("learner", level=settings.log_level)
    from learner import service

    return service.run(settings)
