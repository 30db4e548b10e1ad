"""EnvPool: 256 environments over two threads, random actions, its own auto-reset.

Enters: an environment by Gymnasium's name, a number of cores. Leaves: steps/s of its best way, by the protocol of
`rounds`. Invariant: each environment that comes back is counted, also where it only starts its next episode, which is a
call of its own here.

Ways: all environments in step, or whichever half or quarter is ready first.

    python -m bench.peers.envpool CartPole-v1 --cores 2
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.peers.rounds import Way, answer

ENVIRONMENTS = 256
READY = (256, 128, 64)  # environments a call


def ways(name: str, cores: int) -> Iterator[Way]:
    """Each with a pool of its own, made when it is its turn."""
    for ready in READY:
        yield _way(name, ready, cores)


def _way(name: str, ready: int, cores: int) -> Way:
    import envpool

    pool = envpool.make(
        name, env_type="gymnasium", num_envs=ENVIRONMENTS, batch_size=ready, num_threads=cores
    )
    generator = np.random.default_rng(1)

    def actions() -> Any:
        if hasattr(pool.action_space, "n"):
            return generator.integers(0, pool.action_space.n, ready, np.int32)
        low, high = pool.action_space.low, pool.action_space.high
        return low + (high - low) * generator.random((ready, *low.shape), np.float32)

    if ready == ENVIRONMENTS:
        pool.reset()
    else:
        pool.async_reset()

    def run(seconds: float) -> int:
        until, steps = time.perf_counter() + seconds, 0
        while time.perf_counter() < until:
            if ready == ENVIRONMENTS:
                pool.step(actions())
            else:
                *_, info = pool.recv()
                pool.send(actions(), info["env_id"])
            steps += ready
        return steps

    return Way(f"{ENVIRONMENTS} environments, {ready} a call", run)


def main() -> int:
    """Serve rounds until standard input ends."""
    parser = argparse.ArgumentParser(description="Random play in an environment of EnvPool.")
    parser.add_argument("name")
    parser.add_argument("--cores", type=int, default=2)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of the bounds of spaces
    answer(ways(options.name, options.cores))
    return 0


if __name__ == "__main__":
    sys.exit(main())
