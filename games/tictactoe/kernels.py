"""The rules of tic-tac-toe as kernels over N rows.

Enters: state and action columns. Leaves: every column of `Positions` or `Outcomes`, and where the first refused row is.
Invariant: a state is accepted exactly if some sequence of moves leads to it: 5,478 of all rows of 11 bytes.

A board is a pair of 9-bit sets, one a player, gathered from the cells' bytes eight at a time. Rows go through without a
branch that depends on the board, as random positions would mispredict each; only a refused row leaves the path, and
`diagnose` looks again at what is wrong with it. A kernel returns OK, or `row * REASONS + reason` of the first row that
it refuses; rows before it are written then already.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from games.kernel import kernel

OK = -1
BAD_CELL, BAD_COUNTS, BAD_PLAYER, BAD_STATUS, ENDED, OUT_OF_RANGE, TAKEN = range(7)
REASONS = 8

# Element types are in the signatures; Any lets elements mix with int in the eyes of the type checker, as in numba's.
U8 = npt.NDArray[Any]
U64 = npt.NDArray[Any]
F32 = npt.NDArray[Any]

# The eight lines as bit sets of cells.
_LINES = (
    0b000000111,
    0b000111000,
    0b111000000,
    0b001001001,
    0b010010010,
    0b100100100,
    0b100010001,
    0b001010100,
)
_FULL = 0b111111111
_LOW_BITS = 0x0101010101010101  # the lowest bit of each of eight bytes
_HIGH_BITS = 0xFCFCFCFCFCFCFCFC  # bits 2-7 of each

# Constants inside the kernels, small enough to stay in the first-level cache.
_WON = np.array([any(stones & line == line for line in _LINES) for stones in range(512)], np.uint8)
_COUNT = np.array([stones.bit_count() for stones in range(512)], np.uint8)
_FLOATS = np.array([[byte >> bit & 1 for bit in range(8)] for byte in range(256)], np.float32)


@kernel("u64(in u8[2], i64)")
def load_cells(states: U8, row: int) -> Any:
    """Bytes 0-7 of a row as one little-endian number (one load in machine code)."""
    packed = np.uint64(0)
    for cell in range(8):
        packed |= np.uint64(states[row, cell]) << np.uint64(8 * cell)
    return packed


@kernel("u64(u64)")
def gather_bits(packed: Any) -> Any:
    """Bit i is the lowest bit of byte i."""
    # The product moves bit 8 * i to bit 56 + i; nothing else lands up there.
    return (packed & np.uint64(_LOW_BITS)) * np.uint64(0x0102040810204080) >> np.uint64(56)


@kernel("i64(u64, u8)")
def stones_of_0(packed: Any, last: int) -> Any:
    """Player 0's set, of the cells that are 1; `last` is cell 8."""
    return np.int64(gather_bits(packed)) | (last & 1) << 8


@kernel("i64(u64, u8)")
def stones_of_1(packed: Any, last: int) -> Any:
    """Player 1's set, of the cells that are 2."""
    return np.int64(gather_bits(packed >> np.uint64(1))) | (last >> 1 & 1) << 8


@kernel("u64(u64, u8)")
def cells_above_2(packed: Any, last: int) -> Any:
    """Not 0 exactly if a cell is neither 0, 1 nor 2."""
    both = packed & packed >> np.uint64(1) & np.uint64(_LOW_BITS)
    high = packed & np.uint64(_HIGH_BITS)
    return both | high | np.uint64(last > 2)


@kernel("i64(in u8[2], i64)")
def diagnose(states: U8, row: int) -> int:
    """What is wrong with a row's state, or OK."""
    packed = load_cells(states, row)
    last = states[row, 8]
    if cells_above_2(packed, last):
        return BAD_CELL
    first = stones_of_0(packed, last)
    second = stones_of_1(packed, last)
    lead = np.int64(_COUNT[first]) - np.int64(_COUNT[second])
    # Who completes a line has just moved, and nobody moves after.
    if lead < 0 or lead > 1 or (_WON[first] and lead == 0) or (_WON[second] and lead == 1):
        return BAD_COUNTS
    if states[row, 9] != lead:
        return BAD_PLAYER
    if states[row, 10] != (1 if _WON[first] else 2 if _WON[second] else 3 if first | second == _FULL else 0):
        return BAD_STATUS
    return OK


