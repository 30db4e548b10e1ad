"""What every program of the comparison does: it finds its best way, then answers one round after the other.

Enters: ways to take steps; on standard input one number of seconds a line. Leaves: on standard output one line of JSON
with the best way, then one a round with steps and seconds. Invariant: compiling, warming up and choosing are over
before the first line is written; between rounds the program only waits.

Standard library only: a peer's environment has none of this project's packages but what the peers need.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_TRY_S = 0.4


@dataclass(frozen=True)
class Way:
    """One way to take steps."""

    name: str  # such as "batch 1024"
    run: Callable[[float], int]  # for about so many seconds; gives the steps taken


def answer(ways: Iterable[Way]) -> None:
    """Try all ways, and serve rounds with the best until standard input ends."""
    best, rates = _best(ways)
    _say({"way": best.name, "steps_per_s": rates})
    for line in sys.stdin:
        began = time.perf_counter()
        steps = best.run(float(line))
        _say({"steps": steps, "seconds": time.perf_counter() - began})


def _best(ways: Iterable[Way]) -> tuple[Way, dict[str, float]]:
    """The fastest way, and the steps/s of each; a way is made, tried, and let go of before the next is made."""
    best: Way | None = None
    rates: dict[str, float] = {}
    for way in ways:
        way.run(_TRY_S / 4)  # compiles, fills caches
        began = time.perf_counter()
        steps = way.run(_TRY_S)
        rates[way.name] = steps / (time.perf_counter() - began)
        if best is None or rates[way.name] > rates[best.name]:
            best = way
    if best is None:
        raise ValueError("ways: there is none; give at least one")
    return best, rates


def _say(what: dict[str, object]) -> None:
    print(json.dumps(what), flush=True)
