"""Numba kernels of the learner, on plain arrays.

In: columns. Out: columns. Invariant: every output row is written, or the count returned says how many are.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from games.kernel import kernel


@kernel("none(in f32[2], in i64[1], f32[2])")
def gather_floats(
    source: npt.NDArray[np.float32], index: npt.NDArray[np.int64], out: npt.NDArray[np.float32]
) -> None:
    """out[i] = source[index[i]] for f32[N, O] and out f32[B, O]."""
    for row in range(len(index)):
        at = index[row]
        for column in range(source.shape[1]):
            out[row, column] = source[at, column]


@kernel("i64(in i64[1], in i32[1], in i64[1], in i32[1], in u8[1], in u8[1])")
def first_break(
    offset: npt.NDArray[np.int64],
    row: npt.NDArray[np.int32],
    episode: npt.NDArray[np.int64],
    step: npt.NDArray[np.int32],
    has_successor: npt.NDArray[np.uint8],
    ended: npt.NDArray[np.uint8],
) -> int:
    """The first row of a shard that is out of log order, or whose successor is neither its own nor the next row.

    Returns its index, or -1 if the shard is sound.
    """
    last = len(offset) - 1
    for at in range(len(offset)):
        if at and (offset[at] < offset[at - 1] or (offset[at] == offset[at - 1] and row[at] <= row[at - 1])):
            return at
        if ended[at] and not has_successor[at]:
            return at
        if not has_successor[at] and (
            at == last
            or offset[at + 1] != offset[at]
            or episode[at + 1] != episode[at]
            or step[at + 1] != step[at] + 1
        ):
            return at
    return -1


@kernel(
    "i64(in u8[1], in f32[2], in u64[2], in u8[1], in u8[1], in f32[2], in u64[1], in u8[1],"
    " f32[2], u64[2], u8[1])"
)
def link_successors(
    keep: npt.NDArray[np.uint8],
    obs: npt.NDArray[np.float32],
    mask: npt.NDArray[np.uint64],
    player: npt.NDArray[np.uint8],
    has_successor: npt.NDArray[np.uint8],
    successor_obs: npt.NDArray[np.float32],
    successor_mask: npt.NDArray[np.uint64],
    successor_player: npt.NDArray[np.uint8],
    next_obs: npt.NDArray[np.float32],
    next_mask: npt.NDArray[np.uint64],
    same_player: npt.NDArray[np.uint8],
) -> int:
    """What follows each kept row of a shard of N rows, K of which carry a successor of their own.

    Args:
        keep: u8[N], rows that enter the window.
        obs, mask, player: f32[N, O], u64[N, W], u8[N].
        has_successor: u8[N], K of them 1; the others are followed by the next row.
        successor_obs: f32[K, O], in row order.
        successor_mask, successor_player: u64[N * W], u8[N], meant where `has_successor`.
        next_obs, next_mask, same_player: out, at least as many rows as are kept; filled from the top.

    Returns:
        How many rows were written.
    """
    written = 0
    own = 0
    words = mask.shape[1]
    for row in range(len(keep)):
        if keep[row]:
            if has_successor[row]:
                next_obs[written] = successor_obs[own]
                for word in range(words):
                    next_mask[written, word] = successor_mask[row * words + word]
                same_player[written] = np.uint8(successor_player[row] == player[row])
            else:
                next_obs[written] = obs[row + 1]
                next_mask[written] = mask[row + 1]
                same_player[written] = np.uint8(player[row + 1] == player[row])
            written += 1
        if has_successor[row]:
            own += 1
    return written
