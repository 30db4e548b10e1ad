"""The dynamics of CartPole as kernels over N rows.

Enters: state and action columns. Leaves: every column of `Positions` or `Outcomes`, and where the first refused row is.
Invariant: every f64 is computed by the operations of Gymnasium's CartPoleEnv in its order, so that equal sines and
cosines give equal bits.

The equations are R. V. Florian's (Correct equations for the dynamics of the cart-pole system, 2007) without friction,
in steps of Euler's explicit method. Rows go through in blocks of columns, see `games.words`. A kernel returns OK, or
`row * REASONS + reason` of the first row that it refuses; blocks before it are written then already.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from games.chacha import BLOCK_WORDS, seeded_blocks
from games.kernel import kernel
from games.trigonometry import sincos
from games.words import BLOCK, load_words, store_words

OK = -1
BAD_STEPS, BAD_START, BAD_X, BAD_X_DOT, BAD_THETA, BAD_THETA_DOT, ENDED, OUT_OF_RANGE = range(8)
REASONS = 8

# Element types are in the signatures; Any lets elements mix with int in the eyes of the type checker, as in numba's.
U8 = npt.NDArray[Any]
U64 = npt.NDArray[Any]
F32 = npt.NDArray[Any]
F64 = npt.NDArray[Any]

# Gymnasium's constants, by its own expressions.
GRAVITY = 9.8
CART_MASS = 1.0
POLE_MASS = 0.1
TOTAL_MASS = POLE_MASS + CART_MASS
HALF_LENGTH = 0.5  # of the pole
POLE_MASS_LENGTH = POLE_MASS * HALF_LENGTH
FORCE = 10.0
STEP_S = 0.02
LARGEST_X = 2.4
LARGEST_THETA = 12 * 2 * np.pi / 360

HORIZON = 500

# Columns of a block. The accelerations take the place of sine and cosine.
X, X_DOT, THETA, THETA_DOT, STEPS, SINE, COSINE, PUSH = range(8)
X_ACC, THETA_ACC = SINE, COSINE
COLUMNS = 8


@kernel("none(in f64[2], in u64[2], i64, i64, u8[2], f32[2], u64[2], u8[1])")
def store(
    columns: F64, counts: U64, rows: int, start: int, states: U8, obs: F32, legal_masks: U64, players: U8
) -> None:
    """Write a block to rows from `start` of every column of `Positions`."""
    store_words(columns, start, rows, states)
    for row in range(rows):
        for word in range(4):
            obs[start + row, word] = np.float32(columns[word, row])
        legal_masks[start + row, 0] = 0 if has_fallen(columns, row) | (counts[STEPS, row] == HORIZON) else 3
        players[start + row] = 0


@kernel("i64(in f64[2], i64)")
def has_fallen(columns: F64, row: int) -> Any:
    """1 if the cart has left the track or the pole its angle."""
    return np.int64(abs(columns[X, row]) > LARGEST_X) | np.int64(abs(columns[THETA, row]) > LARGEST_THETA)


@kernel("i64(in f64[2], in u64[2], i64)")
def diagnose(columns: F64, counts: U64, row: int) -> int:
    """What is wrong with a row's state, or OK. No comparison holds of a NaN, so each asks for what is right."""
    if counts[STEPS, row] > HORIZON:
        return BAD_STEPS
    if counts[STEPS, row] == 0:
        for word in range(4):
            if not abs(columns[word, row]) <= LARGEST_THETA:
                return BAD_START
        return OK
    fallen = has_fallen(columns, row)
    if not abs(columns[X, row]) <= 7.3:
        return BAD_X
    if not abs(columns[X_DOT, row]) <= 241.0 + fallen:
        return BAD_X_DOT
    if not abs(columns[THETA, row]) <= 0.65:
        return BAD_THETA
    if not abs(columns[THETA_DOT, row]) <= 22.0 + fallen:
        return BAD_THETA_DOT
    return OK


@kernel("i64(in f64[2], in u64[2], i64, in u8[2], i64)")
def diagnose_step(columns: F64, counts: U64, row: int, actions: U8, action_row: int) -> int:
    """What is wrong with a row's state or action, or OK."""
    reason = diagnose(columns, counts, row)
    if reason != OK:
        return reason
    if has_fallen(columns, row) or counts[STEPS, row] == HORIZON:
        return ENDED
    if (
        actions[action_row, 0] > 1
        or actions[action_row, 1]
        or actions[action_row, 2]
        or actions[action_row, 3]
    ):
        return OUT_OF_RANGE
    return OK


@kernel("i64(in f64[2], in u64[2], i64, in u8[2], i64)")
def any_wrong(columns: F64, counts: U64, rows: int, actions: U8, start: int) -> Any:
    """Not 0 if `diagnose_step` would refuse a row: the same questions without a branch."""
    wrong = np.int64(0)
    for row in range(rows):
        x, x_dot = abs(columns[X, row]), abs(columns[X_DOT, row])
        theta, theta_dot = abs(columns[THETA, row]), abs(columns[THETA_DOT, row])
        goes_on = (x <= LARGEST_X) & (theta <= LARGEST_THETA) & (x_dot <= 241.0) & (theta_dot <= 22.0)
        small = (x <= LARGEST_THETA) & (x_dot <= LARGEST_THETA) & (theta_dot <= LARGEST_THETA)
        goes_on &= (counts[STEPS, row] < HORIZON) & ((counts[STEPS, row] > 0) | small)
        wrong |= 1 - np.int64(goes_on)
    for row in range(start, start + rows):
        wrong |= np.int64(actions[row, 0] > 1) | actions[row, 1] | actions[row, 2] | actions[row, 3]
    return wrong


