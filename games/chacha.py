"""ChaCha20 as kernels: the one source of randomness in games, the same on every machine and in every language.

Enters: a u64 seed and a u64 block counter, both kept in a game's state bytes. Leaves: blocks of 16 words, and integers
and floats drawn from them. Invariant: what is drawn depends on seed, counter and the calls made, and on nothing else.

The block function is that of RFC 8439 section 2.3 (20 rounds). The counter is 64 bits wide as in the original
(Bernstein, ChaCha, a variant of Salsa20, 2008), so that it never runs out. A seed's block begins with these 16 words:

| word  | content                                                              |
|-------|----------------------------------------------------------------------|
| 0-3   | "expand 32-byte k", little-endian                                    |
| 4     | key word 0: the low 32 bits of the seed                              |
| 5     | key word 1: the high 32 bits of the seed                             |
| 6-11  | key words 2-7: 0                                                     |
| 12    | the low 32 bits of the block counter                                 |
| 13    | the high 32 bits of the block counter                                |
| 14-15 | the stream (the original's nonce), low word first: 0                 |

So a seed's blocks are the key stream of ChaCha20 whose key is the seed's 8 bytes, little-endian, and 24 zero bytes, and
whose nonce is 0.

A game keeps `seed` and `counter` in its state, `counter` being the first block that nothing was drawn from. A reset or
a step that needs randomness begins at a fresh block and leaves the counter behind the blocks that it drew from (the
counter wraps at 2**64). In a kernel:

    cursor = np.empty(CURSOR_WORDS, np.uint32)  # once a call
    begin(cursor, seed, counter)                # for each row
    cell = below(cursor, 16)
    counter = next_counter(cursor)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from games.kernel import kernel

BLOCK_WORDS = 16
CURSOR_WORDS = 21  # 0-15 the block, 16 how many of its words are drawn, 17-18 the seed, 19-20 the next block

# Element types are in the signatures; Any lets elements mix with int in the eyes of the type checker, as in numba's.
U32 = npt.NDArray[Any]
U64 = npt.NDArray[Any]

_SIGMA = (0x61707865, 0x3320646E, 0x79622D32, 0x6B206574)  # "expand 32-byte k"
_DRAWN, _SEED, _NEXT = 16, 17, 19  # places in a cursor
_TO_UNIT = 1.0 / (1 << 53)

# The layout of `seeded_blocks`: words 0-3 of eight rows are 32 numbers in a run, words 4-7 the next run, and so on.
_LANES = 8  # eight u32 fill a register of 256 bits
_RUN = 4 * _LANES
_RUNS_4, _RUNS_8, _RUNS_12 = 2 * _RUN, 5 * _RUN, 8 * _RUN  # where words 4-7, 8-11, 12-15 begin
_DIAGONAL_4, _DIAGONAL_8, _DIAGONAL_12 = _RUNS_4 + _LANES, _RUNS_8 + 2 * _LANES, _RUNS_12 + 3 * _LANES
_LANE_WORDS = 10 * _RUN
_SIGMA_RUN = np.repeat(np.array(_SIGMA, np.uint32), _LANES)


@kernel("u32(u32, u32)")
def rotated(word: Any, bits: int) -> Any:
    """A word rotated left by 1 to 31 bits."""
    return np.uint32(word << bits) | np.uint32(word >> np.uint32(np.uint32(32) - bits))


@kernel("none(u32[1], i64, i64, i64, i64)")
def quarter_round(words: U32, a: int, b: int, c: int, d: int) -> None:
    """RFC 8439 section 2.1 on four words of an array, in place."""
    w, x, y, z = words[a], words[b], words[c], words[d]
    w = np.uint32(w + x)
    z = rotated(z ^ w, 16)
    y = np.uint32(y + z)
    x = rotated(x ^ y, 12)
    w = np.uint32(w + x)
    z = rotated(z ^ w, 8)
    y = np.uint32(y + z)
    x = rotated(x ^ y, 7)
    words[a], words[b], words[c], words[d] = w, x, y, z


@kernel("none(u32[1])")
def rounds(words: U32) -> None:
    """The 20 rounds of RFC 8439 section 2.3 on the first 16 words of an array, without adding the initial state."""
    for _ in range(10):
        quarter_round(words, 0, 4, 8, 12)
        quarter_round(words, 1, 5, 9, 13)
        quarter_round(words, 2, 6, 10, 14)
        quarter_round(words, 3, 7, 11, 15)
        quarter_round(words, 0, 5, 10, 15)
        quarter_round(words, 1, 6, 11, 12)
        quarter_round(words, 2, 7, 8, 13)
        quarter_round(words, 3, 4, 9, 14)


@kernel("u32(u64)")
def low(number: Any) -> Any:
    """The low 32 bits."""
    return np.uint32(number)


@kernel("u32(u64)")
def high(number: Any) -> Any:
    """The high 32 bits."""
    return np.uint32(number >> np.uint64(32))


@kernel("none(in u32[1], u64, u64, u32[1])")
def block(key: U32, counter: Any, stream: Any, out: U32) -> None:
    """One block of the key stream of any key.

    Args:
        key: u32[8], 256 bits as little-endian words.
        counter: words 12-13. RFC 8439's 32-bit counter is its low half, the first 4 bytes of the nonce its high half.
        stream: words 14-15; the other 8 bytes of RFC 8439's nonce.
        out: u32[16 or more], not the memory of `key`; the block goes to the first 16.
    """
    for word in range(4):
        out[word] = _SIGMA[word]
    for word in range(8):
        out[4 + word] = key[word]
    out[12], out[13], out[14], out[15] = low(counter), high(counter), low(stream), high(stream)
    rounds(out)
    for word in range(4):
        out[word] += np.uint32(_SIGMA[word])
    for word in range(8):
        out[4 + word] += key[word]
    out[12] += low(counter)
    out[13] += high(counter)
    out[14] += low(stream)
    out[15] += high(stream)


@kernel("none(u64, u64, u32[1])")
def seeded_block(seed: Any, counter: Any, out: U32) -> None:
    """Block `counter` of a seed, laid out as this module says; it goes to the first 16 of `out`, u32[16 or more]."""
    for word in range(4):
        out[word] = _SIGMA[word]
    for word in range(4, BLOCK_WORDS):
        out[word] = 0
    out[4], out[5], out[12], out[13] = low(seed), high(seed), low(counter), high(counter)
    rounds(out)
    for word in range(4):
        out[word] += np.uint32(_SIGMA[word])
    out[4] += low(seed)
    out[5] += high(seed)
    out[12] += low(counter)
    out[13] += high(counter)


@kernel("none(u32[1], u64, u64)")
def begin(cursor: U32, seed: Any, counter: Any) -> None:
    """Stand before block `counter` of a seed; nothing is computed until a word is drawn.

    Args:
        cursor: u32[CURSOR_WORDS], a kernel's scratch; what it held is gone.
        seed: of the episode.
        counter: the first block to draw from.
    """
    cursor[_DRAWN] = BLOCK_WORDS
    cursor[_SEED], cursor[_SEED + 1] = low(seed), high(seed)
    cursor[_NEXT], cursor[_NEXT + 1] = low(counter), high(counter)


@kernel("u64(in u32[1])")
def next_counter(cursor: U32) -> Any:
    """The first block that nothing was drawn from: what the state keeps."""
    return np.uint64(cursor[_NEXT]) | np.uint64(cursor[_NEXT + 1]) << np.uint64(32)


@kernel("u32(u32[1])")
def draw(cursor: U32) -> Any:
    """The next word of the block, or word 0 of the next block once all 16 are drawn."""
    if cursor[_DRAWN] >= BLOCK_WORDS:
        seed = np.uint64(cursor[_SEED]) | np.uint64(cursor[_SEED + 1]) << np.uint64(32)
        counter = next_counter(cursor)
        seeded_block(seed, counter, cursor)
        counter += np.uint64(1)
        cursor[_NEXT], cursor[_NEXT + 1] = low(counter), high(counter)
        cursor[_DRAWN] = 0
    drawn = np.int64(cursor[_DRAWN])
    cursor[_DRAWN] = drawn + 1
    return cursor[drawn]


@kernel("u32(u32[1], u32)")
def below(cursor: U32, bound: Any) -> Any:
    """A uniform integer in 0..bound-1, without bias, from one word or (rarely) more.

    Multiply and reject, after Lemire, Fast Random Integer Generation in an Interval (2019), algorithm 5: with a word w,
    the answer is the high half of w * bound; w is refused and the next one drawn if the low half is below
    2**32 mod bound.

    Args:
        cursor: that begin was called on.
        bound: 1 or more.
    """
    product = np.uint64(draw(cursor)) * np.uint64(bound)
    if low(product) < bound:
        # 2**32 mod bound, in 64 bits; a bound of 0 would divide by it.
        least = np.uint64(1 << 32) % np.uint64(max(bound, 1))
        while low(product) < least:
            product = np.uint64(draw(cursor)) * np.uint64(bound)
    return high(product)


@kernel("f64(u32[1])")
def uniform(cursor: U32) -> Any:
    """A uniform f64 in [0, 1) of 53 bits: the upper 53 of the 64 bits of two words, low word first, over 2**53."""
    number = np.uint64(draw(cursor))
    number |= np.uint64(draw(cursor)) << np.uint64(32)
    return np.float64(number >> np.uint64(11)) * _TO_UNIT


@kernel("none(u32[1])")
def lanes_double_round(x: U32) -> None:
    """A column round and a diagonal round of RFC 8439 section 2.3 on eight blocks at once.

    A round is one loop of constant length over the runs, which LLVM turns into four steps of eight lanes. The diagonal
    round reads words 4-7 from the second word on, wrapped around: so each round stores its runs twice, side by side,
    instead of copying them in between, which would cost more than the rounds.
    """
    for i in range(_RUN):
        w, b, y, z = x[i], x[_RUNS_4 + i], x[_RUNS_8 + i], x[_RUNS_12 + i]
        w = np.uint32(w + b)
        z = rotated(z ^ w, 16)
        y = np.uint32(y + z)
        b = rotated(b ^ y, 12)
        w = np.uint32(w + b)
        z = rotated(z ^ w, 8)
        y = np.uint32(y + z)
        b = rotated(b ^ y, 7)
        x[i], x[_RUNS_4 + i], x[_RUNS_8 + i], x[_RUNS_12 + i] = w, b, y, z
        x[_RUNS_4 + _RUN + i], x[_RUNS_8 + _RUN + i], x[_RUNS_12 + _RUN + i] = b, y, z
    for i in range(_RUN):
        w, b, y, z = x[i], x[_DIAGONAL_4 + i], x[_DIAGONAL_8 + i], x[_DIAGONAL_12 + i]
        w = np.uint32(w + b)
        z = rotated(z ^ w, 16)
        y = np.uint32(y + z)
        b = rotated(b ^ y, 12)
        w = np.uint32(w + b)
        z = rotated(z ^ w, 8)
        y = np.uint32(y + z)
        b = rotated(b ^ y, 7)
        x[i], x[_DIAGONAL_4 + i], x[_DIAGONAL_8 + i], x[_DIAGONAL_12 + i] = w, b, y, z
        x[_DIAGONAL_4 - _RUN + i], x[_DIAGONAL_8 - _RUN + i], x[_DIAGONAL_12 - _RUN + i] = b, y, z


@kernel("none(in u64[1], in u64[1], i64, u32[1])")
def load_lanes(seeds: U64, counters: U64, first: int, x: U32) -> None:
    """The initial states of eight rows from `first`; past the last row it stands in for the missing."""
    # Loops over whole runs become wide stores, loops over words and lanes do not.
    for i in range(_RUN):
        x[i] = _SIGMA_RUN[i]
        x[_RUNS_4 + i] = 0
        x[_RUNS_8 + i] = 0
        x[_RUNS_12 + i] = 0
    last = len(seeds) - 1
    for lane in range(_LANES):
        row = min(first + lane, last)
        x[_RUNS_4 + lane], x[_RUNS_4 + _LANES + lane] = low(seeds[row]), high(seeds[row])
        x[_RUNS_12 + lane], x[_RUNS_12 + _LANES + lane] = low(counters[row]), high(counters[row])


@kernel("none(in u64[1], in u64[1], u32[2])")
def seeded_blocks(seeds: U64, counters: U64, out: U32) -> None:
    """`seeded_block` of many rows, eight at a time: about a quarter of the time of one by one.

    Args:
        seeds: u64[N].
        counters: u64[N].
        out: u32[N, 16 or more]; row i gets block counters[i] of seeds[i] in its first 16 words.
    """
    x = np.empty(_LANE_WORDS, np.uint32)
    for first in range(0, len(seeds), _LANES):
        load_lanes(seeds, counters, first, x)
        for _ in range(10):
            lanes_double_round(x)
        for lane in range(min(_LANES, len(seeds) - first)):
            row = first + lane
            for word in range(4):
                out[row, word] = x[word * _LANES + lane] + np.uint32(_SIGMA[word])
                out[row, 8 + word] = x[_RUNS_8 + word * _LANES + lane]
            for word in range(2, 4):
                out[row, 4 + word] = x[_RUNS_4 + word * _LANES + lane]
                out[row, 12 + word] = x[_RUNS_12 + word * _LANES + lane]
            out[row, 4] = x[_RUNS_4 + lane] + low(seeds[row])
            out[row, 5] = x[_RUNS_4 + _LANES + lane] + high(seeds[row])
            out[row, 12] = x[_RUNS_12 + lane] + low(counters[row])
            out[row, 13] = x[_RUNS_12 + _LANES + lane] + high(counters[row])
