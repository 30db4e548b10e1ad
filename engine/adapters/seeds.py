"""The random numbers of N rows: a stream of u64 a row, from one seed a row.

Enters: seeds. Leaves: the next number of any rows. Invariant: what a row draws depends on its seed and on how often
it has drawn, not on the other rows; so row i of many plays what it would play alone.

The numbers are those of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014,
with the constants of Java's SplittableRandom). They choose episodes, seats and random opponents' moves; what happens
within an episode is the game's own ChaCha20.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.intp]

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_MASK = 2**64 - 1


class Streams:
    """One stream a row. `next` is the number that each row would draw."""

    def __init__(self, seeds: U64) -> None:
        self._at = seeds + _STEP
        self.next = mix(self._at)

    def copy(self) -> Streams:
        """The same streams at the same places."""
        other = Streams.__new__(Streams)
        other._at, other.next = self._at.copy(), self.next.copy()
        return other

    def draw(self, rows: Rows) -> U64:
        """The next number of each of these rows, u64[len(rows)]."""
        drawn = self.next[rows]
        self._at[rows] += _STEP
        self.next[rows] = mix(self._at[rows])
        return drawn

    def reseed(self, rows: Rows, seeds: U64) -> None:
        """Begin these rows' streams anew."""
        self._at[rows] = seeds + _STEP
        self.next[rows] = mix(self._at[rows])


def mix(numbers: U64) -> U64:
    """SplitMix64's finalizer of each number."""
    numbers = (numbers ^ numbers >> np.uint64(30)) * _FIRST
    numbers = (numbers ^ numbers >> np.uint64(27)) * _SECOND
    return numbers ^ numbers >> np.uint64(31)


def seeds_of(seed: int | Sequence[int | None] | npt.NDArray[np.integer], rows: int) -> tuple[U64, Rows]:
    """A seed a row: of a number, it and the ones that follow; of a sequence, its own. Taken modulo 2**64.

    Returns:
        u64[rows], and the rows that have a seed, ascending; those of which the sequence says None have 0.

    Raises:
        ValueError: the sequence is of another length, or a seed is negative.
    """
    if isinstance(seed, Sequence | np.ndarray):
        several = [None if value is None else operator.index(value) for value in seed]
    else:
        several = [operator.index(seed) + row for row in range(rows)]
    if len(several) != rows:
        raise ValueError(f"seed: a list of {len(several)}; give one number, or one for each of {rows} rows")
    least = min((value for value in several if value is not None), default=0)
    if least < 0:
        raise ValueError(f"seed = {least}: give 0 or more")
    given = np.array([row for row, value in enumerate(several) if value is not None], np.intp)
    return np.array([(value or 0) & _MASK for value in several], np.uint64), given


def fresh_seeds(generator: np.random.Generator, rows: int) -> U64:
    """A seed a row for who asked for none."""
    return generator.integers(0, 2**64, rows, np.uint64)
