"""ChaCha20 in plain Python, to hold the kernels against; no code in common with them.

In: a key, a counter, a seed. Out: blocks of 16 words, and what games draw from them.
Invariant: integers without a size, reduced where RFC 8439 reduces them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

COLUMNS = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)]
DIAGONALS = [(0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]


def plain_block(key: bytes, tail: bytes) -> list[int]:
    """RFC 8439 section 2.3: one block of a key of 32 bytes; `tail` is the 16 bytes of counter and nonce."""
    start = struct.unpack("<16I", b"expand 32-byte k" + key + tail)
    words = list(start)
    for _ in range(10):
        for a, b, c, d in COLUMNS + DIAGONALS:
            for target, other, turned, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                words[target] = (words[target] + words[other]) % 2**32
                mixed = words[turned] ^ words[target]
                words[turned] = (mixed << bits | mixed >> 32 - bits) % 2**32
    return [(word + first) % 2**32 for word, first in zip(words, start, strict=True)]


def plain_seeded_block(seed: int, counter: int) -> list[int]:
    """The block `counter` of a seed, in the layout that games.chacha documents."""
    return plain_block(struct.pack("<Q24x", seed), struct.pack("<Q8x", counter))


class PlainCursor:
    """Words of a seed from a fresh block on, one after the other; `counter` is the first block not drawn from."""

    def __init__(self, seed: int, counter: int) -> None:
        self.seed = seed
        self.counter = counter
        self._words = self._stream()

    def _stream(self) -> Iterator[int]:
        while True:
            words = plain_seeded_block(self.seed, self.counter)
            self.counter = (self.counter + 1) % 2**64
            yield from words

    def draw(self) -> int:
        return next(self._words)

    def below(self, bound: int) -> int:
        """The first word that is not refused picks one of `bound` equal shares of 0..2**32-1."""
        while True:
            quotient, rest = divmod(self.draw() * bound, 2**32)
            if rest >= 2**32 % bound:
                return quotient

    def uniform(self) -> float:
        """53 bits of two words as a fraction."""
        first, second = self.draw(), self.draw()
        return (first + second * 2**32 >> 11) / 2**53
