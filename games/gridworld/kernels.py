"""The rules of gridworld as kernels over N rows.

Enters: seeds and a size, or state and action columns. Leaves: every column of `Positions` or `Outcomes`, and where the
first refused row is.
Invariant: a state is accepted exactly if some reset and some sequence of moves lead to it, or if it is v1's goal.

A kernel returns OK, or `row * REASONS + reason` of the first row that it refuses; rows before it are written then
already.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from games.chacha import CURSOR_WORDS, begin, below
from games.kernel import kernel

OK = -1
BAD_SIZE, OUTSIDE, BAD_STEPS, ENDED, OUT_OF_RANGE = range(5)
REASONS = 8

# Element types are in the signatures; Any lets elements mix with int in the eyes of the type checker, as in numba's.
U8 = npt.NDArray[Any]
U64 = npt.NDArray[Any]
F32 = npt.NDArray[Any]

_LEAST, _MOST = 2, 16
_STEPS_A_CELL = 4
_ALL_ACTIONS = 0b1111


@kernel("i64(in u8[2], i64)")
def steps_of(states: U8, row: int) -> Any:
    """The number of steps that a state says."""
    return np.int64(states[row, 4]) | np.int64(states[row, 5]) << 8


@kernel("i64(in u8[2], i64)")
def horizon_of(states: U8, row: int) -> Any:
    """The number of steps after which an episode on a grid of this size is cut off."""
    return _STEPS_A_CELL * np.int64(states[row, 2]) * np.int64(states[row, 3])


@kernel("i64(in u8[2], i64)")
def left_of(states: U8, row: int) -> Any:
    """The number of moves to the goal, 0 at the goal."""
    return (
        np.int64(states[row, 2])
        - 1
        - np.int64(states[row, 0])
        + np.int64(states[row, 3])
        - 1
        - np.int64(states[row, 1])
    )


@kernel("i64(in u8[2], i64)")
def diagnose(states: U8, row: int) -> int:
    """What is wrong with a row's state, or OK."""
    w, h = np.int64(states[row, 2]), np.int64(states[row, 3])
    if min(w, h) < _LEAST or max(w, h) > _MOST:
        return BAD_SIZE
    if states[row, 0] >= w or states[row, 1] >= h:
        return OUTSIDE
    if steps_of(states, row) > horizon_of(states, row):
        return BAD_STEPS
    return OK


@kernel("none(in u8[2], f32[2], u64[2], u8[1], i64)")
def write_position(states: U8, obs: F32, legal_masks: U64, players: U8, row: int) -> None:
    """`obs:f32x4:v1` (x / (w - 1), y / (h - 1), w / 16, h / 16), mask and player of a possible state."""
    w, h = np.int64(states[row, 2]), np.int64(states[row, 3])
    obs[row, 0] = np.int64(states[row, 0]) / (w - 1)
    obs[row, 1] = np.int64(states[row, 1]) / (h - 1)
    obs[row, 2] = w / 16
    obs[row, 3] = h / 16
    goes_on = left_of(states, row) > 0 and steps_of(states, row) < horizon_of(states, row)
    legal_masks[row, 0] = _ALL_ACTIONS if goes_on else 0
    players[row] = 0


@kernel("none(in u64[1], i64, i64, u8[2], f32[2], u64[2], u8[1])")
def reset(seeds: U64, w: int, h: int, states: U8, obs: F32, legal_masks: U64, players: U8) -> None:
    """Start in any cell but the goal: the first `below(w * h - 1)` of block 0, counted row by row."""
    cursor = np.empty(CURSOR_WORDS, np.uint32)
    for row in range(len(seeds)):
        begin(cursor, seeds[row], np.uint64(0))
        cell = np.int64(below(cursor, np.uint32(w * h - 1)))
        states[row, 0] = cell % w
        states[row, 1] = cell // w
        states[row, 2] = w
        states[row, 3] = h
        states[row, 4] = 0
        states[row, 5] = 0
        write_position(states, obs, legal_masks, players, row)


@kernel("i64(in u8[2], u8[2], f32[2], u64[2], u8[1])")
def observe(states: U8, copies: U8, obs: F32, legal_masks: U64, players: U8) -> int:
    """Derive everything else from states, and copy them."""
    for row in range(len(players)):
        reason = diagnose(states, row)
        if reason != OK:
            return row * REASONS + reason
        for offset in range(6):
            copies[row, offset] = states[row, offset]
        write_position(states, obs, legal_masks, players, row)
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
    """Move by one cell in every row, or stay at a wall; see `Gridworld` for what info holds."""
    for row in range(len(players)):
        reason = diagnose_step(states, actions, row)
        if reason != OK:
            return row * REASONS + reason
        w, h = np.int64(states[row, 2]), np.int64(states[row, 3])
        action = np.int64(actions[row, 0])
        x = np.int64(states[row, 0]) + np.int64(action == 3) - np.int64(action == 2)
        y = np.int64(states[row, 1]) + np.int64(action == 1) - np.int64(action == 0)
        steps = steps_of(states, row) + 1
        successors[row, 0] = min(max(x, 0), w - 1)
        successors[row, 1] = min(max(y, 0), h - 1)
        successors[row, 2] = w
        successors[row, 3] = h
        successors[row, 4] = steps & 255
        successors[row, 5] = steps >> 8
        left = left_of(successors, row)
        write_position(successors, obs, legal_masks, players, row)
        rewards[row] = left == 0
        terminated[row] = left == 0
        truncated[row] = left > 0 and steps == horizon_of(states, row)
        info[row] = steps | left << 16
    return OK


@kernel("i64(in u8[2], in u8[2], i64)")
def diagnose_step(states: U8, actions: U8, row: int) -> int:
    """What is wrong with a row's state or action, or OK."""
    reason = diagnose(states, row)
    if reason != OK:
        return reason
    if left_of(states, row) == 0 or steps_of(states, row) == horizon_of(states, row):
        return ENDED
    if actions[row, 0] > 3 or actions[row, 1] or actions[row, 2] or actions[row, 3]:
        return OUT_OF_RANGE
    return OK
