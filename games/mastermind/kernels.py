"""The rules of mastermind as kernels over N rows.

Enters: seeds, or state and action columns. Leaves: every column of `Positions` or `Outcomes`, and where the first
refused row is. Invariant: a state is accepted exactly if some secret and some guesses lead to it.

States are u8[N, 11, 6], the turns after a first record of secret, guesses made and status; observations are
f32[N, 10, 26]. Four pegs travel through the kernels as one number, a byte a peg. Keys are counted without a table:
black ones are the bytes in which guess and secret agree; for the white ones either is written in unary, a colour having
as many bits set as it has pegs, so that the bits in common are all the keys. A kernel returns OK, or
`row * REASONS + reason` of the first row that it refuses; rows before it are written then already.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from games.chacha import CURSOR_WORDS, begin, below
from games.kernel import kernel

OK = -1
BAD_SECRET, BAD_COUNT, BAD_GUESS, BAD_KEYS, BAD_STATUS, NOT_EMPTY, ENDED, OUT_OF_RANGE = range(8)
REASONS = 8

# Element types are in the signatures; Any lets elements mix with int in the eyes of the type checker, as in numba's.
U8 = npt.NDArray[Any]
U64 = npt.NDArray[Any]
F32 = npt.NDArray[Any]

_TURNS = 10
_HIGH_BITS = 0x80808080  # bit 7 of each peg
_FLOATS = np.array([[byte >> bit & 1 for bit in range(8)] for byte in range(256)], np.float32)


@kernel("i64(in u8[3], i64, i64)")
def load_pegs(states: U8, row: int, record: int) -> Any:
    """The four colours of a record as one little-endian number (one load in machine code)."""
    pegs = np.int64(0)
    for peg in range(4):
        pegs |= np.int64(states[row, record, peg]) << (8 * peg)
    return pegs


@kernel("i64(in u8[3], i64, i64)")
def load_answer(states: U8, row: int, record: int) -> Any:
    """The answer of a record: black keys, and white ones times 256."""
    return np.int64(states[row, record, 4]) | np.int64(states[row, record, 5]) << 8


@kernel("none(u8[3], i64, i64, i64, i64)")
def store_record(states: U8, row: int, record: int, pegs: int, answer: int) -> None:
    """Write four colours and two bytes."""
    for peg in range(4):
        states[row, record, peg] = pegs >> (8 * peg) & 255
    for byte in range(2):
        states[row, record, 4 + byte] = answer >> (8 * byte) & 255


@kernel("i64(i64)")
def wrong_colours(pegs: int) -> int:
    """Not 0 exactly if a peg is of a colour above 5."""
    # 5 + 0x7a is the last sum without bit 7; a carry to the next peg leaves its own trace.
    return (pegs + 0x7A7A7A7A | pegs) & _HIGH_BITS


@kernel("i64(i64)")
def count(bits: int) -> Any:
    """How many of 32 bits are set: sums of 2, 4 and 8 bits side by side (one instruction in machine code)."""
    sums = np.uint64(bits)
    sums -= sums >> np.uint64(1) & np.uint64(0x5555555555555555)
    sums = (sums & np.uint64(0x3333333333333333)) + (sums >> np.uint64(2) & np.uint64(0x3333333333333333))
    sums = sums + (sums >> np.uint64(4)) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64(sums * np.uint64(0x0101010101010101) >> np.uint64(56))


@kernel("i64(i64)")
def unary(pegs: int) -> int:
    """Four bits a colour, as many of them set, from the lowest, as it has pegs."""
    bits = 0
    for peg in range(4):
        place = (pegs >> (8 * peg) & 7) * 4
        bits |= (bits & 7 << place) << 1 | 1 << place
    return bits


@kernel("i64(i64, i64, i64)")
def keys(secret: int, in_unary: int, guess: int) -> Any:
    """The answer to a guess: black keys, and white ones times 256. `in_unary` is the secret's."""
    black = 4 - count(((secret ^ guess) + 0x7F7F7F7F) & _HIGH_BITS)
    return black | (count(in_unary & unary(guess)) - black) << 8


@kernel("none(f32[3], i64, i64, i64, i64)")
def write_turn(obs: F32, row: int, turn: int, guess: int, answer: int) -> None:
    """One turn of `obs:f32x260:v1`: six floats a peg, one-hot its colour; black keys / 4 and white keys / 4."""
    bits = np.int64(0)
    for peg in range(4):
        bits |= 1 << (6 * peg + (guess >> (8 * peg) & 7))
    for byte in range(3):
        for bit in range(8):
            obs[row, turn, 8 * byte + bit] = _FLOATS[bits >> (8 * byte) & 255, bit]
    obs[row, turn, 24] = np.float32(answer & 255) * np.float32(0.25)
    obs[row, turn, 25] = np.float32(answer >> 8) * np.float32(0.25)


@kernel("none(f32[3], i64, i64)")
def clear_turn(obs: F32, row: int, turn: int) -> None:
    """Zeros for a turn that was not played."""
    for value in range(26):
        obs[row, turn, value] = 0


