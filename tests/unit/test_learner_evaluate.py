"""Exhaustive evaluation against a recursive reference that knows tic-tac-toe by itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from games import registry
from games.contract import Game, GameSpec
from learner import evaluate
from learner.evaluate import Seat, Values, Verdict

Board = tuple[int, ...]  # nine cells: 0 empty, 1 who began, 2 the other
GAME = registry.get("tictactoe")
LINES = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]
EMPTY: Board = (0,) * 9


def mover(board: Board) -> int:
    return 1 if board.count(1) == board.count(2) else 2


def won(board: Board) -> bool:
    return any(board[a] == board[b] == board[c] != 0 for a, b, c in LINES)


def after(board: Board, cell: int) -> Board:
    return (*board[:cell], mover(board), *board[cell + 1 :])


def free(board: Board) -> list[int]:
    return [cell for cell in range(9) if board[cell] == 0]


@cache
def worth(board: Board) -> int:
    """What the position is worth to who moves, both playing perfectly: 1, 0 or -1."""
    if won(board):
        return -1
    return max((-worth(after(board, cell)) for cell in free(board)), default=0)


def board_of(obs: npt.NDArray[np.float32]) -> Board:
    """The board of one observation: 9 own stones, 9 of the opponent, 9 empty, who is to move."""
    first_moves = obs[27] == 1
    own, other = (1, 2) if first_moves else (2, 1)
    return tuple(own if obs[cell] else other if obs[9 + cell] else 0 for cell in range(9))


def values_by(judge: Callable[[Board, int], float]) -> Values:
    """A policy's values from a judgement of (board, cell)."""

    def values(obs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return np.array([[judge(board_of(row), cell) for cell in range(9)] for row in obs], np.float32)

    return values


def perfect(board: Board, cell: int) -> float:
    return -worth(after(board, cell)) if board[cell] == 0 and not won(board) else -9.0


def random_judge(seed: int) -> Callable[[Board, int], float]:
    def judge(board: Board, cell: int) -> float:
        return float(np.random.default_rng([seed, *board, cell]).random())

    return judge


def reference(judge: Callable[[Board, int], float], seat: int) -> Seat:
    """Every line of play, one by one."""
    counts = {-1: 0, 0: 0, 1: 0}

    def play(board: Board) -> None:
        ours = mover(board) == seat
        moves = free(board)
        if ours:  # the first of the best, in the 32 bits that a network has
            moves = [max(moves, key=lambda cell: np.float32(judge(board, cell)))]
        for cell in moves:
            reached = after(board, cell)
            if won(reached):
                counts[1 if ours else -1] += 1
            elif not free(reached):
                counts[0] += 1
            else:
                play(reached)

    play(EMPTY)
    return Seat(sum(counts.values()), counts[-1], counts[0], counts[1])


def verdict_of(judge: Callable[[Board, int], float]) -> Verdict:
    verdict = evaluate.verdict(GAME, values_by(judge))
    assert verdict is not None
    return verdict


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_random_policys_lines_are_all_counted(seed: int) -> None:
    judge = random_judge(seed)
    verdict = verdict_of(judge)
    assert (verdict.first, verdict.second) == (reference(judge, 1), reference(judge, 2))
    assert not verdict.unbeatable
    assert verdict.word == ""
    assert 0 < verdict.strength < 1


def test_a_perfect_policy_is_unbeatable() -> None:
    verdict = verdict_of(perfect)
    assert (verdict.first, verdict.second) == (reference(perfect, 1), reference(perfect, 2))
    assert verdict.first.lost == verdict.second.lost == 0
    assert verdict.unbeatable
    assert verdict.word == "unbeatable"
    assert verdict.strength == 1


def test_one_mistake_in_one_position_is_found() -> None:
    # After a corner and the far corner, an edge loses: a double threat follows.
    weak = after(after(after(EMPTY, 0), 4), 8)

    def judge(board: Board, cell: int) -> float:
        return 5.0 if board == weak and cell == 2 else perfect(board, cell)

    verdict = verdict_of(judge)
    assert verdict.second == reference(judge, 2)
    assert verdict.second.lost > 0
    assert verdict.first.lost == 0
    assert not verdict.unbeatable


def test_equal_values_mean_the_lowest_action_as_the_actor_plays_it() -> None:
    assert verdict_of(lambda _board, _cell: 0.0).first == reference(lambda _board, _cell: 0.0, 1)


def test_illegal_actions_are_never_chosen_however_good_they_look() -> None:
    verdict = verdict_of(lambda board, cell: 99.0 if board[cell] else perfect(board, cell))
    assert verdict.unbeatable


def test_figures_say_what_the_verdict_says() -> None:
    verdict = Verdict(Seat(10, 1, 4, 5), Seat(20, 4, 10, 6))
    assert verdict.strength == pytest.approx(1 - (0.1 + 0.2) / 2)
    assert verdict.figures() == {
        "strength": verdict.strength,
        "lines_as_first": 10,
        "lost_as_first": 1,
        "drawn_as_first": 4,
        "won_as_first": 5,
        "lines_as_second": 20,
        "lost_as_second": 4,
        "drawn_as_second": 10,
        "won_as_second": 6,
    }


@pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 0)])
def test_a_line_lost_as_either_player_is_enough(first: int, second: int) -> None:
    assert not Verdict(Seat(10, first, 5, 5), Seat(10, second, 5, 5)).unbeatable


class Another(type(GAME)):  # type: ignore[misc]
    """Tic-tac-toe that says something else of itself."""

    def __init__(self, spec: GameSpec) -> None:
        self._told = spec

    @property
    def spec(self) -> GameSpec:
        return self._told


@pytest.mark.parametrize(
    "change",
    [{"stochastic": True}, {"zero_sum": False}, {"perfect_information": False}, {"players": 3}],
    ids=str,
)
def test_a_game_that_cannot_be_judged_so_has_no_verdict(change: dict[str, object]) -> None:
    from dataclasses import replace

    game: Game = Another(replace(GAME.spec, **change))  # type: ignore[arg-type]
    assert not evaluate.judgeable(game)
    assert evaluate.verdict(game, values_by(perfect)) is None
