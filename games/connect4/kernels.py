"""The rules of connect four as kernels over N rows.

Enters: state and action columns. Leaves: every column of `Positions` or `Outcomes`, and where the first refused row is.
Invariant: a state that some sequence of moves leads to is accepted, and so is every successor of an accepted state.

A player's stones are a bit set of 48 bits, bit 8 * row + column with row 0 on top, which is how six state bytes read as
one little-endian number. Rows go through without a branch that depends on the board, as random positions would
mispredict each; only a refused row leaves the path, and `diagnose` looks again at what is wrong with it. A kernel
returns OK, or `row * REASONS + reason` of the first row that it refuses; rows before it are written then already.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from games.kernel import kernel

OK = -1
OUTSIDE, TWICE, FLOATING, BAD_COUNTS, BAD_ORDER, BAD_PLAYER, BAD_STATUS, ENDED, OUT_OF_RANGE, FULL = range(10)
REASONS = 16

# Element types are in the signatures; Any lets elements mix with int in the eyes of the type checker, as in numba's.
U8 = npt.NDArray[Any]
U64 = npt.NDArray[Any]
F32 = npt.NDArray[Any]

# Bit sets of cells.
_WORD = (1 << 48) - 1
_BOARD = 0x7F7F7F7F7F7F
_TOP = 0x7F
_BOTTOM = _TOP << 40
_FLOOR = _TOP << 48  # a row below the board, always there
_COLUMN = 0x01010101010101  # column 0, the floor included
_FLOATS = np.array([[byte >> bit & 1 for bit in range(8)] for byte in range(256)], np.float32)


@kernel("i64(in u8[2], i64, i64)")
def load(states: U8, row: int, offset: int) -> Any:
    """Eight bytes of a row as one little-endian number (one load in machine code)."""
    packed = np.int64(0)
    for byte in range(8):
        packed |= np.int64(states[row, offset + byte]) << (8 * byte)
    return packed


@kernel("none(u8[2], i64, i64, i64, i64, i64)")
def store(states: U8, row: int, first: int, second: int, player: int, status: int) -> None:
    """Write a state."""
    rest = second | player << 48 | status << 56
    for byte in range(6):
        states[row, byte] = first >> (8 * byte) & 255
    for byte in range(8):
        states[row, 6 + byte] = rest >> (8 * byte) & 255


@kernel("i64(i64)")
def lines(stones: int) -> int:
    """Not 0 exactly if four of a set (on the board) are in a line: the first or last cell of each line there is."""
    across = stones & stones >> 1
    down = stones & stones >> 8
    falling = stones & stones >> 9
    rising = stones & stones >> 7
    return across & across >> 2 | down & down >> 16 | falling & falling >> 18 | rising & rising >> 14


@kernel("i64(i64)")
def count(stones: int) -> Any:
    """How many bits are set: sums of 2, 4 and 8 bits side by side (one instruction in machine code)."""
    bits = np.uint64(stones)
    bits -= bits >> np.uint64(1) & np.uint64(0x5555555555555555)
    bits = (bits & np.uint64(0x3333333333333333)) + (bits >> np.uint64(2) & np.uint64(0x3333333333333333))
    bits = bits + (bits >> np.uint64(4)) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64(bits * np.uint64(0x0101010101010101) >> np.uint64(56))


@kernel("i64(i64, i64)")
def landing(stones: int, column: int) -> int:
    """The cell where a stone comes to lie, as a set of one; 0 if the column 0..7 is full or is 7."""
    support = (stones | _FLOOR) & _COLUMN << column
    return (support & -support) >> 8


@kernel("i64(i64, i64)")
def impossible(first: int, second: int) -> int:
    """Not 0 exactly if stones are outside of the board, in one cell, or have nothing beneath."""
    stones = first | second
    # Outside of the board there is no floor, so that nothing there has anything beneath.
    return first & second | stones & ~((stones | _FLOOR) >> 8)


@kernel("i64(i64, i64, i64)")
def out_of_order(first: int, second: int, last: int) -> Any:
    """1 exactly if there are stones, but none that can have been player 0's first, or none that can have been last."""
    stones = first | second
    uppermost = stones & ~(stones << 8)
    return np.int64(stones != 0) & (np.int64(first & _BOTTOM == 0) | np.int64(last & uppermost == 0))


@kernel("i64(i64, i64)")
def ended_earlier(stones: int, winners: int) -> int:
    """1 exactly if the winners' lines were there before their last stone: no uppermost stone is in each of them."""
    candidates = winners & ~(stones << 8)
    while candidates:
        last = candidates & -candidates
        if not lines(winners ^ last):
            return 0
        candidates ^= last
    return 1


