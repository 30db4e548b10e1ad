"""StepBatchResponse between numpy arrays and bytes.

Enters: a game's `Outcomes` on the engine's side, message bytes on the client's. Leaves: the other.
Invariant: a game writes its outcomes straight into the message's memory, a client reads them where they lie;
every column starts on a multiple of eight bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import wire
from engine.errors import WireError
from games.contract import Outcomes, Positions
from games.spec import GameSpec

_SEQUENCE, _COUNT, _STATES, _OBS, _REWARDS, _TERMINATED, _TRUNCATED = range(1, 8)
_LEGAL_MASKS, _PLAYERS, _INFO, _ENDED_COUNT, _FINAL_STATES, _FINAL_OBS = range(8, 14)
_TAIL_BYTES = 96  # numbers, heads and padding after the fixed columns, at most


def _columns(spec: GameSpec) -> tuple[tuple[int, str, int], ...]:
    """Field number, dtype and values a row of each column, in the order of our messages: widest first."""
    return (
        (_OBS, "<f4", spec.obs_size),
        (_LEGAL_MASKS, "<u8", spec.mask_words),
        (_INFO, "<u8", 1),
        (_REWARDS, "<f4", 1),
        (_STATES, "u1", spec.state_bytes),
        (_TERMINATED, "u1", 1),
        (_TRUNCATED, "u1", 1),
        (_PLAYERS, "u1", 1),
    )


def row_bytes(spec: GameSpec) -> int:
    """Bytes a row of an answer, when every row has ended and was reset."""
    fixed = sum(np.dtype(kind).itemsize * width for _, kind, width in _columns(spec))
    return fixed + spec.state_bytes + 4 * spec.obs_size


class ResponseSlot:
    """Memory for one StepBatchResponse of `count` rows, used again and again.

    `outcomes` are views of it for the game to write to. `finish` adds what depends on the step and returns the message.
    """

    def __init__(self, spec: GameSpec, count: int) -> None:
        self.count = count
        capacity = wire.STREAM_HEAD + count * row_bytes(spec) + 16 * len(_columns(spec)) + _TAIL_BYTES
        self._memory = np.zeros(capacity, np.uint8)
        self._at = wire.STREAM_HEAD
        self._append(wire.number_field(_COUNT, count))
        views = {number: self._column(number, kind, width) for number, kind, width in _columns(spec)}
        self._fixed_end = self._at
        self.outcomes = Outcomes(
            positions=Positions(
                states=views[_STATES],
                obs=views[_OBS],
                legal_masks=views[_LEGAL_MASKS],
                players=views[_PLAYERS].reshape(count),
            ),
            rewards=views[_REWARDS].reshape(count),
            terminated=views[_TERMINATED].reshape(count),
            truncated=views[_TRUNCATED].reshape(count),
            info=views[_INFO].reshape(count),
        )
        self._view = self._memory.data

    @property
    def nbytes(self) -> int:
        """Size of the memory that this slot holds."""
        return self._memory.nbytes

    def finish(
        self,
        *,
        sequence: int,
        final_states: npt.NDArray[np.uint8],
        final_obs: npt.NDArray[np.float32],
        in_stream: bool,
    ) -> memoryview:
        """The whole message, valid until the slot is used again.

        Args:
            sequence: of the request.
            final_states: u8[E, S] of the rows that were reset.
            final_obs: f32[E, O] of the rows that were reset.
            in_stream: with the head that makes it a part of a StepStreamResponse; such parts may be joined.
        """
        self._at = self._fixed_end
        self._append(wire.number_field(_SEQUENCE, sequence))
        if len(final_states):
            self._append(wire.number_field(_ENDED_COUNT, len(final_states)))
            self._append_column(_FINAL_STATES, final_states)
            self._append_column(_FINAL_OBS, final_obs)
        self._append(wire.padding(self._at, 0))
        if not in_stream:
            return self._view[wire.STREAM_HEAD : self._at]
        head = wire.stream_head(self._at - wire.STREAM_HEAD)
        self._view[: wire.STREAM_HEAD] = head
        return self._view[: self._at]

    def _append(self, data: bytes) -> None:
        self._memory.data[self._at : self._at + len(data)] = data
        self._at += len(data)

    def _column(self, number: int, kind: str, width: int) -> npt.NDArray[Any]:
        """Head of a column, and its place as an array [count, width]."""
        dtype = np.dtype(kind)
        size = self.count * width * dtype.itemsize
        self._append(wire.padding(self._at, wire.COLUMN_HEAD) + wire.column_head(number, size))
        start, self._at = self._at, self._at + size
        return self._memory[start : self._at].view(dtype).reshape(self.count, width)

    def _append_column(self, number: int, rows: npt.NDArray[Any]) -> None:
        self._append(wire.padding(self._at, wire.COLUMN_HEAD) + wire.column_head(number, rows.nbytes))
        self._memory[self._at : self._at + rows.nbytes] = rows.reshape(-1).view(np.uint8)
        self._at += rows.nbytes


@dataclass(frozen=True, slots=True)
class StepReply:
    """What a batch of steps led to. The arrays are read-only views of the answer's bytes.

    With reset seeds, a row whose episode has ended holds the start of the next one in states, obs, legal_masks and
    players; E is the number of such rows, and final_states, final_obs are how their episodes ended, in row order. The
    other columns tell of the step.
    """

    sequence: int  # of the send, from 0
    states: npt.NDArray[np.uint8]  # [N, S]
    obs: npt.NDArray[np.float32]  # [N, O], as seen by the player to move
    rewards: npt.NDArray[np.float32]  # [N], to the player who moved
    terminated: npt.NDArray[np.uint8]  # [N], 1 where the rules ended the episode
    truncated: npt.NDArray[np.uint8]  # [N], 1 where the horizon ended it
    legal_masks: npt.NDArray[np.uint64]  # [N, W], bit (a % 64) of word a // 64 is action a
    players: npt.NDArray[np.uint8]  # [N], the player to move
    info: npt.NDArray[np.uint64]  # [N], the game's own bits
    final_states: npt.NDArray[np.uint8]  # [E, S]
    final_obs: npt.NDArray[np.float32]  # [E, O]

    def ended_rows(self) -> npt.NDArray[np.intp]:
        """Indices [E] of the rows whose episode has ended, ascending: the rows of final_states and final_obs."""
        return np.flatnonzero(self.terminated | self.truncated)

    @classmethod
    def read(cls, message: bytes, start: int, stop: int, *, spec: GameSpec) -> StepReply:
        """The answer in message[start:stop]. Raises WireError where it does not fit the spec."""
        found: dict[int, tuple[int, int]] = {}
        for number, first, last in wire.fields(message, start, stop):
            found[number] = first, last
        count = found.get(_COUNT, _ABSENT)[0]
        ended = found.get(_ENDED_COUNT, _ABSENT)[0]

        def column(number: int, kind: str, rows: int, width: int) -> npt.NDArray[Any]:
            first, last = found.get(number, _ABSENT)
            dtype = _DTYPES[kind]
            if last - first != rows * width * dtype.itemsize:
                raise WireError(
                    f"answer's field {number}: {last - first} bytes for {rows} rows of {spec.env_id}"
                )
            values = np.frombuffer(message, dtype, rows * width, first)
            if not values.flags.aligned:  # not written by this engine
                values = values.copy()
            return values.reshape(rows, width) if number in _WIDE else values

        return cls(
            sequence=found.get(_SEQUENCE, _ABSENT)[0],
            states=column(_STATES, "u1", count, spec.state_bytes),
            obs=column(_OBS, "<f4", count, spec.obs_size),
            rewards=column(_REWARDS, "<f4", count, 1),
            terminated=column(_TERMINATED, "u1", count, 1),
            truncated=column(_TRUNCATED, "u1", count, 1),
            legal_masks=column(_LEGAL_MASKS, "<u8", count, spec.mask_words),
            players=column(_PLAYERS, "u1", count, 1),
            info=column(_INFO, "<u8", count, 1),
            final_states=column(_FINAL_STATES, "u1", ended, spec.state_bytes),
            final_obs=column(_FINAL_OBS, "<f4", ended, spec.obs_size),
        )


_ABSENT = (0, 0)
_DTYPES = {kind: np.dtype(kind) for kind in ("u1", "<f4", "<u8")}
_WIDE = (_STATES, _OBS, _LEGAL_MASKS, _FINAL_STATES, _FINAL_OBS)
