"""A score is what the policy gained, by plain arithmetic, whichever seat it had."""

from __future__ import annotations

from typing import Any

import numpy as np

from games import registry
from learner import evaluate, score


def first_legal(obs: Any) -> Any:
    """Values that make the lowest legal action the best."""
    return np.tile(-np.arange(9, dtype=np.float32), (len(obs), 1))


def random_values(obs: Any) -> Any:
    return np.random.default_rng(7).random((len(obs), 9), np.float32)


def test_a_perfect_policy_loses_nothing_and_wins_something() -> None:
    game = registry.get("tictactoe")
    table: dict[bytes, list[float]] = {}

    def worth(state: bytes) -> list[float]:
        """Minimax values of each cell for the player to move; -2 where it is not legal."""
        if state not in table:
            at = game.observe(np.frombuffer(state, np.uint8).reshape(1, -1))
            values = [-2.0] * 9
            for cell in range(9):
                if int(at.legal_masks[0, 0]) >> cell & 1:
                    after = game.step(at.states, np.array([[cell, 0, 0, 0]], np.uint8))
                    ended = after.terminated[0] == 1
                    values[cell] = (
                        float(after.rewards[0]) if ended else -max(worth(after.positions.states.tobytes()))
                    )
            table[state] = values
        return table[state]

    start = game.reset(np.zeros(1, np.uint64)).states.tobytes()
    worth(start)
    by_obs = {
        game.observe(np.frombuffer(state, np.uint8).reshape(1, -1)).obs.tobytes(): values
        for state, values in table.items()
    }

    def perfect(obs: Any) -> Any:
        return np.array([by_obs[row.tobytes()] for row in obs], np.float32)

    figures = score.play(game, perfect, seed=3, episodes=200).figures()
    assert figures["return_min"] >= 0
    assert figures["return_mean"] > 0.5
    assert figures["episodes"] == 200
    assert 5 <= figures["length_mean"] <= 9


def test_the_same_seed_scores_the_same_and_another_does_not() -> None:
    game = registry.get("tictactoe")
    one, again, other = (score.play(game, first_legal, seed=seed) for seed in (1, 1, 2))
    assert one.returns.tolist() == again.returns.tolist()
    assert one.returns.tolist() != other.returns.tolist()


def test_both_seats_are_played_so_that_equal_players_are_worth_nothing() -> None:
    game = registry.get("tictactoe")
    seats = score.play(game, random_values, seed=5, episodes=2000).returns
    assert abs(seats.mean()) < 0.1
    assert seats[0::2].mean() > 0.1 > -0.1 > seats[1::2].mean()


def test_a_wanted_return_is_read_from_its_text() -> None:
    assert evaluate.wanted_return("return>=475") == 475
    assert evaluate.wanted_return("return>=-0.5") == -0.5
    for other in ("", "unbeatable", "return>475", "return>=", "return>=1e3", " return>=1"):
        assert evaluate.wanted_return(other) is None
