"""States that are rows of eight-byte words, as columns and back.

Enters: state rows u8[N, 8 * W], from any address. Leaves: one aligned column of numbers a word; or rows again.
Invariant: a word's bits never change on the way; rows are little-endian, as is every machine that this runs on.

Arithmetic goes over columns, as LLVM makes vector code of a loop over neighbouring numbers. Rows go through in blocks,
so that a block's columns stay in the first-level cache.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from games.kernel import kernel

BLOCK = 128  # rows

# Element types are in the signatures; Any lets elements mix with int in the eyes of the type checker, as in numba's.
U8 = npt.NDArray[Any]
F64 = npt.NDArray[Any]


@kernel("none(in u8[2], i64, i64, f64[2])")
def load_words(states: U8, start: int, rows: int, columns: F64) -> None:
    """Word w of state `start + row` to columns[w, row]; columns is f64[W or more, BLOCK] and rows at most BLOCK."""
    # The bytes of a message may lie anywhere, numbers are read from aligned memory only.
    words = np.empty((rows, states.shape[1] >> 3), np.float64)
    source, target = states[start : start + rows].reshape(-1), words.view(np.uint8).reshape(-1)
    for offset in range(len(target)):
        target[offset] = source[offset]
    for word in range(words.shape[1]):
        for row in range(rows):
            columns[word, row] = words[row, word]


@kernel("none(in f64[2], i64, i64, u8[2])")
def store_words(columns: F64, start: int, rows: int, states: U8) -> None:
    """The inverse of `load_words`."""
    words = np.empty((rows, states.shape[1] >> 3), np.float64)
    for word in range(words.shape[1]):
        for row in range(rows):
            words[row, word] = columns[word, row]
    source, target = words.view(np.uint8).reshape(-1), states[start : start + rows].reshape(-1)
    for offset in range(len(target)):
        target[offset] = source[offset]
