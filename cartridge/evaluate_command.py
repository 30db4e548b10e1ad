"""`cartridge evaluate RUN`: strength, computed again from the checkpoint in the object store.

In: a run's announced weights. Out: a table of what the greedy policy wins, draws and loses; the verdict.
Invariant: nothing is taken from the run's own evaluation; the figures come from the tensors.
"""

from __future__ import annotations

import argparse
import json

from rich.console import Console
from rich.table import Table

from cartridge.errors import CartridgeError, UsageError
from cartridge.settings import Settings


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `evaluate`."""
    parser = commands.add_parser("evaluate", help="a run's strength, computed from its checkpoint")
    parser.add_argument("run", help="name of the run")
    parser.add_argument("--version", type=int, help="weights version; the newest by default")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(handler=_evaluate)


def _evaluate(parsed: argparse.Namespace, settings: Settings) -> int:
    from cartridge.policies import load_checkpoint
    from games import registry
    from learner import evaluate

    found = load_checkpoint(settings, parsed.run, version=parsed.version)
    game = registry.get(found.manifest.env_id)
    if game.spec.build_id != found.manifest.build_id:
        raise UsageError(
            f"build_id is {found.manifest.build_id!r} in {found.prefix}: this build of {game.spec.env_id} is"
            f" {game.spec.build_id!r}, whose rules may differ"
        )
    verdict = evaluate.verdict(game, found.policy.values)
    if verdict is None:
        raise CartridgeError(f"{game.spec.env_id} has too many lines of play to look at each one")
    figures = verdict.figures()
    if parsed.json:
        said = {
            "run": parsed.run,
            "version": found.manifest.version,
            "checkpoint": found.prefix,
            "verdict": verdict.word,
        }
        Console(soft_wrap=True).print_json(json.dumps(said | figures))
        return 0
    console = Console()
    console.print(_table(figures, f"{parsed.run}, weights v{found.manifest.version}"))
    word = (
        "unbeatable: no line is lost" if verdict.unbeatable else f"beatable: strength {verdict.strength:.2%}"
    )
    console.print(f"{word}   ({found.prefix})", soft_wrap=True, highlight=False)
    return 0


def _table(figures: dict[str, float], title: str) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in ("played as", "lines", "lost", "drawn", "won"):
        table.add_column(heading, justify="left" if heading == "played as" else "right")
    for seat in ("first", "second"):
        counts = [f"{figures[f'{outcome}_as_{seat}']:,.0f}" for outcome in ("lines", "lost", "drawn", "won")]
        table.add_row(seat, *counts)
    return table
