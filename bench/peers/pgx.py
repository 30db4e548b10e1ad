"""pgx, jitted for both cores: a scan over vectorized steps with random legal actions and auto-reset.

Enters: a game by pgx's name, a number of cores. Leaves: steps/s of its best way, by the protocol of `rounds`.
Invariant: the final state, observation included, is an output, so that no step's work can be left out by the compiler.

Ways: one device whose operations are spread over the cores, or a device a core; several batch sizes; and actions drawn
by `jax.random` as in pgx's documents, or by a hash of a counter, which is what Cartridge does and costs JAX less.
Starts are drawn where a game's start is random; else one key serves all of them, which spares pgx that work.

    python -m bench.peers.pgx tic_tac_toe --cores 2
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from bench.peers.rounds import Way, answer

BATCHES = (1024, 2048, 4096)
SCAN = 128  # steps a call
RANDOM_STARTS = ("2048",)


def mix(bits: Any) -> Any:
    """A hash of u32 with good avalanche (Wellons, "hash prospector": lowbias32)."""
    import jax.numpy as jnp

    bits = (bits ^ (bits >> 16)) * jnp.uint32(0x7FEB352D)
    bits = (bits ^ (bits >> 15)) * jnp.uint32(0x846CA68B)
    return bits ^ (bits >> 16)


def nth_legal(mask: Any, bits: Any) -> Any:
    """A uniformly drawn legal action of bool[A], by 32 random bits. XLA is slower at a cumulative sum."""
    import jax.numpy as jnp

    wanted = ((bits >> 16) * mask.sum(dtype=jnp.uint32)) >> 16
    action, seen = jnp.int32(0), jnp.uint32(0)
    for legal in mask:
        seen = seen + legal.astype(jnp.uint32)
        action = action + (seen <= wanted).astype(jnp.int32)
    return action


def play_by_hash(game: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """`start(bits)` and `play(carry)` of one device; bits u32[N] are the only source of randomness."""
    import jax
    import jax.numpy as jnp
    import pgx
    from pgx.experimental.wrappers import auto_reset

    env = pgx.make(game)
    step = auto_reset(env.step, env.init)
    one_key = jax.random.key(0)

    def key_of(bits: Any) -> Any:
        return jax.random.wrap_key_data(jnp.stack([bits, mix(bits)])) if game in RANDOM_STARTS else one_key

    def body(carry: Any, _: None) -> tuple[Any, Any]:
        state, bits = carry
        bits = mix(bits + jnp.uint32(0x9E3779B9))
        actions = jax.vmap(nth_legal)(state.legal_action_mask, bits)
        state = jax.vmap(lambda one, action, own: step(one, action, key_of(own)))(state, actions, bits)
        return (state, bits), state.rewards.sum()

    def start(bits: Any) -> Any:
        return jax.vmap(lambda own: env.init(jax.random.key(own)))(bits), bits

    return start, lambda carry: jax.lax.scan(body, carry, None, length=SCAN)


def play_by_key(game: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The same as pgx's documents have it: keys are split, logits of illegal actions are masked."""
    import jax
    import jax.numpy as jnp
    import pgx
    from pgx.experimental.wrappers import auto_reset

    env = pgx.make(game)
    step = auto_reset(env.step, env.init)

    def body(carry: Any, _: None) -> tuple[Any, Any]:
        state, key = carry
        key, drawing, stepping = jax.random.split(key, 3)
        logits = jnp.log(state.legal_action_mask.astype(jnp.float32))
        actions = jax.random.categorical(drawing, logits, axis=1)
        state = jax.vmap(step)(state, actions, jax.random.split(stepping, len(actions)))
        return (state, key), state.rewards.sum()

    def start(bits: Any) -> Any:
        keys = jax.vmap(jax.random.key)(bits)
        return jax.vmap(env.init)(keys), keys[0]

    return start, lambda carry: jax.lax.scan(body, carry, None, length=SCAN)


def ways(game: str, cores: int) -> Iterator[Way]:
    """Each compiled only when it is its turn."""
    for devices in sorted({1, cores}):
        for batch in BATCHES:
            name = f"{devices} {'devices' if devices > 1 else 'device'}, batch {batch}"
            yield _way(name, play_by_hash(game), devices, batch)
    yield _way(f"1 device, batch {BATCHES[-1]}, jax.random", play_by_key(game), 1, BATCHES[-1])


def _way(name: str, game: tuple[Callable[..., Any], Callable[..., Any]], devices: int, batch: int) -> Way:
    import jax
    import jax.numpy as jnp

    start, play = game
    bits = jnp.arange(batch, dtype=jnp.uint32)
    if devices == 1:
        start, play = jax.jit(start), jax.jit(play, donate_argnums=0)
    else:
        start, play = jax.pmap(start), jax.pmap(play, donate_argnums=0)
        bits = bits.reshape(devices, -1)
    carry = None

    def run(seconds: float) -> int:
        nonlocal carry
        if carry is None:  # the first run is not measured
            carry, _ = jax.block_until_ready(play(start(bits)))
        until, steps = time.perf_counter() + seconds, 0
        while time.perf_counter() < until:
            carry, _ = jax.block_until_ready(play(carry))
            steps += batch * SCAN
        return steps

    return Way(name, run)


def main() -> int:
    """Serve rounds until standard input ends."""
    parser = argparse.ArgumentParser(description="Random play of a game of pgx.")
    parser.add_argument("game")
    parser.add_argument("--cores", type=int, default=2)
    options = parser.parse_args()
    # Before jax is imported. It looks for no accelerator, as the others use none.
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={options.cores}"
    answer(ways(options.game, options.cores))
    return 0


if __name__ == "__main__":
    sys.exit(main())
