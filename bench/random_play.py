"""Cartridge's side of the comparison with peers: a game played at random in this process, for ever.

Enters: a game, a number of threads. Leaves: steps/s at several batch sizes, by the protocol of `bench.peers.rounds`.
Invariant: what a peer's program does is done here as well, for every step: a uniformly drawn legal action, the step
with its observation, rewards and masks, and the start of the next episode where one has ended.

    python -m bench.random_play tictactoe --threads 2
    python -m bench.random_play tictactoe --kernel-alone       # the same positions again and again, nothing drawn
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from bench.calls import draw, kernel_run, play
from bench.peers.rounds import Way, answer
from engine.autoreset import AutoReset
from engine.memory import keep_freed
from games import registry
from games.contract import Box, Discrete, Game, Outcomes
from games.kernel import kernel
from games.moves import box_bounds

BATCHES = (1024, 4096, 16384)  # of all threads together
F32 = npt.NDArray[np.float32]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]

# place[byte * 8 + n] is the place of the n-th set bit of a byte.
_PLACES = np.array(
    [([bit for bit in range(8) if byte >> bit & 1] + [0] * 8)[:8] for byte in range(256)], np.uint8
).reshape(-1)


@kernel("none(in u64[2], u64, u32[1])")
def draw_legal(masks: U64, key: np.uint64, actions: U32) -> None:
    """A uniformly drawn legal action of every row of masks u64[N, 1], by the row's number and a key.

    The n-th set bit of a word as in Vigna, "Broadword implementation of rank/select queries" (2008), section 3.
    """
    for row in range(len(actions)):
        # SplitMix64's finalizer of a counter
        bits = key + np.uint64(row) * np.uint64(0x9E3779B97F4A7C15)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mask = masks[row, 0]
        sums = mask - (mask >> np.uint64(1) & np.uint64(0x5555555555555555))
        sums = (sums & np.uint64(0x3333333333333333)) + (sums >> np.uint64(2) & np.uint64(0x3333333333333333))
        sums = (sums + (sums >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
        sums *= np.uint64(0x0101010101010101)  # byte i: set bits of bytes 0 to i
        wanted = (bits >> np.uint64(32)) * (sums >> np.uint64(56)) >> np.uint64(32)
        # bit 7 of byte i: the sum of byte i is not above what is wanted
        below = (wanted * np.uint64(0x0101010101010101) | np.uint64(0x8080808080808080)) - sums
        below = (below >> np.uint64(7)) & np.uint64(0x0101010101010101)
        shift = (below * np.uint64(0x0101010101010101)) >> np.uint64(56) << np.uint64(3)
        before = (sums << np.uint64(8)) >> shift & np.uint64(255)
        byte = mask >> shift & np.uint64(255)
        actions[row] = shift + np.uint64(_PLACES[byte << np.uint64(3) | (wanted - before)])


@kernel("none(in f32[1], in f32[1], u64, f32[2])")
def draw_box(low: F32, high: F32, key: np.uint64, actions: F32) -> None:
    """A uniformly drawn action f32[N, K] within low and high f32[K]."""
    for row in range(len(actions)):
        for value in range(actions.shape[1]):
            bits = key + np.uint64(row * actions.shape[1] + value) * np.uint64(0x9E3779B97F4A7C15)
            bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            part = np.float32(bits >> np.uint64(40)) * np.float32(2.0**-24)
            actions[row, value] = low[value] + (high[value] - low[value]) * part


class RandomPlay:
    """N episodes at a time; each ends and is followed by another with the next seed."""

    def __init__(self, game: Game, rows: int, *, seed: int) -> None:
        self._game = game
        self._random = np.random.default_rng(seed)
        self._seeds = self._random.integers(0, 2**62, rows).astype(np.uint64)
        self._actions = np.zeros((rows, game.spec.action_bytes), np.uint8)
        self._draw = self._drawer(game)
        self._resets = AutoReset(game)
        self._now, self._next = Outcomes.empty(game.spec, rows), Outcomes.empty(game.spec, rows)
        game.reset(self._seeds, out=self._now.positions)
        self._key = int(self._random.integers(0, 2**62))

    def step(self) -> Outcomes:
        """One step of every row. Returns what it led to, valid until the step after the next."""
        before, after = self._now, self._next
        self._key = (self._key + 0x9E3779B97F4A7C15 * len(self._seeds)) % 2**64
        self._draw(before.positions.legal_masks, np.uint64(self._key))
        self._game.step(before.positions.states, self._actions, out=after)
        self._seeds += np.uint64(1)
        self._resets.apply(after, self._seeds)
        self._now, self._next = after, before
        return after

    @property
    def actions(self) -> npt.NDArray[np.uint8]:
        """What the last step played, u8[N, A]."""
        return self._actions

    def _drawer(self, game: Game) -> Callable[[U64, np.uint64], None]:
        space = game.spec.action_space
        if isinstance(space, Discrete) and game.spec.mask_words == 1 and not game.spec.agents:
            numbers = self._actions.view("<u4").reshape(-1)
            return lambda masks, key: draw_legal(masks, key, numbers)
        if isinstance(space, Box):
            low, high = box_bounds(space)
            values = self._actions.view("<f4")
            return lambda _, key: draw_box(low, high, key, values)
        raise ValueError(f"{game.spec.env_id}: actions of {space} are not drawn here; no peer has this game")


def play_run(game: Game, rows: int, *, threads: int) -> Callable[[float], int]:
    """Takes seconds, gives the steps that so many threads took, each with its share of the rows."""
    plays = [RandomPlay(game, rows // threads, seed=seed) for seed in range(threads)]

    def loop(mine: RandomPlay, until: float) -> int:
        steps = 0
        while time.perf_counter() < until:
            mine.step()
            steps += 1
        return steps * (rows // threads)

    if threads == 1:
        return lambda seconds: loop(plays[0], time.perf_counter() + seconds)
    pool = ThreadPoolExecutor(threads)

    def run(seconds: float) -> int:
        until = time.perf_counter() + seconds
        return sum(pool.map(loop, plays, [until] * threads))

    return run


def main(arguments: list[str] | None = None) -> int:
    """Serve rounds until standard input ends."""
    parser = argparse.ArgumentParser(description="Random play of a game in this process.")
    parser.add_argument("game")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--kernel-alone", action="store_true")
    options = parser.parse_args(arguments)
    keep_freed()
    game = registry.get(options.game)
    game.warm()
    if options.kernel_alone:
        played = play(game)
        ways = [Way(f"batch {rows}", kernel_run(game, draw(played, rows))) for rows in BATCHES]
    else:
        ways = [Way(f"batch {rows}", play_run(game, rows, threads=options.threads)) for rows in BATCHES]
    answer(ways)
    return 0


if __name__ == "__main__":
    sys.exit(main())
