"""`cartridge evaluate RUN`: strength, computed again from the checkpoint in the object store.

In: a run's announced weights. Out: a table of what the greedy policy wins, draws and loses in every line of play, or of
its returns where there are too many lines; the verdict.
Invariant: nothing is taken from the run's own evaluation; the figures come from the tensors.
"""

from __future__ import annotations

import argparse
import json

from rich.console import Console
from rich.table import Table

from cartridge.errors import UsageError
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
    from games.errors import GameError
    from learner import evaluate, score

    found = load_checkpoint(settings, parsed.run, version=parsed.version)
    try:
        game = registry.get(found.manifest.env_id)
    except GameError as error:
        raise UsageError(f"run is {parsed.run!r}: {error}") from error
    if game.spec.build_id != found.manifest.build_id:
        raise UsageError(
            f"build_id is {found.manifest.build_id!r} in {found.prefix}: this build of {game.spec.env_id} is"
            f" {game.spec.build_id!r}, whose rules may differ"
        )
    verdict = evaluate.verdict(game, found.policy.values)
    if verdict is not None:
        figures, word = verdict.figures(), verdict.word
        said = (
            "unbeatable: no line is lost"
            if verdict.unbeatable
            else f"beatable: strength {verdict.strength:.2%}"
        )
    else:
        spec = found.manifest.settings
        hint = bytes.fromhex(str(spec.get("hint", "")))
        figures, word = (
            score.play(game, found.policy.values, seed=found.manifest.seed, hint=hint).figures(),
            "",
        )
        said = f"mean return {figures['return_mean']:.2f} over {figures['episodes']:.0f} episodes played greedily"
    if parsed.json:
        place = {
            "run": parsed.run,
            "version": found.manifest.version,
            "checkpoint": found.prefix,
            "verdict": word,
        }
        Console(soft_wrap=True).print_json(json.dumps(place | figures))
        return 0
    console = Console()
    title = f"{parsed.run}, weights v{found.manifest.version}"
    console.print(_lines_table(figures, title) if verdict is not None else _score_table(figures, title))
    console.print(f"{said}   ({found.prefix})", soft_wrap=True, highlight=False)
    return 0


def _lines_table(figures: dict[str, float], title: str) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in ("played as", "lines", "lost", "drawn", "won"):
        table.add_column(heading, justify="left" if heading == "played as" else "right")
    for seat in ("first", "second"):
        counts = [f"{figures[f'{outcome}_as_{seat}']:,.0f}" for outcome in ("lines", "lost", "drawn", "won")]
        table.add_row(seat, *counts)
    return table


def _score_table(figures: dict[str, float], title: str) -> Table:
    table = Table(title=title, title_justify="left")
    for heading in ("episodes", "mean return", "lowest", "highest", "mean length"):
        table.add_column(heading, justify="right")
    names = ("return_mean", "return_min", "return_max")
    returns = [f"{figures[name]:,.2f}" for name in names]
    table.add_row(f"{figures['episodes']:.0f}", *returns, f"{figures['length_mean']:,.1f}")
    return table
