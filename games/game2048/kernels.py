"""The rules of 2048 as kernels over N rows.

Enters: seeds, or state and action columns. Leaves: every column of `Positions` or `Outcomes`, and where the first
refused row is.
Invariant: every state that play leads to is accepted, and every successor of an accepted state is.

Which boards there can be. Order a board's tiles by when the youngest part of each was spawned, from 1. When that of
tile i, of exponent e, was spawned, each of the i - 1 tiles before it took a cell or more, and tile i itself took e - 1
or more: one for the new part, of exponent 2 at most, and one for each of the merges still to come, e - 2 or more. So
i - 1 + e - 1 <= 16: at most 18 - e tiles have an exponent of e or more, for e of 3 and above. No exponent is above 17
then, and the sum of a board is at most 2**17 + 2**16 + ... + 4 = 262,140. The first board has 4 or more, a move leaves
the sum as it is and the spawn after it adds 2 or more: no episode has more than 131,068 moves. Merges keep the rule:
two of the 18 - e tiles of exponent e or more become one, and at most 17 - e are of e + 1 or more.

How it is fast. A row of four cells is one u32 (see `games.game2048.line`), and 64 boards are four runs of 64 words in a
scratch array. The rules are loops over 64 lanes without a branch, which LLVM turns into vectors of eight. They share
one array with constant places in it, as only then LLVM sees that its runs do not overlap. A kernel returns OK, or
`row * REASONS + reason` of the first row that it refuses; rows before it may be written then already.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from games.chacha import BLOCK_WORDS, CURSOR_WORDS, begin, below, next_counter, seeded_blocks
from games.game2048.line import (
    added,
    alike,
    at_least,
    backward,
    compact,
    enterable,
    flipped,
    forward,
    free_number,
    gathered,
    greater,
    merged,
    merging,
    points,
    same,
)
from games.kernel import kernel

OK = -1
BAD_EXPONENT, BAD_COUNTS, BAD_SPAWN, ENDED, OUT_OF_RANGE, UNCHANGED = range(6)
REASONS = 8

# Element types are in the signatures; Any lets elements mix with int in the eyes of the type checker, as in numba's.
U8 = npt.NDArray[Any]
U32 = npt.NDArray[Any]
U64 = npt.NDArray[Any]
F32 = npt.NDArray[Any]

_CELLS = 16
_SEED, _COUNTER = 16, 24  # places in a state
_GREATEST = 17
_TENTHS = 10  # one spawn in ten is a 4
_SIXTEENTHS = np.arange(256, dtype=np.float32) / np.float32(16)
_BITS = np.array([[byte >> bit & 1 for bit in range(8)] for byte in range(256)], np.float32)

# The scratch: a field is a word a lane; a board is four, row 0 first, and so is what is said of each row.
_LANES = 64
_LINES = 4 * _LANES
_BOARD, _BEFORE, _FLIPPED, _POINTS, _MERGES = (field * _LINES for field in range(5))
_ROW_0, _ROW_1, _ROW_2, _ROW_3 = (_BOARD + row * _LANES for row in range(4))
_ACTION, _WRONG, _EMPTY, _CELL, _TILE, _LEGAL, _PAIRS, _TOP = (
    5 * _LINES + field * _LANES for field in range(8)
)
_SCRATCH = 5 * _LINES + 8 * _LANES


@kernel("u64(in u8[2], i64, i64, i64)")
def load(rows: U8, row: int, first: int, size: int) -> Any:
    """`size` bytes of a row as a little-endian number (one load in machine code)."""
    number = np.uint64(0)
    for byte in range(size):
        number |= np.uint64(rows[row, first + byte]) << np.uint64(8 * byte)
    return number


@kernel("none(u8[2], i64, i64, u64)")
def store(rows: U8, row: int, first: int, number: Any) -> None:
    """The inverse of `load`, of eight bytes."""
    for byte in range(8):
        rows[row, first + byte] = number >> np.uint64(8 * byte)


@kernel("u32(u32[1], i64, u32)")
def tiles_from(x: U32, i: int, exponent: Any) -> Any:
    """How many tiles of a board have this exponent or more."""
    count = at_least(x[_ROW_0 + i], exponent) + at_least(x[_ROW_1 + i], exponent)
    count += at_least(x[_ROW_2 + i], exponent) + at_least(x[_ROW_3 + i], exponent)
    return added(np.uint32(count))


@kernel("none(u32[1])")
def check(x: U32) -> None:
    """Set `_WRONG` where a board cannot be."""
    for i in range(_LANES):
        tiles = tiles_from(x, i, 1)
        x[_WRONG + i] = np.uint32(tiles < 2) | np.uint32(tiles == tiles_from(x, i, 3))
        x[_WRONG + i] |= (x[_ROW_0 + i] | x[_ROW_1 + i] | x[_ROW_2 + i] | x[_ROW_3 + i]) & np.uint32(
            0x80808080
        )
    for exponent in range(4, _GREATEST + 2):
        for i in range(_LANES):
            x[_WRONG + i] |= np.uint32(tiles_from(x, i, exponent) + np.uint32(exponent) > 18)


@kernel("none(u32[1])")
def transpose(x: U32) -> None:
    """Exchange rows and columns of the boards that move up or down, actions 1 and 3."""
    for i in range(_LANES):
        r0, r1, r2, r3 = x[_ROW_0 + i], x[_ROW_1 + i], x[_ROW_2 + i], x[_ROW_3 + i]
        # Blocks of two by two cells change places, then the cells in each.
        a0, a2 = (
            np.uint32(r0 & 0xFFFF) | np.uint32(r2 << 16),
            np.uint32(r0 >> 16) | np.uint32(r2 & 0xFFFF0000),
        )
        a1, a3 = (
            np.uint32(r1 & 0xFFFF) | np.uint32(r3 << 16),
            np.uint32(r1 >> 16) | np.uint32(r3 & 0xFFFF0000),
        )
        c0 = np.uint32(a0 & 0xFF00FF) | np.uint32(np.uint32(a1 & 0xFF00FF) << 8)
        c1 = np.uint32(np.uint32(a0 >> 8) & 0xFF00FF) | np.uint32(a1 & 0xFF00FF00)
        c2 = np.uint32(a2 & 0xFF00FF) | np.uint32(np.uint32(a3 & 0xFF00FF) << 8)
        c3 = np.uint32(np.uint32(a2 >> 8) & 0xFF00FF) | np.uint32(a3 & 0xFF00FF00)
        upright = np.uint32(np.uint32(x[_ACTION + i] & 1) - np.uint32(1))
        x[_ROW_0 + i] = (r0 & upright) | (c0 & ~upright)
        x[_ROW_1 + i] = (r1 & upright) | (c1 & ~upright)
        x[_ROW_2 + i] = (r2 & upright) | (c2 & ~upright)
        x[_ROW_3 + i] = (r3 & upright) | (c3 & ~upright)


@kernel("none(u32[1])")
def move(x: U32) -> None:
    """Slide and merge by `_ACTION`; add to `_WRONG` where it is no action, or leaves the board as it was."""
    for row in range(4):
        for i in range(_LANES):
            backwards = np.uint32(np.uint32(x[_ACTION + i] >> 1) & 1)
            x[_FLIPPED + row * _LANES + i] = np.uint32(np.uint32(0) - backwards)
    for i in range(_LINES):
        x[_BEFORE + i] = x[_BOARD + i]
    transpose(x)
    for i in range(_LINES):
        line = compact(flipped(x[_BOARD + i], x[_FLIPPED + i]))
        merges = merging(line)
        x[_POINTS + i] = points(line, merges)
        x[_MERGES + i] = added(merges)
        x[_BOARD + i] = flipped(merged(line, merges), x[_FLIPPED + i])
    transpose(x)
    for i in range(_LANES):
        changed = (x[_ROW_0 + i] ^ x[_BEFORE + i]) | (x[_ROW_1 + i] ^ x[_BEFORE + _LANES + i])
        changed |= x[_ROW_2 + i] ^ x[_BEFORE + 2 * _LANES + i]
        changed |= x[_ROW_3 + i] ^ x[_BEFORE + 3 * _LANES + i]
        x[_WRONG + i] |= np.uint32(x[_ACTION + i] > 3) | np.uint32(changed == 0)
        x[_EMPTY + i] = _CELLS - tiles_from(x, i, 1)
        for row in range(1, 4):
            x[_POINTS + i] += x[_POINTS + row * _LANES + i]
            x[_MERGES + i] += x[_MERGES + row * _LANES + i]


@kernel("none(u32[1], in u64[1], u64[1], u32[2], u32[1])")
def draw(x: U32, seeds: U64, counters: U64, words: U32, cursor: U32) -> None:
    """Draw each spawn from a fresh block: `_CELL` is below(empty cells), `_TILE` a 4 if below(10) is 0, else a 2."""
    seeded_blocks(seeds, counters, words)
    for i in range(len(seeds)):
        cell = np.uint64(words[i, 0]) * np.uint64(x[_EMPTY + i])
        tenth = np.uint64(words[i, 1]) * np.uint64(_TENTHS)
        if min(np.uint32(cell), np.uint32(tenth)) < _CELLS:
            # Here `below` may refuse a word: once in 2**27, and too seldom to do always.
            begin(cursor, seeds[i], counters[i])
            x[_CELL + i] = below(cursor, x[_EMPTY + i])
            x[_TILE + i] = 2 if below(cursor, np.uint32(_TENTHS)) == 0 else 1
            counters[i] = next_counter(cursor)
        else:
            x[_CELL + i] = cell >> np.uint64(32)
            x[_TILE + i] = 2 if tenth >> np.uint64(32) == 0 else 1
            counters[i] += np.uint64(1)


@kernel("none(u32[1])")
def spawn(x: U32) -> None:
    """Put `_TILE` into the empty cell `_CELL` of each board, counted row by row from 0."""
    for row in range(4):
        for i in range(_LANES):
            line = x[_BOARD + row * _LANES + i]
            hit = free_number(line, x[_CELL + i])
            x[_BOARD + row * _LANES + i] = line | np.uint32(hit * x[_TILE + i])
            # Negative once it has passed, modulo 2**32.
            x[_CELL + i] = x[_CELL + i] - np.uint32(4) + added(at_least(line, 1))


@kernel("none(u32[1])")
def look(x: U32) -> None:
    """Set `_LEGAL` to the mask of the actions that change the board, `_TOP` to its greatest exponent, and `_PAIRS`.

    Bits 0-11 of `_PAIRS` are the cells, row by row, whose right neighbour is the same tile, bits 12-23 those whose
    neighbour beneath is.
    """
    for i in range(_LANES):
        r0, r1, r2, r3 = x[_ROW_0 + i], x[_ROW_1 + i], x[_ROW_2 + i], x[_ROW_3 + i]
        left = (forward(r0) | forward(r1) | forward(r2) | forward(r3)) != 0
        right = (backward(r0) | backward(r1) | backward(r2) | backward(r3)) != 0
        up = (enterable(r0, r1) | enterable(r1, r2) | enterable(r2, r3)) != 0
        down = (enterable(r1, r0) | enterable(r2, r1) | enterable(r3, r2)) != 0
        sides = np.uint32(left) | np.uint32(np.uint32(right) << 2)
        x[_LEGAL + i] = sides | np.uint32(np.uint32(up) << 1) | np.uint32(np.uint32(down) << 3)
        beside = gathered(alike(r0)) | np.uint32(gathered(alike(r1)) << 3)
        beside |= np.uint32(gathered(alike(r2)) << 6) | np.uint32(gathered(alike(r3)) << 9)
        beneath = gathered(same(r0, r1)) | np.uint32(gathered(same(r1, r2)) << 4)
        beneath |= np.uint32(gathered(same(r2, r3)) << 8)
        x[_PAIRS + i] = beside | np.uint32(beneath << 12)
        top = greater(greater(r0, r1), greater(r2, r3))
        top = greater(top, np.uint32(top >> 16))
        x[_TOP + i] = np.uint32(greater(top, np.uint32(top >> 8)) & 255)


@kernel("none(in u8[2], i64, u32[1], u64[1], u64[1])")
def read(states: U8, first: int, x: U32, seeds: U64, counters: U64) -> None:
    """Bring states from row `first` into the lanes, as many as there are seeds."""
    for i in range(len(seeds)):
        for row in range(4):
            x[_BOARD + row * _LANES + i] = load(states, first + i, 4 * row, 4)
        seeds[i] = load(states, first + i, _SEED, 8)
        counters[i] = load(states, first + i, _COUNTER, 8)


@kernel("none(u32[1], in u64[1], in u64[1], i64, u8[2], f32[2], u64[2], u8[1])")
def write(
    x: U32, seeds: U64, counters: U64, first: int, states: U8, obs: F32, legal_masks: U64, players: U8
) -> None:
    """The inverse of `read`, and all that the states imply; `obs:f32x40:v1` is the exponents over 16, then `_PAIRS`."""
    for i in range(len(seeds)):
        row = first + i
        upper = np.uint64(x[_ROW_0 + i]) | np.uint64(x[_ROW_1 + i]) << np.uint64(32)
        lower = np.uint64(x[_ROW_2 + i]) | np.uint64(x[_ROW_3 + i]) << np.uint64(32)
        store(states, row, 0, upper)
        store(states, row, 8, lower)
        store(states, row, _SEED, seeds[i])
        store(states, row, _COUNTER, counters[i])
        for cell in range(_CELLS):
            obs[row, cell] = _SIXTEENTHS[states[row, cell]]
        for value in range(8):
            obs[row, 16 + value] = _BITS[x[_PAIRS + i] & 255, value]
        for value in range(8):
            obs[row, 24 + value] = _BITS[x[_PAIRS + i] >> 8 & 255, value]
        for value in range(8):
            obs[row, 32 + value] = _BITS[x[_PAIRS + i] >> 16 & 255, value]
        legal_masks[row, 0] = x[_LEGAL + i]
        players[row] = 0


@kernel("none(in u64[1], u8[2], f32[2], u64[2], u8[1])")
def reset(seeds: U64, states: U8, obs: F32, legal_masks: U64, players: U8) -> None:
    """Spawn two tiles on an empty board, both from block 0."""
    cursor = np.empty(CURSOR_WORDS, np.uint32)
    for row in range(len(seeds)):
        store(states, row, 0, np.uint64(0))
        store(states, row, 8, np.uint64(0))
        begin(cursor, seeds[row], np.uint64(0))
        one = np.int64(below(cursor, np.uint32(_CELLS)))
        states[row, one] = 2 if below(cursor, np.uint32(_TENTHS)) == 0 else 1
        other = np.int64(below(cursor, np.uint32(_CELLS - 1)))
        other += other >= one
        states[row, other] = 2 if below(cursor, np.uint32(_TENTHS)) == 0 else 1
        store(states, row, _SEED, seeds[row])
        store(states, row, _COUNTER, next_counter(cursor))
    observe(states, states, obs, legal_masks, players)


@kernel("i64(in u8[2], u8[2], f32[2], u64[2], u8[1])")
def observe(states: U8, copies: U8, obs: F32, legal_masks: U64, players: U8) -> int:
    """Derive everything else from states, and copy them."""
    x = np.zeros(_SCRATCH, np.uint32)
    all_seeds, all_counters = np.empty(_LANES, np.uint64), np.empty(_LANES, np.uint64)
    for first in range(0, len(players), _LANES):
        rows = min(_LANES, len(players) - first)
        seeds, counters = all_seeds[:rows], all_counters[:rows]
        read(states, first, x, seeds, counters)
        check(x)
        for i in range(rows):
            if x[_WRONG + i]:
                return (first + i) * REASONS + diagnose(states, first + i)
        look(x)
        write(x, seeds, counters, first, copies, obs, legal_masks, players)
    return OK


@kernel("i64(in u8[2], in u8[2], u8[2], f32[2], u64[2], u8[1], f32[1], u8[1], u8[1], u64[1])")
def step(
    states: U8,
    actions: U8,
    successors: U8,
    obs: F32,
    legal_masks: U64,
    players: U8,
    rewards: F32,
    terminated: U8,
    truncated: U8,
    info: U64,
) -> int:
    """Slide, merge and spawn in every row; see `Game2048` for what info holds."""
    x = np.zeros(_SCRATCH, np.uint32)
    all_seeds, all_counters = np.empty(_LANES, np.uint64), np.empty(_LANES, np.uint64)
    words, cursor = np.empty((_LANES, BLOCK_WORDS), np.uint32), np.empty(CURSOR_WORDS, np.uint32)
    for first in range(0, len(players), _LANES):
        rows = min(_LANES, len(players) - first)
        seeds, counters = all_seeds[:rows], all_counters[:rows]
        read(states, first, x, seeds, counters)
        for i in range(rows):
            x[_ACTION + i] = load(actions, first + i, 0, 4)
        check(x)
        move(x)
        for i in range(rows):
            if x[_WRONG + i]:
                return (first + i) * REASONS + diagnose_step(states, actions, first + i)
        draw(x, seeds, counters, words, cursor)
        spawn(x)
        look(x)
        write(x, seeds, counters, first, successors, obs, legal_masks, players)
        for i in range(rows):
            rewards[first + i] = x[_POINTS + i]
            terminated[first + i] = x[_LEGAL + i] == 0
            truncated[first + i] = 0
            info[first + i] = x[_TOP + i] | x[_MERGES + i] << 8
    return OK


@kernel("i64(in u8[2], i64)")
def diagnose(states: U8, row: int) -> int:
    """What is wrong with a row's state, or OK."""
    count = np.zeros(_GREATEST + 2, np.int64)  # of tiles that have this exponent or more
    for cell in range(_CELLS):
        if states[row, cell] > _GREATEST:
            return BAD_EXPONENT
        for exponent in range(states[row, cell] + 1):
            count[exponent] += 1
    for exponent in range(3, _GREATEST + 1):
        if count[exponent] > 18 - exponent:
            return BAD_COUNTS
    return BAD_SPAWN if count[1] < 2 or count[1] == count[3] else OK


@kernel("i64(in u8[2], in u8[2], i64)")
def diagnose_step(states: U8, actions: U8, row: int) -> int:
    """What is wrong with a row's state or action, given that something is."""
    reason = diagnose(states, row)
    if reason != OK:
        return reason
    ended = True
    for cell in range(_CELLS):
        tile = states[row, cell]
        beside = cell % 4 < 3 and states[row, cell + 1] == tile
        ended &= tile != 0 and not beside and not (cell < 12 and states[row, cell + 4] == tile)
    if ended:
        return ENDED
    return OUT_OF_RANGE if load(actions, row, 0, 4) > 3 else UNCHANGED
