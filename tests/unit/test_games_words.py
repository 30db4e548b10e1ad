"""Rows of eight-byte words survive their way to columns and back, wherever they lie in memory."""

from __future__ import annotations

import numpy as np
import pytest

from games.words import BLOCK, load_words, store_words


@pytest.mark.parametrize("rows", [1, 7, BLOCK])
@pytest.mark.parametrize("words", [1, 3, 5])
@pytest.mark.parametrize("shift", [0, 1, 4])
def test_any_bits_go_both_ways_from_any_address(rows: int, words: int, shift: int) -> None:
    size, start = 8 * words, 2
    bits = np.random.default_rng(rows).bytes(shift + (start + rows) * size)
    states = np.frombuffer(bits, np.uint8, offset=shift).reshape(-1, size)
    columns = np.empty((words, BLOCK))
    load_words(states, start, rows, columns)
    numbers = np.frombuffer(bits[shift:], "<u8").reshape(-1, words)[start:]
    assert columns.view(np.uint64)[:, :rows].tolist() == numbers.T.tolist()
    back = np.zeros(shift + (1 + rows) * size, np.uint8)[shift:].reshape(-1, size)
    store_words(columns, 1, rows, back)
    assert back[0].tobytes() == bytes(size)
    assert back[1:].tobytes() == states[start:].tobytes()
