"""The arena turned half around, with the teams' places changed: every map stays itself, everybody else goes across.

In: states, joint actions, observations, a row an environment. Out: the same turned.
Invariant: turning twice is doing nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

ACROSS = [2, 3, 0, 1]  # the agents, as they change places
_STATUS = np.array([0, 2, 1, 3, 4], np.uint8)
_SCOUT = np.array([0, 2, 1, 4, 3, 8, 7, 6, 5, 9, 10], np.uint32)  # north is south, and so on
_GUARD = np.array([0, 2, 1, 4, 3, 5, 6], np.uint32)
_SIDES = (9, 7, 9, 7)  # of the agents' views


def turned_states(states: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """u8[N, 28]."""
    other = states.copy()
    other[:, 17] = _STATUS[states[:, 17]]
    cells = states[:, [19, 22, 23, 20, 21]]
    other[:, 19:24] = np.where(cells == 255, 255, 120 - cells)
    other[:, 24:] = states[:, 24:][:, ACROSS]
    return other


def turned_actions(numbers: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """u32[N, 4]."""
    words = [table[numbers[:, agent]] for agent, table in zip(ACROSS, (_SCOUT, _GUARD) * 2, strict=True)]
    return np.stack(words, axis=1)


def turned_obs(obs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """f32[N, 552]."""
    ends = np.cumsum([2 * side * side + 8 for side in _SIDES])
    parts = np.split(obs, ends[:-1], axis=1)
    return np.hstack([_turned_part(parts[agent], _SIDES[agent]) for agent in ACROSS])


def _turned_part(part: npt.NDArray[np.float32], side: int) -> npt.NDArray[np.float32]:
    planes, vector = part[:, : 2 * side * side].reshape(-1, 2, side * side), part[:, 2 * side * side :].copy()
    vector[:, 1:3] *= -1  # to the flag
    within = vector[:, 5] > 0
    # Tenths as f32: 10 minus the whole number is exact, 1 minus the tenth is not.
    vector[within, 3:5] = (10 - np.rint(10 * vector[within, 3:5])) / np.float32(10)
    return np.hstack([planes[:, :, ::-1].reshape(len(part), -1), vector])
