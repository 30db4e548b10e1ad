"""Numba kernels of the actor: choosing actions, and filling the columns of a chunk. Pure, on plain arrays.

In: arrays of one group of N environments. Out: actions, episode books, successor columns.
Invariant: random numbers are a function of (key, counter, row) alone, so that the same seed plays the same games.
Source of the generator: SplitMix64, Steele, Lea and Flood, OOPSLA 2014, used as a hash of a counter.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from games.kernel import kernel


@kernel("u64(u64)")
def mix(value: np.uint64) -> np.uint64:
    """SplitMix64's step and finalizer: 64 random bits of a counter."""
    value = np.uint64(value + np.uint64(0x9E3779B97F4A7C15))
    value = np.uint64((value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9))
    value = np.uint64((value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB))
    return np.uint64(value ^ (value >> np.uint64(31)))


@kernel("i64(in u64[2], i64)")
def count_legal(masks: npt.NDArray[np.uint64], row: int) -> int:
    """Number of legal actions of one row of masks u64[N, W]."""
    total = 0
    for index in range(masks.shape[1]):
        word = masks[row, index]
        while word != np.uint64(0):
            word &= word - np.uint64(1)
            total += 1
    return total


@kernel("i64(in u64[2], i64, i64)")
def nth_legal(masks: npt.NDArray[np.uint64], row: int, wanted: int) -> int:
    """The legal action of one row that has `wanted` legal ones below it; -1 if there are fewer."""
    for index in range(masks.shape[1]):
        word = masks[row, index]
        for bit in range(64):
            if (word >> np.uint64(bit)) & np.uint64(1):
                if wanted == 0:
                    return index * 64 + bit
                wanted -= 1
    return -1


@kernel("i64(in u64[2], u64, u64, f64, u32[1], i64[1])")
def explore(
    masks: npt.NDArray[np.uint64],
    key: np.uint64,
    counter: np.uint64,
    probability: float,
    actions: npt.NDArray[np.uint32],
    greedy_rows: npt.NDArray[np.int64],
) -> int:
    """Gives a random legal action to each row that explores; lists the other rows.

    Args:
        masks: u64[N, W], at least one legal action a row.
        key: what to draw from: a hash of seed, actor, incarnation and group.
        counter: number of the group's step; never the same twice under one key.
        probability: of a row to explore, 0 to 1.
        actions: out u32[N], written where a row explores.
        greedy_rows: out i64[N], the rows that do not.

    Returns:
        How many rows are listed.
    """
    listed = 0
    base = mix(key ^ mix(counter))
    for row in range(len(masks)):
        draw = mix(base + np.uint64(2 * row))
        if float(draw >> np.uint64(11)) * (1.0 / (1 << 53)) < probability:
            legal = np.uint64(count_legal(masks, row))
            choice = mix(base + np.uint64(2 * row + 1)) >> np.uint64(32)
            # The high half of a product: biased by less than n / 2**32 (Lemire, TOMACS 2019).
            actions[row] = np.uint32(nth_legal(masks, row, int((choice * legal) >> np.uint64(32))))
        else:
            greedy_rows[listed] = row
            listed += 1
    return listed


@kernel("none(in f32[2], in i64[1], i64, f32[2])")
def gather_rows(
    source: npt.NDArray[np.float32], rows: npt.NDArray[np.int64], count: int, out: npt.NDArray[np.float32]
) -> None:
    """Copies the first `count` of `rows` i64[N] of source f32[N, O] to the top of out f32[N, O]."""
    for index in range(count):
        out[index] = source[rows[index]]


@kernel("none(in f32[2], in u64[2], in i64[1], i64, u32[1])")
def best_legal(
    values: npt.NDArray[np.float32],
    masks: npt.NDArray[np.uint64],
    rows: npt.NDArray[np.int64],
    count: int,
    actions: npt.NDArray[np.uint32],
) -> None:
    """For each listed row its legal action of highest value; of equal ones the lowest.

    Args:
        values: f32[>= count, A], one row for each listed row.
        masks: u64[N, W].
        rows: i64[N], of which the first `count` are meant.
        count: how many rows.
        actions: out u32[N], written for the listed rows.
    """
    for index in range(count):
        row = rows[index]
        best = -1
        highest = np.float32(0)
        for action in range(values.shape[1]):
            legal = (masks[row, action >> 6] >> np.uint64(action & 63)) & np.uint64(1)
            if legal and (best < 0 or values[index, action] > highest):
                best = action
                highest = values[index, action]
        actions[row] = np.uint32(best)


