"""The dynamics of Pendulum as kernels over N rows.

Enters: state and action columns. Leaves: every column of `Positions` or `Outcomes`, and where the first refused row is.
Invariant: every number is computed by the operations of Gymnasium's PendulumEnv in its order and precision (the f32
torque makes two of its products f32), so that equal sines and cosines give equal bits.

Rows go through in blocks of columns, see `games.words`. A kernel returns OK, or `row * REASONS + reason` of the first
row that it refuses; blocks before it are written then already.
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
BAD_STEPS, BAD_THETA, BAD_THETA_DOT, ENDED, OUT_OF_RANGE = range(5)
REASONS = 8

# Element types are in the signatures; Any lets elements mix with int in the eyes of the type checker, as in numba's.
U8 = npt.NDArray[Any]
U64 = npt.NDArray[Any]
F32 = npt.NDArray[Any]
F64 = npt.NDArray[Any]

# Gymnasium's constants, by its own expressions.
GRAVITY = 10.0
MASS = 1.0
LENGTH = 1.0
STEP_S = 0.05
LARGEST_THETA_DOT = 8.0
LARGEST_TORQUE = 2.0
GRAVITY_FACTOR = 3 * GRAVITY / (2 * LENGTH)
TORQUE_FACTOR = np.float32(3.0 / (MASS * LENGTH**2))
TORQUE_COST = np.float32(0.001)
TURN = 2 * np.pi

HORIZON = 200

# Columns of a block.
THETA, THETA_DOT, STEPS, SINE, COSINE = range(5)
COLUMNS = 5


@kernel("i64(in f64[2], in u64[2], i64)")
def diagnose(columns: F64, counts: U64, row: int) -> int:
    """What is wrong with a row's state, or OK. No comparison holds of a NaN, so each asks for what is right."""
    steps = counts[STEPS, row]
    if steps > HORIZON:
        return BAD_STEPS
    if not abs(columns[THETA, row]) <= 3.15 + 0.401 * steps:
        return BAD_THETA
    if not abs(columns[THETA_DOT, row]) <= LARGEST_THETA_DOT:
        return BAD_THETA_DOT
    return OK


@kernel("i64(in f64[2], in u64[2], i64, in f32[1])")
def diagnose_step(columns: F64, counts: U64, row: int, torques: F32) -> int:
    """What is wrong with a row's state or action, or OK."""
    reason = diagnose(columns, counts, row)
    if reason != OK:
        return reason
    if counts[STEPS, row] == HORIZON:
        return ENDED
    if not abs(torques[row]) <= LARGEST_TORQUE:
        return OUT_OF_RANGE
    return OK


@kernel("none(in u8[2], i64, i64, f32[1])")
def load_torques(actions: U8, start: int, rows: int, torques: F32) -> None:
    """The torques of rows from `start`; the bytes of a message may lie anywhere."""
    source, target = actions[start : start + rows].reshape(-1), torques.view(np.uint8)
    for offset in range(len(source)):
        target[offset] = source[offset]


@kernel("none(in f64[1], in f64[1], in f32[1], f32[1])")
def charge(thetas: F64, theta_dots: F64, torques: F32, rewards: F32) -> None:
    """What a step costs: angle_normalize(theta)**2 + 0.1 * theta_dot**2 + 0.001 * torque**2, negated."""
    for row in range(len(thetas)):
        # (theta + pi) % TURN as Python defines it, by long division: each subtraction is exact.
        shifted = thetas[row] + np.pi
        rest = abs(shifted)
        rest -= 8 * TURN if rest >= 8 * TURN else 0.0
        rest -= 4 * TURN if rest >= 4 * TURN else 0.0
        rest -= 2 * TURN if rest >= 2 * TURN else 0.0
        rest -= TURN if rest >= TURN else 0.0
        rest = TURN - rest if shifted < 0.0 and rest > 0.0 else rest
        angle = rest - np.pi
        torque_cost = TORQUE_COST * (torques[row] * torques[row])
        cost = angle * angle + 0.1 * (theta_dots[row] * theta_dots[row]) + np.float64(torque_cost)
        rewards[row] = np.float32(-cost)


