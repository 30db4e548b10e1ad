"""Steps of one group of environments become a TransitionChunk's columns.

In: decisions and their outcomes, step by step. Out: TransitionChunks, environment-major, each below a size.
Invariant: every recorded step is in exactly one chunk, with what followed it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from actor import kernels
from games.contract import GameSpec, Positions

# Kafka's default bound for a message is 1 MB; chunks stay below it, before compression.
_CHUNK_BYTES = 950_000


@dataclass(frozen=True)
class Rows:
    """Columns of a chunk, ready to go into the record."""

    count: int
    columns: dict[str, bytes]


class Recorder:
    """Room for `steps` steps of `environments` environments."""

    def __init__(self, spec: GameSpec, *, environments: int, steps: int) -> None:
        shape = (environments, steps)
        obs_bytes = spec.obs_size * 4
        self.steps = 0
        self.first_step_s = 0.0
        self._episode = np.zeros(shape, np.int64)
        self._step = np.zeros(shape, np.int32)
        self._player = np.zeros(shape, np.uint8)
        self._state = np.zeros((*shape, spec.state_bytes), np.uint8)
        self._obs = np.zeros((*shape, spec.obs_size), np.float32)
        self._action = np.zeros((*shape, spec.action_bytes), np.uint8)
        self._mask = np.zeros((*shape, spec.mask_words), np.uint64)
        self._reward = np.zeros((*shape, spec.reward_width) if spec.agents else shape, np.float32)
        self._terminated = np.zeros(shape, np.uint8)
        self._truncated = np.zeros(shape, np.uint8)
        self._time = np.zeros(shape, np.int64)
        self._state_after_end = np.zeros((*shape, spec.state_bytes), np.uint8)
        self._obs_after_end = np.zeros((*shape, obs_bytes), np.uint8)
        self._mask_after_end = np.zeros((*shape, 8 * spec.mask_words), np.uint8)
        self._player_after_end = np.zeros((*shape, 1), np.uint8)
        # Whatever a message's rows turn out to be, each with a successor of its own, it is below the bound.
        self._capacity = max(1, min(steps, _CHUNK_BYTES // _row_bytes(spec)))
        slice_rows = max(1, _CHUNK_BYTES // (_row_bytes(spec) * self._capacity))
        self._edges = [*range(0, environments, slice_rows), environments]
        largest = min(slice_rows, environments)
        self._successor_state = np.zeros((largest * steps, spec.state_bytes), np.uint8)
        self._successor_obs = np.zeros((largest * steps, obs_bytes), np.uint8)
        self._successor_mask = np.zeros((largest * steps, 8 * spec.mask_words), np.uint8)
        self._successor_player = np.zeros((largest * steps, 1), np.uint8)

    @property
    def full(self) -> bool:
        """Whether the next step has no room."""
        return self.steps == self._capacity

    def decide(
        self,
        positions: Positions,
        actions: npt.NDArray[np.uint8],
        *,
        episodes: npt.NDArray[np.int64],
        steps: npt.NDArray[np.int32],
        time_us: int,
    ) -> None:
        """Writes what is known before the outcome into the next column."""
        column = self.steps
        self._state[:, column] = positions.states
        self._obs[:, column] = positions.obs
        self._mask[:, column] = positions.legal_masks
        self._player[:, column] = positions.players
        self._action[:, column] = actions
        self._episode[:, column] = episodes
        self._step[:, column] = steps
        self._time[:, column] = time_us

    def outcome(
        self,
        rewards: npt.NDArray[np.float32],
        terminated: npt.NDArray[np.uint8],
        truncated: npt.NDArray[np.uint8],
        *,
        final: Positions,
    ) -> None:
        """Completes the column; `final` has one row an ended episode: where it ended."""
        column = self.steps
        self._reward[:, column] = rewards
        self._terminated[:, column] = terminated
        self._truncated[:, column] = truncated
        for last, after_end in (
            (final.states, self._state_after_end),
            (_as_bytes(final.obs), self._obs_after_end),
            (_as_bytes(final.legal_masks), self._mask_after_end),
            (final.players.reshape(-1, 1), self._player_after_end),
        ):
            kernels.keep_ends(terminated, truncated, last, column, after_end)
        self.steps += 1

    def drain(self, newest: Positions) -> Iterator[Rows]:
        """Everything recorded, in message-sized pieces; empty afterwards. `newest` is where the games stand now."""
        steps, self.steps = self.steps, 0
        if steps == 0:
            return
        ended = self._terminated | self._truncated
        for low, high in pairwise(self._edges):
            part = (slice(low, high), slice(0, steps))
            columns = {
                name: np.ascontiguousarray(array[part]).tobytes()
                for name, array in (
                    ("episode", self._episode),
                    ("step", self._step),
                    ("player", self._player),
                    ("state", self._state),
                    ("obs", self._obs),
                    ("action", self._action),
                    ("legal_mask", self._mask),
                    ("reward", self._reward),
                    ("terminated", self._terminated),
                    ("truncated", self._truncated),
                    ("time_us", self._time),
                )
            }
            for name, after_end, after, out in (
                ("successor_state", self._state_after_end, newest.states, self._successor_state),
                ("successor_obs", self._obs_after_end, _as_bytes(newest.obs), self._successor_obs),
                (
                    "successor_legal_mask",
                    self._mask_after_end,
                    _as_bytes(newest.legal_masks),
                    self._successor_mask,
                ),
                (
                    "successor_player",
                    self._player_after_end,
                    newest.players.reshape(-1, 1),
                    self._successor_player,
                ),
            ):
                count = kernels.gather_successors(ended, steps, after_end, after, low, high, out)
                columns[name] = out[:count].tobytes()
            yield Rows((high - low) * steps, columns)


def _row_bytes(spec: GameSpec) -> int:
    """The most that one row can add to a message."""
    twice = spec.state_bytes + 4 * spec.obs_size + 8 * spec.mask_words + 1  # what a successor has as well
    return 2 * twice + spec.action_bytes + 4 * spec.reward_width + 22


def _as_bytes(column: npt.NDArray[np.float32] | npt.NDArray[np.uint64]) -> npt.NDArray[np.uint8]:
    """Numbers [N, K] seen as u8[N, bytes of K]."""
    width = column.shape[1] * column.itemsize
    return column.view(np.uint8) if column.size else np.empty((len(column), width), np.uint8)