@kernel(
    "i64(in u8[1], in f32[2], in u8[1], in u8[1], u8, i64, i64, i64, i64[1], i32[1], f32[2],"
    " i64[1], i32[1], f32[2], u8[1])"
)
def keep_books(
    players: npt.NDArray[np.uint8],
    rewards: npt.NDArray[np.float32],
    terminated: npt.NDArray[np.uint8],
    truncated: npt.NDArray[np.uint8],
    zero_sum: int,
    first_id: int,
    id_stride: int,
    numbered: int,
    episode_now: npt.NDArray[np.int64],
    step_now: npt.NDArray[np.int32],
    returns_now: npt.NDArray[np.float32],
    ended_episode: npt.NDArray[np.int64],
    ended_length: npt.NDArray[np.int32],
    ended_returns: npt.NDArray[np.float32],
    ended_truncated: npt.NDArray[np.uint8],
) -> int:
    """Counts one step of every environment, and closes the books of the episodes that it ended.

    Args:
        players, terminated, truncated: [N], who acted and what came of it.
        rewards: f32[N, 1], to who acted, or f32[N, P], to each of several who acted at once.
        zero_sum: 1 if what one player gains the others lose in equal parts.
        first_id, id_stride, numbered: the next episode's id is first_id + id_stride * numbered.
        episode_now, step_now: inout i64[N], i32[N], each environment's episode and its next step.
        returns_now: inout f32[N, P], each player's return so far.
        ended_episode, ended_length, ended_returns, ended_truncated: out, at least N rows; filled in row order.

    Returns:
        How many episodes ended.
    """
    ended = 0
    seats = returns_now.shape[1]
    each = rewards.shape[1] == seats
    for row in range(len(players)):
        player = players[row]
        for seat in range(seats):
            if each:
                returns_now[row, seat] += rewards[row, seat]
            elif seat == player:
                returns_now[row, seat] += rewards[row, 0]
            elif zero_sum:
                returns_now[row, seat] -= rewards[row, 0] / np.float32(seats - 1)
        step_now[row] += np.int32(1)
        if terminated[row] or truncated[row]:
            ended_episode[ended] = episode_now[row]
            ended_length[ended] = step_now[row]
            ended_returns[ended] = returns_now[row]
            ended_truncated[ended] = truncated[row]
            episode_now[row] = first_id + id_stride * (numbered + ended)
            step_now[row] = 0
            returns_now[row] = 0
            ended += 1
    return ended


@kernel("none(in u8[1], in u8[1], in u8[2], i64, u8[3])")
def keep_ends(
    terminated: npt.NDArray[np.uint8],
    truncated: npt.NDArray[np.uint8],
    final: npt.NDArray[np.uint8],
    step: int,
    after_end: npt.NDArray[np.uint8],
) -> None:
    """Writes final u8[K, B], one row an ended episode, to after_end[row, step] of u8[N, T, B]."""
    index = 0
    for row in range(len(terminated)):
        if terminated[row] or truncated[row]:
            after_end[row, step] = final[index]
            index += 1


@kernel("i64(in u8[2], i64, in u8[3], in u8[2], i64, i64, u8[2])")
def gather_successors(
    ended: npt.NDArray[np.uint8],
    steps: int,
    after_end: npt.NDArray[np.uint8],
    newest: npt.NDArray[np.uint8],
    first_row: int,
    last_row: int,
    out: npt.NDArray[np.uint8],
) -> int:
    """What followed the last row of each segment, environment by environment.

    Args:
        ended: u8[N, T], 1 where the step ended its episode.
        steps: how many of the T steps are filled.
        after_end: u8[N, T, B], what `keep_ends` wrote.
        newest: u8[N, B], what followed the newest step of each environment that goes on.
        first_row, last_row: the environments to look at, the last exclusive.
        out: u8[(last_row - first_row) * T, B].

    Returns:
        How many rows of `out` were written.
    """
    count = 0
    for row in range(first_row, last_row):
        for step in range(steps):
            if ended[row, step]:
                out[count] = after_end[row, step]
                count += 1
            elif step == steps - 1:
                out[count] = newest[row]
                count += 1
    return count