@kernel("none(in f64[1], in f32[1], f64[1])")
def accelerate(sines: F64, torques: F32, theta_dots: F64) -> None:
    """One time step of the speed, which is held within its limit."""
    for row in range(len(theta_dots)):
        push = np.float64(TORQUE_FACTOR * torques[row])
        theta_dot = theta_dots[row] + (GRAVITY_FACTOR * sines[row] + push) * STEP_S
        theta_dots[row] = min(max(theta_dot, -LARGEST_THETA_DOT), LARGEST_THETA_DOT)


@kernel("none(f64[1], in f64[1])")
def move(thetas: F64, theta_dots: F64) -> None:
    """One time step of the angle, with the new speed."""
    for row in range(len(thetas)):
        thetas[row] += theta_dots[row] * STEP_S


@kernel("none(f64[2], i64, i64, u8[2], f32[2], u8[1])")
def store(columns: F64, rows: int, start: int, states: U8, obs: F32, players: U8) -> None:
    """Write a block to rows from `start` of every column of `Positions`; there are no masks."""
    store_words(columns, start, rows, states)
    sincos(columns[THETA, :rows], columns[SINE, :rows], columns[COSINE, :rows])
    for row in range(rows):
        obs[start + row, 0] = np.float32(columns[COSINE, row])
        obs[start + row, 1] = np.float32(columns[SINE, row])
        obs[start + row, 2] = np.float32(columns[THETA_DOT, row])
    for row in range(rows):
        players[start + row] = 0


@kernel("none(in u64[1], f64, f64, u8[2], f32[2], u8[1])")
def reset(seeds: U64, theta_within: Any, theta_dot_within: Any, states: U8, obs: F32, players: U8) -> None:
    """Theta in +-theta_within, then theta_dot in +-theta_dot_within, drawn from block 0 of every row's seed."""
    columns = np.empty((COLUMNS, BLOCK), np.float64)
    counts = columns.view(np.uint64)
    drawn = np.empty((BLOCK, BLOCK_WORDS), np.uint32)
    pairs = drawn.view(np.uint64)
    for start in range(0, len(players), BLOCK):
        rows = min(BLOCK, len(players) - start)
        seeded_blocks(seeds[start : start + rows], np.zeros(rows, np.uint64), drawn)
        for row in range(rows):
            for word in range(2):
                # As games.chacha.uniform; twice a number less that number, times less than 1, stays within it.
                within = theta_dot_within if word else theta_within
                unit = np.float64(pairs[row, word] >> np.uint64(11)) * (1.0 / (1 << 53))
                columns[word, row] = -within + 2.0 * within * unit
            counts[STEPS, row] = 0
        store(columns, rows, start, states, obs, players)


@kernel("i64(in u8[2], u8[2], f32[2], u8[1])")
def observe(states: U8, copies: U8, obs: F32, players: U8) -> int:
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
        store(columns, rows, start, copies, obs, players)
    return OK


@kernel("i64(in u8[2], in u8[2], u8[2], f32[2], u8[1], f32[1], u8[1], u8[1], u64[1])")
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
) -> int:
    """Turn every pendulum once; see `Pendulum` for what info holds."""
    columns = np.empty((COLUMNS, BLOCK), np.float64)
    counts = columns.view(np.uint64)
    torques = np.empty(BLOCK, np.float32)
    for start in range(0, len(players), BLOCK):
        rows = min(BLOCK, len(players) - start)
        load_words(states, start, rows, columns)
        load_torques(actions, start, rows, torques)
        for row in range(rows):
            reason = diagnose_step(columns, counts, row, torques)
            if reason != OK:
                return (start + row) * REASONS + reason
        thetas, theta_dots = columns[THETA, :rows], columns[THETA_DOT, :rows]
        sincos(thetas, columns[SINE, :rows], columns[COSINE, :rows])
        charge(thetas, theta_dots, torques, rewards[start : start + rows])
        accelerate(columns[SINE], torques, theta_dots)
        move(thetas, theta_dots)
        for row in range(rows):
            counts[STEPS, row] += np.uint64(1)
            terminated[start + row] = 0
            truncated[start + row] = counts[STEPS, row] == HORIZON
            info[start + row] = counts[STEPS, row]
        store(columns, rows, start, successors, obs, players)
    return OK