@kernel("i64(in u8[3], i64, i64, u8[3], f32[3])")
def play_back(states: U8, row: int, played: int, copies: U8, obs: F32) -> Any:
    """Copy a state, write its observation, and check all but its counts and status.

    Args:
        states, row: the state.
        played: how many of its turns to read, 0..10; the others are to be empty.
        copies, obs: what is written.

    Returns:
        Bit i is 1 if turn i cracked the secret, bit 10 if something is wrong.
    """
    secret = load_pegs(states, row, 0)
    store_record(copies, row, 0, secret, load_answer(states, row, 0))
    in_unary = unary(secret)
    wrong = wrong_colours(secret)
    cracking = np.int64(0)
    for turn in range(played):
        guess = load_pegs(states, row, turn + 1)
        answer = load_answer(states, row, turn + 1)
        wrong |= wrong_colours(guess) | answer ^ keys(secret, in_unary, guess)
        cracking |= np.int64(answer == 4) << turn
        store_record(copies, row, turn + 1, guess, answer)
        write_turn(obs, row, turn, guess, answer)
    for turn in range(played, _TURNS):
        wrong |= load_pegs(states, row, turn + 1) | load_answer(states, row, turn + 1)
        store_record(copies, row, turn + 1, 0, 0)
        clear_turn(obs, row, turn)
    return np.int64(wrong != 0) << _TURNS | cracking


@kernel("i64(in u8[3], i64)")
def diagnose(states: U8, row: int) -> Any:
    """What is wrong with a row's state, or OK."""
    secret = load_pegs(states, row, 0)
    guesses = np.int64(states[row, 0, 4])
    if wrong_colours(secret):
        return BAD_SECRET
    if guesses > _TURNS:
        return BAD_COUNT
    cracked = 0
    for record in range(1, guesses + 1):
        guess = load_pegs(states, row, record)
        if wrong_colours(guess):
            return BAD_GUESS
        if load_answer(states, row, record) != keys(secret, unary(secret), guess):
            return BAD_KEYS
        if cracked:
            return BAD_STATUS
        cracked = 1 if guess == secret else 0
    for record in range(guesses + 1, _TURNS + 1):
        if load_pegs(states, row, record) | load_answer(states, row, record):
            return NOT_EMPTY
    return OK if states[row, 0, 5] == (1 if cracked else 2 if guesses == _TURNS else 0) else BAD_STATUS


@kernel("none(in u64[1], in u8[1], u8[3], f32[3], u8[1])")
def reset(seeds: U64, hint: U8, states: U8, obs: F32, players: U8) -> None:
    """Write a start to every row.

    Args:
        seeds: colour i of the secret is the i-th `games.chacha.below` 6 from block 0.
        hint: u8[4] the secret of every row, or u8[0] for those of the seeds.
        states, obs, players: what is written.
    """
    cursor = np.empty(CURSOR_WORDS, np.uint32)
    for row in range(len(players)):
        begin(cursor, seeds[row], np.uint64(0))
        for record in range(_TURNS + 1):
            store_record(states, row, record, 0, 0)
        for peg in range(4):
            states[row, 0, peg] = hint[peg] if len(hint) else below(cursor, np.uint32(6))
        for turn in range(_TURNS):
            clear_turn(obs, row, turn)
        players[row] = 0


@kernel("i64(in u8[3], u8[3], f32[3], u8[1])")
def observe(states: U8, copies: U8, obs: F32, players: U8) -> Any:
    """Derive everything else from states, and copy them."""
    for row in range(len(players)):
        guesses: Any = np.int64(states[row, 0, 4])
        played = min(guesses, _TURNS)
        cracking = play_back(states, row, played, copies, obs)
        status = 1 if cracking else 2 if guesses == _TURNS else 0
        # Only the last turn may have cracked the secret.
        if guesses > played or cracking & ~(1 << played >> 1) or states[row, 0, 5] != status:
            return row * REASONS + diagnose(states, row)
        players[row] = 0
    return OK


@kernel("i64(in u8[3], in u8[2], u8[3], f32[3], u8[1], f32[1], u8[1], u8[1], u64[1])")
def step(
    states: U8,
    actions: U8,
    successors: U8,
    obs: F32,
    players: U8,
    rewards: F32,
    terminated: U8,
    truncated: U8,
    info: U64,
) -> Any:
    """Make one guess in every row; see `Mastermind` for rewards and for what info holds."""
    for row in range(len(players)):
        turn: Any = min(np.int64(states[row, 0, 4]), _TURNS - 1)
        wrong = play_back(states, row, turn, successors, obs)
        wrong |= (states[row, 0, 4] ^ turn) | states[row, 0, 5]
        guess: Any = np.int64(0)
        for peg in range(4):
            guess |= np.int64(actions[row, 4 * peg]) << (8 * peg)
            wrong |= actions[row, 4 * peg + 1] | actions[row, 4 * peg + 2] | actions[row, 4 * peg + 3]
        if wrong | wrong_colours(guess):
            return row * REASONS + diagnose_step(states, row)
        secret = load_pegs(states, row, 0)
        answer = keys(secret, unary(secret), guess)
        cracked = np.int64(answer == 4)
        missed = np.int64(turn == _TURNS - 1) & (1 - cracked)
        status = cracked + 2 * missed
        store_record(successors, row, 0, secret, turn + 1 | status << 8)
        store_record(successors, row, turn + 1, guess, answer)
        write_turn(obs, row, turn, guess, answer)
        players[row] = 0
        rewards[row] = np.float32(-1 - missed)
        terminated[row] = cracked | missed
        truncated[row] = 0
        info[row] = status | (turn + 1) << 8 | answer << 16
    return OK


@kernel("i64(in u8[3], i64)")
def diagnose_step(states: U8, row: int) -> Any:
    """What is wrong with a row's state, or with its action."""
    reason = diagnose(states, row)
    if reason != OK:
        return reason
    return ENDED if states[row, 0, 5] else OUT_OF_RANGE
