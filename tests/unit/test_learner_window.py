"""The replay window against a deque of rows."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learner.window import ReplayWindow, Transitions

SIZES = {"obs_floats": 3, "mask_words": 2}


def batch_of(first: int, rows: int) -> Transitions:
    """Rows numbered from `first`, every column another function of the number."""
    number = np.arange(first, first + rows)
    return Transitions(
        obs=(number[:, None] + [0.1, 0.2, 0.3]).astype(np.float32),
        action=number * 3,
        reward=(number / 7).astype(np.float32),
        terminated=(number % 2).astype(np.uint8),
        next_obs=(number[:, None] + [0.4, 0.5, 0.6]).astype(np.float32),
        next_mask=number[:, None].astype(np.uint64) + np.array([1, 1 << 63], np.uint64),
        same_player=(number % 3 == 0).astype(np.uint8),
        log_partition=(number % 4).astype(np.int32),
        log_offset=number * 1000,
        log_row=number.astype(np.int32),
    )


def rows_of(transitions: Transitions) -> list[tuple[Any, ...]]:
    return list(zip(*(column.tolist() for column in transitions.columns()), strict=True))


def as_keys(rows: list[tuple[Any, ...]]) -> list[str]:
    return sorted(map(repr, rows))


@settings(max_examples=150, deadline=None)
@given(capacity=st.integers(1, 20), inserts=st.lists(st.integers(0, 45), max_size=12))
def test_it_holds_the_newest_rows(capacity: int, inserts: list[int]) -> None:
    window = ReplayWindow(capacity=capacity, **SIZES)
    reference: deque[tuple[Any, ...]] = deque(maxlen=capacity)
    first = 0
    for rows in inserts:
        batch = batch_of(first, rows)
        window.insert(batch)
        reference.extend(rows_of(batch))
        first += rows
        assert window.rows == len(reference)
        out = Transitions.empty(window.rows, **SIZES)
        everything = window.gather(np.arange(window.rows), out)
        assert everything is out
        assert as_keys(rows_of(everything)) == as_keys(list(reference))


def test_a_gather_takes_the_same_row_of_every_column() -> None:
    window = ReplayWindow(capacity=10, **SIZES)
    for first in (0, 4, 8):
        window.insert(batch_of(first, 4))
    whole = rows_of(window.gather(np.arange(10), Transitions.empty(10, **SIZES)))
    index = np.array([3, 3, 9, 0, 5], np.int64)
    found = rows_of(window.gather(index, Transitions.empty(5, **SIZES)))
    assert found == [whole[at] for at in index.tolist()]
    for row in found:
        number = row[-1]
        assert row == rows_of(batch_of(number, 1))[0]


def test_the_windows_rows_are_its_own() -> None:
    window = ReplayWindow(capacity=4, **SIZES)
    batch = batch_of(0, 4)
    window.insert(batch)
    expected = rows_of(batch_of(0, 4))
    for column in batch.columns():
        column[...] = 0
    assert rows_of(window.gather(np.arange(4), Transitions.empty(4, **SIZES))) == expected


@pytest.mark.parametrize("capacity", [0, -5])
def test_a_window_without_room_is_refused(capacity: int) -> None:
    with pytest.raises(ValueError, match=f"capacity is {capacity}: it must be at least 1"):
        ReplayWindow(capacity=capacity, **SIZES)
