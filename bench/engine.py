"""Steps a second of the engine: the kernel alone, then through each kind of call; and beside its peers.

Enters: games, calls, batch sizes, durations. Leaves: a table, or JSON with --json: steps/s, and CPU microseconds a step
on either side; with --peers a table a game, and whether the marks are met.
Invariant: engine and client are two processes, as in the stack; what is compared is measured in one run, in turns.

    python bench/engine.py
    python bench/engine.py --game cartpole pendulum --calls stream --batches 1024 --json --seconds 3
    python bench/engine.py --peers
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.calls import CALLS, Result, engine_process, measure_calls
from bench.peers import contest, verdict
from bench.peers.environment import peers_python
from cartridge.errors import CartridgeError
from cartridge.stack.progress import Progress
from engine.memory import keep_freed
from games import registry

BATCHES = (1, 64, 1024, 4096)
GAME = "tictactoe"


def main(arguments: list[str] | None = None) -> int:
    """Print the table or JSON. Returns the exit code."""
    options = _parser().parse_args(arguments)
    unknown = sorted(set(options.game or ()) - set(contest.GAMES))
    if options.peers and unknown:
        known = ", ".join(contest.GAMES)
        print(
            f"error: --game {' '.join(unknown)}: no peer has it; give {known}, or leave --peers out",
            file=sys.stderr,
        )
        return 2
    keep_freed()
    try:
        if options.peers:
            _compare(options)
        else:
            _measure(options)
    except CartridgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Steps a second of the engine.")
    parser.add_argument("--json", action="store_true", help="JSON instead of tables")
    parser.add_argument("--seconds", type=float, default=1.0, help="a measurement (default 1)")
    parser.add_argument("--game", nargs="+", choices=registry.names(), help=f"(default {GAME})")
    parser.add_argument("--calls", nargs="+", choices=CALLS, default=list(CALLS))
    parser.add_argument("--batches", nargs="+", type=int, default=list(BATCHES))
    parser.add_argument(
        "--peers",
        action="store_true",
        help=f"instead: side by side with others, who have the games {', '.join(contest.GAMES)} (default all)",
    )
    parser.add_argument("--rounds", type=int, default=5, help="with --peers: turns that each has (default 5)")
    return parser


def _measure(options: argparse.Namespace) -> None:
    results = measure_all(options.game or [GAME], options.calls, options.batches, seconds=options.seconds)
    if options.json:
        print(json.dumps([asdict(result) for result in results], indent=2))
        return
    print(f"{'game':12}{'call':8}{'batch':>6}{'steps/s':>14}{'client µs/step':>16}{'engine µs/step':>16}")
    for result in results:
        print(
            f"{result.game:12}{result.call:8}{result.batch:6}{result.steps_per_s:14,.0f}"
            f"{result.client_us_per_step:16.3f}{result.engine_us_per_step:16.3f}",
            flush=True,
        )


def measure_all(
    games: list[str], calls: list[str], batches: list[int], *, seconds: float
) -> Iterator[Result]:
    """Every wanted combination, against one engine."""
    with engine_process() as engine:
        for game in games:
            yield from measure_calls(registry.get(game), calls, batches, engine=engine, seconds=seconds)


def _compare(options: argparse.Namespace) -> None:
    """Each game's contest, then the stream, then the marks."""
    console = Console(stderr=options.json)
    with Progress(Console(stderr=True)) as progress:
        python = peers_python(progress)
    games = options.game or contest.GAMES
    contests, judged = {}, []
    for game in games:
        contests[game] = _contest(game, options, python=python)
        found = verdict.lines(game, contests[game])
        console.print(verdict.table_of(game, found))
        judged += verdict.verdicts(game, found)
    stream = [
        result.steps_per_s
        for _ in range(options.rounds)
        for result in measure_all([GAME], ["stream"], [verdict.STREAM_BATCH], seconds=options.seconds)
    ]
    judged.append(verdict.stream_verdict(stream))
    for one in judged:
        console.print(str(one), highlight=False)
    if options.json:
        print(json.dumps(verdict.report(contests, stream, judged), indent=2))


def _contest(game: str, options: argparse.Namespace, *, python: Path) -> list[contest.Reached]:
    """One game's contest, with its progress on standard error."""
    with Progress(Console(stderr=True)) as progress, progress.part(game) as part:
        return contest.compete(
            contest.contestants(game),
            peers_python=python,
            rounds=options.rounds,
            seconds=options.seconds,
            say=part.say,
        )


if __name__ == "__main__":
    sys.exit(main())
