"""The actor's kernels against plain Python: choosing, bookkeeping, successors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actor import kernels

KEY = np.uint64(0x0123456789ABCDEF)


def masks_of(rows: list[list[int]], words: int) -> npt.NDArray[np.uint64]:
    """Legal actions of each row as u64[N, words]."""
    return np.array(
        [
            [sum(1 << (action % 64) for action in row if action // 64 == word) for word in range(words)]
            for row in rows
        ],
        np.uint64,
    ).reshape(len(rows), words)


def explored(
    masks: npt.NDArray[np.uint64], *, key: int = int(KEY), counter: int = 0, probability: float = 1.0
) -> tuple[list[int], list[int]]:
    """Actions (-1 where none was given) and the greedy rows."""
    nobody = 2**32 - 1
    actions = np.full(len(masks), nobody, np.uint32)
    greedy = np.full(len(masks), -1, np.int64)
    listed = kernels.explore(masks, np.uint64(key), np.uint64(counter), probability, actions, greedy)
    return [-1 if action == nobody else action for action in actions.tolist()], greedy[:listed].tolist()


LEGAL = st.integers(1, 3).flatmap(
    lambda words: st.tuples(
        st.just(words),
        st.lists(
            st.lists(st.integers(0, 64 * words - 1), min_size=1, max_size=12, unique=True),
            min_size=1,
            max_size=20,
        ),
    )
)


def test_mix_is_splitmix64() -> None:
    # The first outputs of the published generator from seed 0, whose state goes up by the golden ratio.
    golden = 0x9E3779B97F4A7C15
    outputs = [int(kernels.mix(np.uint64(golden * step % 2**64))) for step in range(3)]
    assert outputs == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


@given(case=LEGAL)
def test_legal_actions_are_counted_and_found(case: tuple[int, list[list[int]]]) -> None:
    words, rows = case
    masks = masks_of(rows, words)
    for at, legal in enumerate(rows):
        assert kernels.count_legal(masks, at) == len(legal)
        found = [kernels.nth_legal(masks, at, wanted) for wanted in range(len(legal) + 1)]
        assert found == [*sorted(legal), -1]


@given(
    case=LEGAL,
    key=st.integers(0, 2**64 - 1),
    counter=st.integers(0, 2**40),
    probability=st.sampled_from([0.0, 0.3, 1.0]),
)
def test_a_row_explores_legally_or_is_listed_as_greedy(
    case: tuple[int, list[list[int]]], key: int, counter: int, probability: float
) -> None:
    words, rows = case
    actions, greedy = explored(masks_of(rows, words), key=key, counter=counter, probability=probability)
    assert greedy == [row for row, action in enumerate(actions) if action == -1]
    assert all(action == -1 or action in legal for action, legal in zip(actions, rows, strict=True))
    if probability in (0.0, 1.0):
        assert len(greedy) == (0 if probability else len(rows))


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_as_many_rows_explore_as_asked(probability: float) -> None:
    rows = 200_000
    _, greedy = explored(np.ones((rows, 1), np.uint64), probability=probability)
    # five standard deviations; the numbers are seeded, so this holds or it does not
    bound = 5 * (rows * probability * (1 - probability)) ** 0.5
    assert abs(rows - len(greedy) - rows * probability) < bound


@pytest.mark.parametrize(
    ("words", "legal"), [(1, [0, 3, 8]), (1, [63]), (2, [5, 70, 127]), (3, [0, 64, 128, 191])]
)
def test_every_legal_action_is_explored_equally(words: int, legal: list[int]) -> None:
    rows = 120_000
    actions, _ = explored(np.repeat(masks_of([legal], words), rows, axis=0))
    found, counts = np.unique(actions, return_counts=True)
    assert found.tolist() == legal
    expected = rows / len(legal)
    assert (np.abs(counts - expected) < 5 * expected**0.5).all()


def test_whether_a_row_explores_says_nothing_of_its_action() -> None:
    masks = np.repeat(masks_of([[0, 1, 2, 3]], 1), 200_000, axis=0)
    half, _ = explored(masks, probability=0.5)
    counts = np.bincount([action for action in half if action >= 0], minlength=4)
    assert (np.abs(counts - 25_000) < 5 * 25_000**0.5).all()


def test_the_same_key_and_counter_give_the_same_choices() -> None:
    masks = np.repeat(masks_of([list(range(9))], 1), 500, axis=0)
    assert explored(masks, counter=7, probability=0.5) == explored(masks, counter=7, probability=0.5)


def test_another_key_or_counter_gives_other_choices() -> None:
    masks = np.repeat(masks_of([list(range(9))], 1), 500, axis=0)
    first = explored(masks, key=1, counter=7)[0]
    for other in (explored(masks, key=2, counter=7)[0], explored(masks, key=1, counter=8)[0]):
        same = sum(a == b for a, b in zip(first, other, strict=True))
        assert same < 500 * 0.25  # a ninth of them by chance


@given(rows=st.integers(1, 30), counter=st.integers(0, 1000))
def test_a_rows_choice_does_not_depend_on_how_many_rows_there_are(rows: int, counter: int) -> None:
    masks = np.repeat(masks_of([list(range(9))], 1), 31, axis=0)
    more, _ = explored(masks, counter=counter, probability=0.5)
    fewer, _ = explored(np.ascontiguousarray(masks[:rows]), counter=counter, probability=0.5)
    assert fewer == more[:rows]


@settings(max_examples=150)
@given(data=st.data(), case=LEGAL)
def test_the_best_legal_action_is_the_first_of_the_highest(
    data: st.DataObject, case: tuple[int, list[list[int]]]
) -> None:
    words, legal = case
    rows, actions = len(legal), 64 * words
    masks = masks_of(legal, words)
    listed = data.draw(st.lists(st.integers(0, rows - 1), unique=True, max_size=rows))
    seed = data.draw(st.integers(0, 2**32))
    # few different values, so that there are ties; below zero too, and no value at all
    drawn = np.random.default_rng(seed).integers(-3, 3, (max(len(listed), 1), actions)).astype(np.float32)
    drawn[drawn == -3] = -np.inf
    chosen = np.full(rows, 12345, np.uint32)
    room = np.zeros(rows, np.int64)
    room[: len(listed)] = listed
    kernels.best_legal(drawn, masks, room, len(listed), chosen)
    expected = [12345] * rows
    for index, row in enumerate(listed):
        expected[row] = max(sorted(legal[row]), key=lambda action: drawn[index, action])
    assert chosen.tolist() == expected


def test_rows_are_gathered_to_the_top() -> None:
    source = np.arange(12, dtype=np.float32).reshape(4, 3)
    out = np.full((4, 3), -1, np.float32)
    kernels.gather_rows(source, np.array([3, 1, 0, 0]), 2, out)
    assert out.tolist() == [[9, 10, 11], [3, 4, 5], [-1, -1, -1], [-1, -1, -1]]


class Books:
    """What `keep_books` keeps, in plain Python."""

    def __init__(self, rows: int, seats: int, *, first_id: int, stride: int) -> None:
        self.first_id, self.stride = first_id, stride
        self.numbered = rows
        self.episode = [first_id + stride * row for row in range(rows)]
        self.step = [0] * rows
        self.returns = [[0.0] * seats for _ in range(rows)]
        self.ended: list[tuple[int, int, list[float], int]] = []

    def take(self, players: Any, rewards: Any, ends: Any, *, zero_sum: bool) -> None:
        """One step; an end is 0, 1 by the rules, 2 by a limit."""
        self.ended = []
        for row, (player, reward, end) in enumerate(zip(players, rewards, ends, strict=True)):
            seats = self.returns[row]
            seats[player] += reward
            if zero_sum:
                for seat in range(len(seats)):
                    if seat != player:
                        seats[seat] -= reward / (len(seats) - 1)
            self.step[row] += 1
            if end:
                self.ended.append((self.episode[row], self.step[row], seats, int(end == 2)))
                self.episode[row] = self.first_id + self.stride * self.numbered
                self.numbered += 1
                self.step[row] = 0
                self.returns[row] = [0.0] * len(seats)


@pytest.mark.parametrize("zero_sum", [False, True])
@pytest.mark.parametrize("seats", [1, 2, 3])
def test_books_are_kept_as_plain_python_keeps_them(seats: int, zero_sum: bool) -> None:
    if zero_sum and seats == 1:
        seats = 5  # no game of one player is zero-sum
    random = np.random.default_rng(seats)
    rows, first_id, stride = 7, 3 << 51 | 1, 2
    books = Books(rows, seats, first_id=first_id, stride=stride)
    episode, step = np.array(books.episode, np.int64), np.zeros(rows, np.int32)
    returns = np.zeros((rows, seats), np.float32)
    numbered = rows
    for _ in range(40):
        players = random.integers(0, seats, rows, np.uint8)
        rewards = random.integers(-4, 5, rows).astype(np.float32)
        ends = random.choice([0, 0, 0, 1, 2], rows)
        ended = (
            np.zeros(rows, np.int64),
            np.zeros(rows, np.int32),
            np.zeros((rows, seats), np.float32),
            np.zeros(rows, np.uint8),
        )
        closed = kernels.keep_books(
            players,
            rewards.reshape(rows, -1),
            (ends == 1).astype(np.uint8),
            (ends == 2).astype(np.uint8),
            int(zero_sum),
            first_id,
            stride,
            numbered,
            episode,
            step,
            returns,
            *ended,
        )
        numbered += closed
        books.take(players, rewards.tolist(), ends, zero_sum=zero_sum)
        assert closed == len(books.ended)
        assert ended[0][:closed].tolist() == [item[0] for item in books.ended]
        assert ended[1][:closed].tolist() == [item[1] for item in books.ended]
        np.testing.assert_allclose(
            ended[2][:closed], np.array([item[2] for item in books.ended]).reshape(closed, seats), atol=1e-4
        )
        assert ended[3][:closed].tolist() == [item[3] for item in books.ended]
        assert (episode.tolist(), step.tolist()) == (books.episode, books.step)
        np.testing.assert_allclose(returns, books.returns, atol=1e-4)


def test_every_agent_that_moves_at_once_keeps_its_own_return() -> None:
    returns, ended = np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32)
    episode, step = np.zeros(2, np.int64), np.zeros(2, np.int32)
    rewards = np.array([[1, -1, 0], [2, 0, 5]], np.float32)
    for last in (0, 1):
        closed = kernels.keep_books(
            np.zeros(2, np.uint8),
            rewards,
            np.array([0, last], np.uint8),
            np.zeros(2, np.uint8),
            1,  # what an agent gains the others do not lose on top of their own rewards
            0,
            1,
            2,
            episode,
            step,
            returns,
            np.zeros(2, np.int64),
            np.zeros(2, np.int32),
            ended,
            np.zeros(2, np.uint8),
        )
    assert closed == 1
    assert ended[0].tolist() == [4, 0, 10]
    assert returns.tolist() == [[2, -2, 0], [0, 0, 0]]


@given(data=st.data(), rows=st.integers(1, 5), room=st.integers(1, 5))
def test_successors_are_gathered_as_plain_python_gathers_them(
    data: st.DataObject, rows: int, room: int
) -> None:
    steps = data.draw(st.integers(1, room))
    first = data.draw(st.integers(0, rows - 1))
    last = data.draw(st.integers(first + 1, rows))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    ended = random.integers(0, 2, (rows, room), np.uint8)
    after_end = random.integers(0, 256, (rows, room, 3), np.uint8)
    newest = random.integers(0, 256, (rows, 3), np.uint8)
    expected = []
    for row in range(first, last):
        for step in range(steps):
            if ended[row, step]:
                expected.append(after_end[row, step].tolist())
            elif step == steps - 1:
                expected.append(newest[row].tolist())
    out = np.zeros(((last - first) * room, 3), np.uint8)
    count = kernels.gather_successors(ended, steps, after_end, newest, first, last, out)
    assert out[:count].tolist() == expected


def test_ends_are_kept_where_their_episodes_ended() -> None:
    kept = np.zeros((4, 2, 2), np.uint8)
    kernels.keep_ends(
        np.array([0, 1, 0, 0], np.uint8),
        np.array([0, 0, 0, 1], np.uint8),
        np.array([[1, 2], [3, 4]], np.uint8),
        1,
        kept,
    )
    assert kept[:, 1].tolist() == [[0, 0], [1, 2], [0, 0], [3, 4]]
    assert not kept[:, 0].any()
