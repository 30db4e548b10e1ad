"""Gymnasium: one environment in a loop, or its own vectorized version, which a few have. Random actions, resets.

Enters: an environment by Gymnasium's name. Leaves: steps/s of its best way, by the protocol of `rounds`.
Invariant: actions are drawn in numpy, many at a time, as `action_space.sample` would cost more than the step.

    python -m bench.peers.gymnasium CartPole-v1
    python -m bench.peers.gymnasium CartPole-v1 --vectorized
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.peers.rounds import Way, answer

BATCHES = (64, 1024, 4096)  # environments of the vectorized version
_DRAWN = 4096


def ways(name: str, *, vectorized: bool) -> Iterator[Way]:
    """One environment at a time, or many in numpy."""
    import gymnasium

    if not vectorized:
        yield _single(gymnasium.make(name))
        return
    for batch in BATCHES:
        env = gymnasium.make_vec(name, num_envs=batch, vectorization_mode="vector_entry_point")
        yield _vectorized(env, batch)


def _draw(generator: np.random.Generator, space: Any, rows: int) -> Any:
    if hasattr(space, "n"):
        return generator.integers(0, space.n, rows)
    return generator.uniform(space.low, space.high, (rows, *space.shape)).astype(np.float32)


def _single(env: Any) -> Way:
    generator = np.random.default_rng(1)
    actions = itertools.cycle(list(_draw(generator, env.action_space, _DRAWN)))
    env.reset(seed=1)

    def run(seconds: float) -> int:
        until, steps = time.perf_counter() + seconds, 0
        while time.perf_counter() < until:
            _, _, terminated, truncated, _ = env.step(next(actions))
            if terminated or truncated:
                env.reset()
            steps += 1
        return steps

    return Way("one environment", run)


def _vectorized(env: Any, batch: int) -> Way:
    generator = np.random.default_rng(1)
    env.reset(seed=1)

    def run(seconds: float) -> int:
        until, steps = time.perf_counter() + seconds, 0
        while time.perf_counter() < until:
            env.step(_draw(generator, env.single_action_space, batch))
            steps += batch
        return steps

    return Way(f"{batch} environments", run)


def main() -> int:
    """Serve rounds until standard input ends."""
    parser = argparse.ArgumentParser(description="Random play in an environment of Gymnasium.")
    parser.add_argument("name")
    parser.add_argument("--vectorized", action="store_true", help="in numpy, where Gymnasium has that")
    options = parser.parse_args()
    answer(ways(options.name, vectorized=options.vectorized))
    return 0


if __name__ == "__main__":
    sys.exit(main())
