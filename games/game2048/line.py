"""Four cells of a 2048 board in one word: what they move to, what merges, what it is worth.

Enters: u32 words, a cell a byte, the one that tiles move towards lowest. Leaves: words, or flags in the highest or the
lowest bit of each byte.
Invariant: no branch and no table, so that LLVM can do it for eight words at once; exact for every exponent up to 17,
and harmless for any other byte.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from games.kernel import kernel

_ONES = 0x01010101
_HIGHS = 0x80808080  # the highest bit of each byte
_REST = 0x7F7F7F7F
_WITH_NEXT = 0x00808080  # of the bytes that have a next one


@kernel("u32(u32)")
def filled(word: Any) -> Any:
    """The highest bit of each byte that is not 0."""
    return np.uint32(word + _REST) & np.uint32(_HIGHS)


@kernel("u32(u32, u32)")
def same(word: Any, other: Any) -> Any:
    """The highest bit of each byte that is the same in both and not 0."""
    return ~np.uint32(np.uint32(word ^ other) + _REST) & filled(word)


@kernel("u32(u32, u32)")
def enterable(word: Any, other: Any) -> Any:
    """The highest bit of each byte that the tile in that byte of `other` can move to, or merge with."""
    return same(word, other) | (~filled(word) & filled(other))


@kernel("u32(u32)")
def forward(word: Any) -> Any:
    """Not 0 exactly if a move towards the lowest byte changes these cells."""
    return enterable(word, np.uint32(word >> 8)) & np.uint32(_WITH_NEXT)


@kernel("u32(u32)")
def backward(word: Any) -> Any:
    """Not 0 exactly if a move towards the highest byte changes these cells."""
    return enterable(np.uint32(word >> 8), word) & np.uint32(_WITH_NEXT)


@kernel("u32(u32)")
def gathered(flags: Any) -> Any:
    """The highest bits of the four bytes as bits 0-3."""
    # Each shift brings one of them to its place, the others outside of the mask.
    low, high = (
        np.uint32(flags >> 7) | np.uint32(flags >> 14),
        np.uint32(flags >> 21) | np.uint32(flags >> 28),
    )
    return np.uint32((low | high) & np.uint32(15))


@kernel("u32(u32)")
def alike(word: Any) -> Any:
    """The highest bit of each byte whose next one is the same, and not 0."""
    return same(word, np.uint32(word >> 8)) & np.uint32(_WITH_NEXT)


@kernel("u32(u32, u32)")
def flipped(word: Any, whether: Any) -> Any:
    """The bytes in reverse order where `whether` is all ones, as they are where it is 0."""
    ends = np.uint32(word << 24) | np.uint32(word >> 24)
    inner = np.uint32(np.uint32(word << 8) & 0xFF0000) | np.uint32(np.uint32(word >> 8) & 0xFF00)
    return np.uint32(((ends | inner) & whether) | (word & ~whether))


@kernel("u32(u32, u32)")
def closed(word: Any, at: Any) -> Any:
    """If byte `at` is 0, the bytes above it moved down by one."""
    keep = np.uint32((1 << (8 * at)) - 1)
    moved = (word & keep) | (np.uint32(word >> 8) & ~keep)
    return word if np.uint32(word >> np.uint32(8 * at)) & 255 else moved


@kernel("u32(u32)")
def compact(word: Any) -> Any:
    """The tiles moved together, none merged."""
    return closed(closed(closed(word, 2), 1), 0)


@kernel("u32(u32)")
def merging(word: Any) -> Any:
    """The lowest bit of each byte that the next one merges into, the lowest first; of cells without gaps."""
    flags = alike(word)
    first = np.uint32(flags & 0x80)
    second = np.uint32(flags & 0x8000) & ~np.uint32(first << 8)
    third = np.uint32(flags & 0x800000) & ~np.uint32(second << 8)
    return np.uint32(np.uint32(first | second | third) >> 7)


@kernel("u32(u32, u32)")
def merged(word: Any, merges: Any) -> Any:
    """Cells without gaps after the merges of `merging`."""
    gone = np.uint32(np.uint32(merges << 8) * np.uint32(255))
    return closed(closed(np.uint32(word + merges) & ~gone, 2), 1)


@kernel("u32(u32, u32)")
def points(word: Any, merges: Any) -> Any:
    """The sum of the tiles that the merges of `merging` make."""
    total = np.uint32(0)
    for cell in range(3):
        exponent = np.uint32(np.uint32(word >> np.uint32(8 * cell)) & 31)
        flag = np.uint32(np.uint32(merges >> np.uint32(8 * cell)) & 1)
        total = np.uint32(total + np.uint32(np.uint32(flag << 1) << exponent))
    return total


@kernel("u32(u32)")
def added(flags: Any) -> Any:
    """The sum of the four bytes."""
    return np.uint32(np.uint32(flags * np.uint32(_ONES)) >> 24)


@kernel("u32(u32, u32)")
def at_least(word: Any, exponent: Any) -> Any:
    """The lowest bit of each byte that is `exponent` or more."""
    level = np.uint32(exponent * np.uint32(_ONES))
    return np.uint32((np.uint32((word | np.uint32(_HIGHS)) - level) & np.uint32(_HIGHS)) >> 7)


@kernel("u32(u32, u32)")
def greater(word: Any, other: Any) -> Any:
    """The greater of both, byte by byte."""
    mask = np.uint32(np.uint32(np.uint32((word | np.uint32(_HIGHS)) - other) >> 7) & np.uint32(_ONES))
    mask = np.uint32(mask * np.uint32(255))
    return (word & mask) | (other & ~mask)


@kernel("u32(u32, u32)")
def free_number(word: Any, number: Any) -> Any:
    """The lowest bit of the byte that is the free cell `number`, counted from the lowest and from 0; 0 if none is."""
    free = np.uint32(~np.uint32(filled(word) >> 7) & np.uint32(_ONES))
    up_to = np.uint32(free * np.uint32(_ONES))  # each byte counts the free cells up to it
    # A number that is not in this word is at most 15 from it, and so is none of 1-4 in five bits.
    wanted = np.uint32(np.uint32(np.uint32(number + np.uint32(1)) & 31) * np.uint32(_ONES))
    return free & np.uint32(same(up_to, wanted) >> 7)
