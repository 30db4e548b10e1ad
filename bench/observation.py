"""What observing costs an environment, from one environment a call to thousands.

Enters: numbers of environments, durations. Leaves: a table, or JSON with --json: nanoseconds an environment.
Invariant: observations of all four agents of the arena, into buffers that are made once; the best of many short runs,
as others use the machine too. The numbers of environments take turns, so that a busy moment meets all of them.

`observe` is the plan alone, `step` is a whole joint step: rules, masks and observations.

    python bench/observation.py
    python bench/observation.py --json --calls observe --environments 1 4096
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from games import registry
from games.arena.loadouts import plan
from games.batch import Outcomes, Positions
from games.contract import Game
from games.moves import random_actions

GAME = "arena"
ENVIRONMENTS = (1, 4, 16, 64, 256, 1024, 4096)
CALLS = ("observe", "step")
RUNS = 200  # of each, the best counts: so short that many of them are not interrupted
SEED = 3
PLAYED = 10  # steps before the measured one: agents have met


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the table."""

    call: str
    environments: int
    ns_per_environment: float
    observation_bytes: int  # of one environment


def played(game: Game, rows: int) -> tuple[Positions, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]]:
    """Positions of random play that goes on, and legal actions."""
    rng = np.random.default_rng(SEED)
    position = game.reset(np.arange(rows, dtype=np.uint64))
    for _ in range(PLAYED):
        after = game.step(position.states, random_actions(game, position, rng))
        ended = (after.terminated | after.truncated).astype(np.bool_)
        states = np.where(ended[:, None], position.states, after.positions.states)
        position = game.observe(states)
    return position, random_actions(game, position, rng)


def observe_call(game: Game, rows: int) -> Callable[[], object]:
    """The plan alone."""
    position, _ = played(game, rows)
    observations = plan()
    return lambda: observations.write(position.states, position.obs)


def step_call(game: Game, rows: int) -> Callable[[], object]:
    """A joint step."""
    position, actions = played(game, rows)
    out = Outcomes.empty(game.spec, rows)
    return lambda: game.step(position.states, actions, out=out)


def best_ns(calls: Sequence[Callable[[], object]], *, seconds: float) -> list[float]:
    """Nanoseconds of each call, in the fastest of its RUNS runs, which take about `seconds` together."""
    repeats = []
    for call in calls:
        call()
        repeats.append(max(1, int(seconds / RUNS / run_seconds(call, 1))))
    best = [float("inf")] * len(calls)
    for _ in range(RUNS):
        for index, call in enumerate(calls):
            call()  # what the others left in the caches goes
            best[index] = min(best[index], run_seconds(call, repeats[index]) / repeats[index])
    return [1e9 * each for each in best]


def run_seconds(call: Callable[[], object], repeats: int) -> float:
    """How long so many calls take."""
    began = time.perf_counter()
    for _ in range(repeats):
        call()
    return time.perf_counter() - began


def measure_all(calls: list[str], environments: list[int], *, seconds: float) -> Iterator[Result]:
    """Every wanted combination."""
    game = registry.get(GAME)
    for name in calls:
        make = observe_call if name == "observe" else step_call
        best = best_ns([make(game, rows) for rows in environments], seconds=seconds)
        for rows, ns in zip(environments, best, strict=True):
            yield Result(name, rows, ns / rows, 4 * game.spec.obs_size)


def main(arguments: list[str] | None = None) -> int:
    """Print the table or JSON. Returns the exit code."""
    parser = argparse.ArgumentParser(description="What observing costs an environment.")
    parser.add_argument("--json", action="store_true", help="one JSON array instead of the table")
    parser.add_argument("--seconds", type=float, default=1.0, help="a measurement (default 1)")
    parser.add_argument("--calls", nargs="+", choices=CALLS, default=list(CALLS))
    parser.add_argument("--environments", nargs="+", type=int, default=list(ENVIRONMENTS))
    options = parser.parse_args(arguments)
    results = measure_all(options.calls, options.environments, seconds=options.seconds)
    if options.json:
        print(json.dumps([asdict(result) for result in results], indent=2))
        return 0
    print(f"{'call':8}{'environments':>13}{'ns/environment':>16}{'environments/s':>16}{'GB/s':>8}")
    for result in results:
        rate = 1e9 / result.ns_per_environment
        print(
            f"{result.call:8}{result.environments:13}{result.ns_per_environment:16,.0f}{rate:16,.0f}"
            f"{rate * result.observation_bytes / 1e9:8.2f}",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