@kernel("none(f32[2], i64, i64, i64, i64)")
def write_obs(obs: F32, row: int, own: int, other: int, player: int) -> None:
    """`obs:f32x29:v1`: 9 own stones, 9 of the opponent, 9 empty cells, 2 one-hot the player to move."""
    bits = own | other << 9 | (_FULL & ~(own | other)) << 18 | 1 << (27 + player)
    for value in range(8):
        obs[row, value] = _FLOATS[bits & 255, value]
    for value in range(8):
        obs[row, 8 + value] = _FLOATS[bits >> 8 & 255, value]
    for value in range(8):
        obs[row, 16 + value] = _FLOATS[bits >> 16 & 255, value]
    for value in range(5):
        obs[row, 24 + value] = _FLOATS[bits >> 24 & 255, value]


@kernel("none(u8[2], f32[2], u64[2], u8[1])")
def reset(states: U8, obs: F32, legal_masks: U64, players: U8) -> None:
    """Write the empty board to every row."""
    for row in range(len(players)):
        for offset in range(11):
            states[row, offset] = 0
        write_obs(obs, row, 0, 0, 0)
        legal_masks[row, 0] = _FULL
        players[row] = 0


@kernel("i64(in u8[2], u8[2], f32[2], u64[2], u8[1])")
def observe(states: U8, copies: U8, obs: F32, legal_masks: U64, players: U8) -> int:
    """Derive everything else from states, and copy them."""
    for row in range(len(players)):
        reason = diagnose(states, row)
        if reason != OK:
            return row * REASONS + reason
        packed = load_cells(states, row)
        first = stones_of_0(packed, states[row, 8])
        second = stones_of_1(packed, states[row, 8])
        player = states[row, 9]
        for offset in range(11):
            copies[row, offset] = states[row, offset]
        write_obs(obs, row, second if player else first, first if player else second, player)
        legal_masks[row, 0] = 0 if states[row, 10] else _FULL & ~(first | second)
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
    """Play one stone in every row; see `TicTacToe` for what info holds."""
    for row in range(len(players)):
        packed = load_cells(states, row)
        last = states[row, 8]
        mover: Any = np.int64(states[row, 9])
        first = stones_of_0(packed, last)
        second = stones_of_1(packed, last)
        action = np.int64(actions[row, 0])
        stone = 1 << (action & 15)
        # All that can be wrong, in one number: a board that goes on has no line and an empty cell.
        wrong = np.int64(cells_above_2(packed, last) != 0)
        wrong |= (_COUNT[first] - _COUNT[second]) ^ mover | mover >> 1 | states[row, 10]
        wrong |= _WON[first] | _WON[second] | (first | second) & stone
        wrong |= np.int64(action > 8) | actions[row, 1] | actions[row, 2] | actions[row, 3]
        if wrong:
            return row * REASONS + diagnose_step(states, actions, row)
        own = (second if mover else first) | stone
        other = first if mover else second
        empty = _FULL & ~(own | other)
        won = np.int64(_WON[own])
        ended = won | np.int64(empty == 0)
        status = (3 - (2 - mover) * won) * ended
        player = 1 - mover
        for cell in range(9):
            successors[row, cell] = states[row, cell]
        successors[row, action] = 1 + mover
        successors[row, 9] = player
        successors[row, 10] = status
        write_obs(obs, row, other, own, player)
        legal_masks[row, 0] = empty * (1 - ended)
        players[row] = player
        rewards[row] = np.float32(won)
        terminated[row] = ended
        truncated[row] = 0
        info[row] = status | np.int64(_COUNT[own] + _COUNT[other]) << 8
    return OK


@kernel("i64(in u8[2], in u8[2], i64)")
def diagnose_step(states: U8, actions: U8, row: int) -> int:
    """What is wrong with a row's state or action."""
    reason = diagnose(states, row)
    if reason != OK:
        return reason
    if states[row, 10]:
        return ENDED
    if actions[row, 0] > 8 or actions[row, 1] or actions[row, 2] or actions[row, 3]:
        return OUT_OF_RANGE
    return TAKEN