@kernel("none(in f64[1], f64[1], f64[1], in f64[1])")
def accelerate(theta_dots: F64, sines: F64, cosines: F64, pushes: F64) -> None:
    """Write the cart's acceleration over the sines and the pole's over the cosines."""
    for row in range(len(theta_dots)):
        sine, cosine, theta_dot = sines[row], cosines[row], theta_dots[row]
        temp = (pushes[row] + POLE_MASS_LENGTH * (theta_dot * theta_dot) * sine) / TOTAL_MASS
        inertia = HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * (cosine * cosine) / TOTAL_MASS)
        # np.divide, as numba's / asks whether to raise ZeroDivisionError, and the loop would go row by row.
        theta_acc = np.divide(GRAVITY * sine - cosine * temp, inertia)
        sines[row] = temp - POLE_MASS_LENGTH * theta_acc * cosine / TOTAL_MASS
        cosines[row] = theta_acc


@kernel("none(f64[1], in f64[1])")
def move(values: F64, rates: F64) -> None:
    """Go on by one time step."""
    for row in range(len(values)):
        values[row] += STEP_S * rates[row]


@kernel("none(f64[2], u64[2], i64, in u8[2], i64)")
def advance(columns: F64, counts: U64, rows: int, actions: U8, start: int) -> None:
    """One step of a block; its actions begin at row `start`."""
    for row in range(rows):
        columns[PUSH, row] = 2.0 * FORCE * actions[start + row, 0] - FORCE
    sincos(columns[THETA, :rows], columns[SINE, :rows], columns[COSINE, :rows])
    accelerate(columns[THETA_DOT, :rows], columns[SINE], columns[COSINE], columns[PUSH])
    move(columns[X, :rows], columns[X_DOT])
    move(columns[X_DOT, :rows], columns[X_ACC])
    move(columns[THETA, :rows], columns[THETA_DOT])
    move(columns[THETA_DOT, :rows], columns[THETA_ACC])
    for row in range(rows):
        counts[STEPS, row] += np.uint64(1)


@kernel("none(in u64[1], f64, f64, u8[2], f32[2], u64[2], u8[1])")
def reset(seeds: U64, low: Any, high: Any, states: U8, obs: F32, legal_masks: U64, players: U8) -> None:
    """Four numbers in [low, high] for every row, in the order of the state's words, drawn from block 0 of its seed."""
    columns = np.empty((COLUMNS, BLOCK), np.float64)
    counts = columns.view(np.uint64)
    drawn = np.empty((BLOCK, BLOCK_WORDS), np.uint32)
    pairs = drawn.view(np.uint64)
    for start in range(0, len(players), BLOCK):
        rows = min(BLOCK, len(players) - start)
        seeded_blocks(seeds[start : start + rows], np.zeros(rows, np.uint64), drawn)
        for row in range(rows):
            for word in range(4):
                # As games.chacha.uniform; rounding may carry the sum above high.
                unit = np.float64(pairs[row, word] >> np.uint64(11)) * (1.0 / (1 << 53))
                columns[word, row] = min(low + (high - low) * unit, high)
            counts[STEPS, row] = 0
        store(columns, counts, rows, start, states, obs, legal_masks, players)


@kernel("i64(in u8[2], u8[2], f32[2], u64[2], u8[1])")
def observe(states: U8, copies: U8, obs: F32, legal_masks: U64, players: U8) -> int:
    """Derive everything else from states, and copy them."""
    columns = np.empty((COLUMNS, BLOCK), np.float64)
    counts = columns.view(np.uint64)
    for start in range(0, len(players), BLOCK):
        rows = min(BLOCK, len(players) - start)
        load_words(states, start, rows, columns)
        for row in range(rows):
            reason = diagnose(columns, counts, row)
            if reason != OK:
                return (start + row) * REASONS + reason
        store(columns, counts, rows, start, copies, obs, legal_masks, players)
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
    """Push every cart once; see `CartPole` for what info holds."""
    columns = np.empty((COLUMNS, BLOCK), np.float64)
    counts = columns.view(np.uint64)
    for start in range(0, len(players), BLOCK):
        rows = min(BLOCK, len(players) - start)
        load_words(states, start, rows, columns)
        if any_wrong(columns, counts, rows, actions, start):
            for row in range(rows):
                reason = diagnose_step(columns, counts, row, actions, start + row)
                if reason != OK:
                    return (start + row) * REASONS + reason
        advance(columns, counts, rows, actions, start)
        store(columns, counts, rows, start, successors, obs, legal_masks, players)
        for row in range(rows):
            fallen = has_fallen(columns, row)
            rewards[start + row] = 1.0
            terminated[start + row] = fallen
            truncated[start + row] = (1 - fallen) & np.int64(counts[STEPS, row] == HORIZON)
            info[start + row] = counts[STEPS, row]
    return OK
