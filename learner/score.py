"""What a greedy policy scores: the returns of some episodes, played through. Pure.

In: a game's rules and a policy. Out: the policy's undiscounted return of each episode.
Invariant: the same policy, seed and hint give the same score.

Where players take turns, the policy has another seat in each episode and the others choose uniformly among their legal
actions; where several agents move at once, it moves the first half of them and the others choose uniformly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from games.batch import Positions, unpack_masks
from games.choices import Choices
from games.contract import Game, Outcomes

Values = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]  # f32[N, O] -> f32[N, C]

EPISODES = 64
MOST_STEPS = 2_000  # an episode that is longer counts as far as it went


@dataclass(frozen=True)
class Score:
    """The episodes of one evaluation."""

    returns: npt.NDArray[np.float64]  # [E], the policy's
    lengths: npt.NDArray[np.int64]  # [E], steps

    def figures(self) -> dict[str, float]:
        """As WeightsPublished and the manifest have it."""
        return {
            "return_mean": float(self.returns.mean()),
            "return_min": float(self.returns.min()),
            "return_max": float(self.returns.max()),
            "length_mean": float(self.lengths.mean()),
            "episodes": float(len(self.returns)),
        }


def play(game: Game, values: Values, *, seed: int, hint: bytes = b"", episodes: int = EPISODES) -> Score:
    """Plays `episodes` episodes with the greedy policy of `values`.

    Args:
        game: its rules.
        values: of every choice, from what each decision sees; see `games.choices`.
        seed: of the episodes, and of those who choose uniformly.
        hint: the reset hint of every episode.
        episodes: how many, at least 1.
    """
    choices = Choices(game.spec)
    generator = np.random.default_rng(seed)
    rows = np.arange(episodes)
    position = game.reset(generator.integers(0, 2**63, episodes).astype(np.uint64), hint)
    returns, lengths = np.zeros(episodes), np.zeros(episodes, np.int64)
    for _ in range(MOST_STEPS):
        ours = _ours(game, position, rows)
        chosen = _choose(choices, position, values, ours, generator)
        outcome = game.step(position.states, choices.encode(chosen))
        returns[rows] += _gained(game, outcome, ours, choices.agents)
        lengths[rows] += 1
        goes_on = np.flatnonzero((outcome.terminated | outcome.truncated) == 0)
        if not len(goes_on):
            break
        rows = rows[goes_on]
        position = game.observe(np.ascontiguousarray(outcome.positions.states[goes_on]))
    return Score(returns, lengths)


def _ours(game: Game, position: Positions, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
    """The decisions that the policy takes, bool[N * D]."""
    agents = len(game.spec.agents)
    if agents:
        return np.tile(np.arange(agents) < (agents + 1) // 2, len(rows))
    own: npt.NDArray[np.bool_] = position.players == rows % game.spec.players
    return own


def _choose(
    choices: Choices,
    position: Positions,
    values: Values,
    ours: npt.NDArray[np.bool_],
    generator: np.random.Generator,
) -> npt.NDArray[np.uint32]:
    """The best legal choice where the decision is ours, else any legal one."""
    legal = unpack_masks(np.ascontiguousarray(choices.legal(position.legal_masks)), choices.count)
    worth = generator.random(legal.shape, np.float32)
    if ours.any():
        worth[ours] = values(np.ascontiguousarray(choices.observations(position.obs)[ours]))
    best: npt.NDArray[np.uint32] = np.where(legal, worth, -np.inf).argmax(axis=1).astype(np.uint32)
    return best


def _gained(
    game: Game, outcome: Outcomes, ours: npt.NDArray[np.bool_], agents: int
) -> npt.NDArray[np.float64]:
    """What the step brought the policy, f64[N]: the mean over its agents."""
    if game.spec.agents:
        own = ours.reshape(-1, agents)
        mean: npt.NDArray[np.float64] = (outcome.rewards * own).sum(axis=1) / own.sum(axis=1)
        return mean
    rewards = outcome.rewards.astype(np.float64)
    others = -rewards / (game.spec.players - 1) if game.spec.zero_sum else 0 * rewards
    return np.where(ours, rewards, others)
