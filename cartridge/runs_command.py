"""`cartridge runs`: which runs there are, how they stand; to stop one, and to let it go on.

In: cartridge.runs, cartridge.weights, cartridge.shards and cartridge.run-status. Out: a table; a newer RunSpec.
Invariant: a run's state is what its newest records say.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from cartridge.settings import Settings

if TYPE_CHECKING:
    from streams.records import RunSpec, RunStatus, WeightsPublished


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `runs` with `list` (also without a word), `stop RUN` and `start RUN`."""
    parser = commands.add_parser("runs", help="the runs that there are: list, stop, start")
    parser.set_defaults(handler=_list)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    actions.add_parser("list", help="a table of all runs").set_defaults(handler=_list)
    for name, wanted, text in (
        ("stop", "STOPPED", "actors and learner leave the run; nothing of it is lost"),
        ("start", "RUNNING", "a stopped or failed run goes on from its last checkpoint"),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument("run", help="name of the run")
        action.set_defaults(handler=_set_wanted, wanted=wanted)


def _set_wanted(parsed: argparse.Namespace, settings: Settings) -> int:
    from cartridge import runs

    spec = runs.find(settings, parsed.run)
    # submitted anew, so that a component that had failed on the old spec takes it up again
    runs.write(settings, dataclasses.replace(spec, wanted=parsed.wanted, submitted_us=time.time_ns() // 1000))
    word = "is to stop" if parsed.wanted == "STOPPED" else "is to go on"
    Console().print(
        f"run {spec.run} {word}; `./just runs` shows how it stands", highlight=False, soft_wrap=True
    )
    return 0


def _list(_parsed: argparse.Namespace, settings: Settings) -> int:
    from cartridge import runs

    specs = runs.all_runs(settings)
    weights = runs.newest_weights(settings)
    status = runs.newest_status(settings)
    rows: dict[str, int] = {}
    for shard in runs.shards_of(settings):
        rows[shard.run] = rows.get(shard.run, 0) + shard.rows
    console = Console()
    if not console.is_terminal:
        console.width = 10_000  # a pipe has no edge to wrap at
    table = Table(box=None, header_style="bold")
    for heading in (
        "run",
        "game",
        "state",
        "weights",
        "gradient steps",
        "sealed rows",
        "strength",
        "verdict",
    ):
        table.add_column(
            heading, justify="left" if heading in ("run", "game", "state", "verdict") else "right"
        )
    for spec in specs:
        newest = weights.get(spec.run)
        state = _state(spec, newest, [one for (run, _), one in status.items() if run == spec.run])
        table.add_row(spec.run, spec.env_id, state, *_figures(newest, rows.get(spec.run, 0)))
    console.print(table)
    return 0


def _state(spec: RunSpec, newest: WeightsPublished | None, components: list[RunStatus]) -> str:
    if newest is not None and newest.final:
        return "finished"
    if any(status.state == "FAILED" and status.time_us > spec.submitted_us for status in components):
        return "failed"
    return spec.wanted.lower()


def _figures(newest: WeightsPublished | None, rows: int) -> list[str]:
    if newest is None:
        return ["-", "0", f"{rows:,}", "-", ""]
    strength, score = newest.evaluation.get("strength"), newest.evaluation.get("return_mean")
    shown = "-" if score is None else f"return {score:,.2f}"
    if strength is not None:
        shown = f"{strength:.2%}"
    return [f"v{newest.version}", f"{newest.gradient_steps:,}", f"{rows:,}", shown, newest.verdict]
