"""What a policy chooses between: a finite list of choices, whatever the action space.

Enters: a game's spec, observations and masks of N positions, or actions as bytes. Leaves: one decision a row and agent:
its observation, its legal choices, and actions from choices and back. Invariant: `decode(encode(choices)) == choices`.

    action space            choices
    Discrete(n)             its n actions
    MultiDiscrete(nvec)     every tuple, last component fastest
    Box                     LEVELS evenly spaced values a component, both bounds included, last component fastest
    several agents          each agent's actions; agents of different loadouts share the list, and the longest counts

Where several agents move at once, every row is as many decisions. An agent sees its own part, filled up with zeros to
the widest, then a one-hot of which agent it is, so that all can share one network.
Source of the agent indication: Terry et al., "Revisiting Parameter Sharing in Multi-Agent Deep Reinforcement Learning",
2020.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from games.batch import F32 as F32_TYPE
from games.batch import U64 as U64_TYPE
from games.batch import check_column
from games.encodings import encode_actions
from games.errors import BadSpec
from games.kernel import kernel
from games.spec import MASK_BITS, ActionSpace, Box, Discrete, GameSpec, MultiDiscrete, mask_words

LEVELS = 11  # values a component of a Box
MOST_CHOICES = 4096  # a network has an output for each

U64 = npt.NDArray[Any]
F32 = npt.NDArray[Any]
I64 = npt.NDArray[Any]


class Choices:
    """The choices of one game.

    Attributes:
        agents: D, decisions a row.
        count: C, choices a decision.
        obs_size: values of what a decision sees.
        mask_words: u64 words of a decision's legal mask; 0 where every choice is always legal.
        joint_mask_words: u64 words of a position's legal mask.
        own: u64[D, mask_words], every choice of each agent.
        action_encoding, obs_encoding: of the game.

    Raises:
        BadSpec: the action space has too many tuples or values to list.
    """

    def __init__(self, spec: GameSpec) -> None:
        self.agents = spec.reward_width
        self.action_encoding, self.obs_encoding = spec.encoding.action, spec.encoding.obs
        self._spec = spec
        self._several = len(spec.agents) > 0
        self._table = None if isinstance(spec.action_space, Discrete) or self._several else _table(spec)
        if self._several:
            self.count = max(agent.actions for agent in spec.agents)
            self.obs_size = max(agent.obs_size for agent in spec.agents) + self.agents
        else:
            self.count = len(self._table) if self._table is not None else _discrete(spec.action_space)
            self.obs_size = spec.obs_size
        if self.count > MOST_CHOICES:
            raise BadSpec(
                f"env_id {spec.env_id!r}: {self.count} actions to choose from; a policy takes {MOST_CHOICES}"
            )
        self.joint_mask_words = spec.mask_words
        self.mask_words = mask_words(self.count) if spec.mask_words else 0
        self._every = np.empty((0, mask_words(self.count)), np.uint64)
        self.own = self._own_choices()
        self._obs_at = _starts([agent.obs_size for agent in spec.agents])
        self._mask_at = _starts([mask_words(agent.actions) for agent in spec.agents])

    def _own_choices(self) -> npt.NDArray[np.uint64]:
        counts = [agent.actions for agent in self._spec.agents] or [self.count]
        bits = np.array(
            [[choice < count for choice in range(64 * self.mask_words)] for count in counts], bool
        )
        return np.packbits(bits, axis=1, bitorder="little").view("<u8").reshape(self.agents, self.mask_words)

    def observations(self, obs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """What each decision sees: f32[N, O] to f32[N * D, obs_size]; the same array where one player decides.

        Raises BadBatch when they are not of this game.
        """
        check_column("obs", obs, F32_TYPE, (len(obs), self._spec.obs_size))  # the kernel trusts it
        if not self._several:
            return obs
        out = np.zeros((len(obs) * self.agents, self.obs_size), np.float32)
        split_obs(obs, self._obs_at, out)
        return out

    def masks(self, legal_masks: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        """The legal choices of each decision: u64[N, W] to u64[N * D, mask_words]; the same array for one player.

        Raises BadBatch when they are not of this game.
        """
        check_column("legal_masks", legal_masks, U64_TYPE, (len(legal_masks), self.joint_mask_words))
        if not self._several:
            return legal_masks
        out = np.zeros((len(legal_masks) * self.agents, self.mask_words), np.uint64)
        split_masks(legal_masks, self._mask_at, out)
        return out

    def legal(self, legal_masks: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        """As `masks`, but with all choices set, u64[N, ceil(C / 64)], where every choice is always legal."""
        if self.mask_words:
            return self.masks(legal_masks)
        if len(self._every) < len(legal_masks):
            words = np.full(self._every.shape[1], 2**64 - 1, np.uint64)
            if self.count % MASK_BITS:
                words[-1] = 2 ** (self.count % MASK_BITS) - 1
            self._every = np.tile(words, (len(legal_masks), 1))
        return self._every[: len(legal_masks)]

    def encode(self, choices: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
        """Actions u8[N, A] of choices u32[N * D], each below C; a view of them where an action is a choice."""
        if self._table is not None:
            return np.take(self._table, choices, axis=0)
        return np.ascontiguousarray(choices, "<u4").view(np.uint8).reshape(-1, 4 * self.agents)

    def decode(self, numbers: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """The choices i64[N * D] nearest to actions given as numbers: integers or floats, [N] or [N, K]."""
        space = self._spec.action_space
        if isinstance(space, Discrete) or self._several:
            return np.ascontiguousarray(numbers, np.int64).reshape(-1)
        components = numbers.reshape(len(numbers), -1)
        choice = np.zeros(len(numbers), np.int64)
        for index, values in enumerate(_values(space)):
            step = values[1] - values[0] if len(values) > 1 else 1.0
            level = np.rint((components[:, index].astype(np.float64) - values[0]) / step)
            choice = choice * len(values) + np.clip(level, 0, len(values) - 1).astype(np.int64)
        return choice


def _discrete(space: ActionSpace) -> int:
    return space.n if isinstance(space, Discrete) else 0


def _values(space: ActionSpace) -> list[npt.NDArray[np.float64]]:
    """The values that each component takes, f64 as the difference of two f32 may be too large for one."""
    match space:
        case MultiDiscrete(nvec):
            return [np.arange(choices, dtype=np.float64) for choices in nvec]
        case Box(low, high):
            return [
                np.linspace(least, most, LEVELS if least < most else 1)
                for least, most in zip(low, high, strict=True)
            ]
        case Discrete(n):
            return [np.arange(n, dtype=np.float64)]


def _table(spec: GameSpec) -> npt.NDArray[np.uint8]:
    """Every choice as an action, u8[C, A]."""
    space = spec.action_space
    bounds = (*space.low, *space.high) if isinstance(space, Box) else ()
    values = _values(space) if np.isfinite(bounds).all() else []
    if not values or math.prod(map(len, values)) > MOST_CHOICES:
        raise BadSpec(
            f"action space {space} of {spec.env_id}: cannot be listed in {MOST_CHOICES} choices, as a policy needs it"
        )
    rows = np.array(list(itertools.product(*values)))
    whole = isinstance(space, MultiDiscrete)
    return encode_actions(spec.encoding.action, rows.astype(np.int64) if whole else rows)


def _starts(sizes: list[int]) -> npt.NDArray[np.int64]:
    """Where parts of such sizes begin, and where the last ends: i64[parts + 1]."""
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


@kernel("none(in f32[2], in i64[1], f32[2])")
def split_obs(obs: F32, starts: I64, out: F32) -> None:
    """Joint observations f32[N, O] by agent, to out f32[N * D, at least widest + D], zero before."""
    agents = len(starts) - 1
    first = out.shape[1] - agents
    for row in range(len(obs)):
        for agent in range(agents):
            to = row * agents + agent
            for value in range(starts[agent], starts[agent + 1]):
                out[to, value - starts[agent]] = obs[row, value]
            out[to, first + agent] = 1


@kernel("none(in u64[2], in i64[1], u64[2])")
def split_masks(masks: U64, starts: I64, out: U64) -> None:
    """Joint legal masks u64[N, W] by agent, to out u64[N * D, widest], zero before."""
    agents = len(starts) - 1
    for row in range(len(masks)):
        for agent in range(agents):
            for word in range(starts[agent], starts[agent + 1]):
                out[row * agents + agent, word - starts[agent]] = masks[row, word]