@kernel("i64(in u8[2], i64)")
def diagnose(states: U8, row: int) -> int:
    """What is wrong with a row's state, or OK."""
    first = load(states, row, 0) & _WORD
    second = load(states, row, 6) & _WORD
    stones = first | second
    player, status = states[row, 12], states[row, 13]
    if stones & ~_BOARD:
        return OUTSIDE
    if first & second:
        return TWICE
    if stones & ~((stones | _FLOOR) >> 8):
        return FLOATING
    lead = count(first) - count(second)
    if lead < 0 or lead > 1:
        return BAD_COUNTS
    last, next_ = (first, second) if lead else (second, first)
    if out_of_order(first, second, last) or lines(next_) or (lines(last) and ended_earlier(stones, last)):
        return BAD_ORDER
    if player != lead:
        return BAD_PLAYER
    if status != (2 - lead if lines(last) else 3 if stones == _BOARD else 0):
        return BAD_STATUS
    return OK


@kernel("i64(i64)")
def squeeze(stones: int) -> int:
    """The 42 cells without the empty bit after each row: bit 7 * row + column."""
    pairs = stones & 0x7F007F007F | stones >> 1 & 0x3F803F803F80
    return pairs & 0x3FFF | pairs >> 2 & 0x3FFF << 14 | pairs >> 4 & 0x3FFF << 28


@kernel("none(f32[2], i64, i64, i64)")
def write_obs(obs: F32, row: int, own: int, other: int) -> None:
    """`obs:f32x84:v1`: a plane of own stones and one of the opponent's, each 6 rows from the top of 7 columns."""
    front = squeeze(own)
    back = squeeze(other)
    bits = front | back << 42
    for byte in range(8):
        for bit in range(8):
            obs[row, 8 * byte + bit] = _FLOATS[bits >> (8 * byte) & 255, bit]
    bits = back >> 22
    for byte in range(2):
        for bit in range(8):
            obs[row, 64 + 8 * byte + bit] = _FLOATS[bits >> (8 * byte) & 255, bit]
    for bit in range(4):
        obs[row, 80 + bit] = _FLOATS[bits >> 16, bit]


@kernel("none(u8[2], f32[2], u64[2], u8[1])")
def reset(states: U8, obs: F32, legal_masks: U64, players: U8) -> None:
    """Write the empty board to every row."""
    for row in range(len(players)):
        store(states, row, 0, 0, 0, 0)
        write_obs(obs, row, 0, 0)
        legal_masks[row, 0] = _TOP
        players[row] = 0


@kernel("i64(in u8[2], u8[2], f32[2], u64[2], u8[1])")
def observe(states: U8, copies: U8, obs: F32, legal_masks: U64, players: U8) -> int:
    """Derive everything else from states, and copy them."""
    for row in range(len(players)):
        reason = diagnose(states, row)
        if reason != OK:
            return row * REASONS + reason
        first = load(states, row, 0) & _WORD
        second = load(states, row, 6) & _WORD
        player = states[row, 12]
        store(copies, row, first, second, player, states[row, 13])
        write_obs(obs, row, second if player else first, first if player else second)
        legal_masks[row, 0] = 0 if states[row, 13] else _TOP & ~(first | second)
        players[row] = player
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
    """Drop one stone in every row; see `Connect4` for what info holds."""
    for row in range(len(players)):
        first = load(states, row, 0) & _WORD
        second = load(states, row, 6) & _WORD
        mover: Any = np.int64(states[row, 12])
        own = second if mover else first
        other = first if mover else second
        moves = count(first) + count(second)
        action: Any = np.int64(actions[row, 0])
        stone = landing(first | second, action & 7)
        # All that can be wrong, in one number.
        wrong = impossible(first, second) | lines(first) | lines(second) | out_of_order(first, second, other)
        wrong |= (count(first) - count(second)) ^ mover | mover >> 1 | states[row, 13]
        wrong |= action >> 3 | np.int64(stone == 0) | actions[row, 1] | actions[row, 2] | actions[row, 3]
        if wrong:
            return row * REASONS + diagnose_step(states, actions, row)
        own |= stone
        won = np.int64(lines(own) != 0)
        ended = won | np.int64(own | other == _BOARD)
        status = (3 - (2 - mover) * won) * ended
        player = 1 - mover
        store(successors, row, other if mover else own, own if mover else other, player, status)
        write_obs(obs, row, other, own)
        legal_masks[row, 0] = (_TOP & ~(own | other)) * (1 - ended)
        players[row] = player
        rewards[row] = np.float32(won)
        terminated[row] = ended
        truncated[row] = 0
        info[row] = status | (moves + 1) << 8
    return OK


@kernel("i64(in u8[2], in u8[2], i64)")
def diagnose_step(states: U8, actions: U8, row: int) -> int:
    """What is wrong with a row's state or action."""
    reason = diagnose(states, row)
    if reason != OK:
        return reason
    if states[row, 13]:
        return ENDED
    if actions[row, 0] > 6 or actions[row, 1] or actions[row, 2] or actions[row, 3]:
        return OUT_OF_RANGE
    return FULL
