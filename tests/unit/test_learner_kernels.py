"""The learner's kernels against plain Python: successors of kept rows, and the first break of a shard."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learner import kernels


def test_rows_of_floats_are_gathered() -> None:
    source = np.arange(12, dtype=np.float32).reshape(4, 3)
    out = np.empty((3, 3), np.float32)
    kernels.gather_floats(source, np.array([2, 0, 2], np.int64), out)
    assert out.tolist() == [[6, 7, 8], [0, 1, 2], [6, 7, 8]]


@settings(max_examples=200, deadline=None)
@given(
    flags=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=20),
    words=st.integers(0, 3),
    seed=st.integers(0, 2**32),
)
def test_every_kept_row_is_linked_to_what_followed_it(
    flags: list[tuple[bool, bool]], words: int, seed: int
) -> None:
    keep = [kept for kept, _ in flags]
    has = [own for _, own in flags[:-1]] + [True]  # a shard's last row has its own
    rows, count = len(flags), sum(has)
    random = np.random.default_rng(seed)
    obs, own_obs = (random.normal(size=(n, 2)).astype(np.float32) for n in (rows, count))
    mask, own_mask = (random.integers(0, 2**64, (rows, words), np.uint64) for _ in range(2))
    player, own_player = (random.integers(0, 3, rows, np.uint8) for _ in range(2))
    expected: list[tuple[Any, ...]] = []
    for row in range(rows):
        if has[row]:
            after = own_obs[sum(has[:row])], own_mask[row], own_player[row]
        else:
            after = obs[row + 1], mask[row + 1], player[row + 1]
        if keep[row]:
            expected.append((after[0].tolist(), after[1].tolist(), int(after[2] == player[row])))
    next_obs = np.zeros((rows, 2), np.float32)
    next_mask = np.zeros((rows, words), np.uint64)
    same = np.zeros(rows, np.uint8)
    written = kernels.link_successors(
        np.array(keep, np.uint8),
        obs,
        mask,
        player,
        np.array(has, np.uint8),
        own_obs,
        own_mask.reshape(-1),
        own_player,
        next_obs,
        next_mask,
        same,
    )
    assert written == sum(keep)
    found = list(zip(next_obs.tolist(), next_mask.tolist(), same.tolist(), strict=True))
    assert found[:written] == expected


Row = tuple[int, int, int, int, bool, bool]  # offset, row, episode, step, has a successor, ended


def sound_shard() -> list[Row]:
    """Two messages; the second goes on with the first's last episode."""
    return [
        (5, 0, 1, 0, False, False),
        (5, 1, 1, 1, True, True),
        (5, 2, 2, 0, False, False),
        (5, 3, 2, 1, True, False),
        (7, 0, 2, 2, False, False),
        (7, 1, 2, 3, True, True),
        (7, 2, 9, 4, True, False),
    ]


def first_break(rows: list[Row]) -> int:
    columns = list(zip(*rows, strict=True))
    kinds = (np.int64, np.int32, np.int64, np.int32, np.uint8, np.uint8)
    return kernels.first_break(*(np.array(column, kind) for column, kind in zip(columns, kinds, strict=True)))


def reference_break(rows: list[Row]) -> int:
    for at, (offset, row, episode, step, has, ended) in enumerate(rows):
        if at and (offset, row) <= rows[at - 1][:2]:
            return at
        if has:
            continue
        follows = (
            at + 1 < len(rows) and rows[at + 1][0] == offset and rows[at + 1][2:4] == (episode, step + 1)
        )
        if ended or not follows:
            return at
    return -1


def test_a_sound_shard_has_no_break() -> None:
    assert first_break(sound_shard()) == -1


@pytest.mark.parametrize(
    ("at", "change", "where"),
    [
        (1, {5: True, 4: False}, 1),  # ended, and its successor is not there
        (6, {4: False}, 6),  # the last row lacks its own
        (3, {4: False}, 3),  # the next row is another message's
        (1, {2: 77}, 0),  # the next row is another episode's
        (5, {3: 9}, 4),  # the next row is not the next step
        (4, {0: 4}, 4),  # offsets go back
        (2, {1: 1}, 2),  # a row twice
    ],
    ids=["ended", "last row", "next message", "next episode", "a step is missing", "offsets", "a row twice"],
)
def test_a_break_is_found_where_it_is(at: int, change: dict[int, Any], where: int) -> None:
    rows = sound_shard()
    broken = list(rows[at])
    for field, value in change.items():
        broken[field] = value
    rows[at] = tuple(broken)  # type: ignore[assignment]
    assert first_break(rows) == where == reference_break(rows)


@settings(max_examples=300, deadline=None)
@given(
    at=st.integers(0, 6),
    field=st.integers(0, 5),
    value=st.integers(0, 10),
    dropped=st.none() | st.integers(0, 6),
)
def test_any_damage_is_judged_as_plain_python_judges_it(
    at: int, field: int, value: int, dropped: int | None
) -> None:
    rows = sound_shard()
    damaged = list(rows[at])
    damaged[field] = bool(value % 2) if field > 3 else value
    rows[at] = tuple(damaged)  # type: ignore[assignment]
    if dropped is not None:
        del rows[dropped]
    assert first_break(rows) == reference_break(rows)
