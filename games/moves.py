"""Legal actions of any game: as masks, and drawn at random.

Enters: a spec, the legal masks of N positions, a source of randomness. Leaves: bool masks, or encoded actions.
Invariant: what is drawn is in the action space and in every mask, uniformly; one generator state gives one batch.

    >>> from games import registry
    >>> game = registry.get("tictactoe")
    >>> start = game.reset(np.zeros(2, np.uint64))
    >>> random_actions(game, start, np.random.default_rng(1)).shape
    (2, 4)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from games.batch import Positions, unpack_masks
from games.contract import Game
from games.encodings import encode_actions
from games.spec import Box, Discrete, GameSpec, MultiDiscrete


@dataclass(frozen=True, slots=True)
class MaskGroup:
    """One choice that the legal mask covers: the only action of a Discrete game, or the action of one agent."""

    component: int  # which number of the action
    actions: int  # it is 0..actions-1
    words: slice  # its words of the mask


def mask_groups(spec: GameSpec) -> tuple[MaskGroup, ...]:
    """What the legal mask covers; nothing for MultiDiscrete (of one agent) and Box, where every action is legal."""
    if spec.agents:
        return tuple(
            MaskGroup(number, agent.actions, spec.agent_mask(number))
            for number, agent in enumerate(spec.agents)
        )
    if isinstance(spec.action_space, Discrete):
        return (MaskGroup(0, spec.action_space.n, slice(0, spec.mask_words)),)
    return ()


def legal(group: MaskGroup, legal_masks: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """One choice's legal actions, bool[N, actions], of masks u64[N, W]."""
    return unpack_masks(legal_masks[:, group.words], group.actions)


def random_actions(game: Game, positions: Positions, generator: np.random.Generator) -> npt.NDArray[np.uint8]:
    """One uniformly drawn legal action a row.

    Args:
        game: of any action space.
        positions: N of them, whose episodes go on.
        generator: the source of randomness.

    Returns:
        u8[N, A]. Box components without a bound are drawn within 2 of the other bound, without any within 1 of 0.
    """
    return draw_actions(game.spec, positions.legal_masks, generator)


def draw_actions(
    spec: GameSpec, legal_masks: npt.NDArray[np.uint64], generator: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """`random_actions` of masks u64[N, W] alone, for who has no game but its spec."""
    rows, space = len(legal_masks), spec.action_space
    numbers: npt.NDArray[Any]
    groups = mask_groups(spec)
    if groups:
        numbers = np.empty((rows, len(groups)), np.uint32)
        for group in groups:
            masks = legal(group, legal_masks)
            weights = generator.random(masks.shape, np.float32) + np.float32(1)
            numbers[:, group.component] = np.argmax(masks * weights, axis=1)
    elif isinstance(space, MultiDiscrete):
        numbers = generator.integers(0, space.nvec, (rows, len(space.nvec)), np.uint32)
    else:
        assert isinstance(space, Box)
        low, high = box_bounds(space)
        drawn = low + (high.astype(np.float64) - low) * generator.random((rows, len(low)))
        numbers = np.clip(drawn.astype(np.float32), low, high)
    return encode_actions(spec.encoding.action, numbers)


def box_bounds(space: Box) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Finite bounds f32[K], f32[K] to draw between; a bound that there is not lies 2 from the other,
    or 1 from 0 where there is none."""
    low, high = np.array(space.low, np.float32), np.array(space.high, np.float32)
    below, above = np.isinf(low), np.isinf(high)
    return (
        np.where(below, np.where(above, np.float32(-1), high - 2), low),
        np.where(above, np.where(below, np.float32(1), low + 2), high),
    )
