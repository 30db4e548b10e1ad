"""`cartridge train GAME`: submits a run and follows it.

In: a command line. Out: a RunSpec on cartridge.runs, progress, the verdict.
Invariant: every setting of a run can be given, is checked, and stands in its record.
"""

from __future__ import annotations

import argparse
from dataclasses import fields

from rich.console import Console

from cartridge.settings import Settings

_HELP = {
    "algorithm": "how to learn",
    "run": "name of the run; one is made if it is left out",
    "seed": "seed of everything random",
    "actors": "actors that play it",
    "environments": "environments a batch; an actor has two batches",
    "chunk_steps": "steps of every environment in one chunk",
    "exploration": "probability of a random legal action",
    "hidden": "widths of the hidden layers, such as 64,64",
    "learning_rate": "step size of Adam",
    "batch_size": "transitions in a mini-batch",
    "discount": "discount of the successor's value",
    "target_period": "gradient steps between copies into the target network",
    "publish_period": "gradient steps between weights versions",
    "window_rows": "capacity of the replay window",
    "min_window_rows": "transitions inserted before the first gradient step",
    "samples_per_insert": "times that a transition is sampled on average",
    "samples_ahead": "samples that learner or actors may run ahead by",
    "where": "SQL condition over the transitions view: rows that enter the window",
    "max_gradient_steps": "end of the run whatever its strength; 0 for none",
    "stop_when": "what ends the run: unbeatable, or return>=NUMBER; empty for nothing",
    "hint": "reset hint of every episode, in hexadecimal; `games show GAME` says what it takes",
}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `train`."""
    from cartridge.wish import Wish

    parser = commands.add_parser(
        "train",
        help="submit a run and follow it",
        epilog="The defaults are those of tictactoe; cartridge/presets.py has what suits other games.",
    )
    parser.add_argument("game", help="the game to learn, such as tictactoe")
    for field in fields(Wish):
        if field.name == "env_id":
            continue
        default = field.default
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else default
        parser.add_argument(
            f"--{field.name.replace('_', '-')}",
            dest=field.name,
            type=_widths if field.name == "hidden" else type(default),
            default=argparse.SUPPRESS,
            help=f"{_HELP[field.name]} (default: {'none' if shown == '' else shown})".replace("%", "%%"),
        )
    parser.set_defaults(handler=_train)


def _widths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(width) for width in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of widths such as 64,64") from error


def _train(parsed: argparse.Namespace, settings: Settings) -> int:
    from cartridge import runs
    from cartridge.wish import Wish

    given = {field.name: getattr(parsed, field.name) for field in fields(Wish) if hasattr(parsed, field.name)}
    console = Console()
    spec = runs.begin(settings, Wish.of(parsed.game, **given), console)
    try:
        return runs.follow(settings, spec, console)
    except KeyboardInterrupt:
        console.print(
            f"\nrun {spec.run} goes on; `./just runs` shows it, `./just runs stop {spec.run}` ends it",
            highlight=False,
            soft_wrap=True,
        )
        raise
