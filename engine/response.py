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

from engine import layout, wire
from engine.columns import rows_of
from engine.errors import WireError
from engine.layout import Layout, row_bytes
from engine.stubs import engine_pb2 as pb
from games.contract import Outcomes, Positions
from games.spec import GameSpec

_TAIL_BYTES = 96  # numbers, heads and padding after the fixed columns, at most
_LAYOUTS = 256  # row counts that a reader remembers


class ResponseSlot:
    """Memory for one StepBatchResponse of `count` rows, used again and again.

    `outcomes` are views of it for the game to write to. `finish` adds what depends on the step and returns the message.
    """

    def __init__(self, spec: GameSpec, count: int) -> None:
        fixed = Layout.of(spec, count)
        self._fixed_end = wire.STREAM_HEAD + fixed.stop
        final_bytes = count * sum(dtype.itemsize * width for _, dtype, width in layout.final_columns(spec))
        self._memory = np.zeros(self._fixed_end + final_bytes + _TAIL_BYTES, np.uint8)
        self._view = self._memory.data
        for at, content in fixed.between:
            self._view[wire.STREAM_HEAD + at : wire.STREAM_HEAD + at + len(content)] = content
        views = {column.number: column.view(self._memory, wire.STREAM_HEAD) for column in fixed.columns}
        self.outcomes = Outcomes(
            positions=Positions(
                states=views[layout.STATES],
                obs=views[layout.OBS],
                legal_masks=views[layout.LEGAL_MASKS],
                players=views[layout.PLAYERS],
            ),
            rewards=views[layout.REWARDS],
            terminated=views[layout.TERMINATED],
            truncated=views[layout.TRUNCATED],
            info=views[layout.INFO],
        )

    @property
    def nbytes(self) -> int:
        """Size of the memory that this slot holds."""
        return self._memory.nbytes

    def finish(
        self,
        *,
        sequence: int,
        final: Positions,
        in_stream: bool,
    ) -> memoryview:
        """The whole message, valid until the slot is used again.

        Args:
            sequence: of the request.
            final: the last positions of the E rows that were reset.
            in_stream: with the head that makes it a part of a StepStreamResponse; such parts may be joined.
        """
        at, view = self._fixed_end, self._view
        head = wire.number_field(layout.SEQUENCE, sequence)
        if len(final):
            for number, rows in (
                (layout.FINAL_STATES, final.states),
                (layout.FINAL_OBS, final.obs),
                (layout.FINAL_LEGAL_MASKS, final.legal_masks),
                (layout.FINAL_PLAYERS, final.players),
            ):
                size = rows.nbytes
                head += wire.padding(at + len(head), wire.COLUMN_HEAD) + wire.column_head(number, size)
                view[at : at + len(head)] = head
                at += len(head)
                self._memory[at : at + size] = rows.reshape(-1).view(np.uint8)
                at, head = at + size, b""
        head += wire.padding(at + len(head), 0)
        view[at : at + len(head)] = head
        at += len(head)
        if not in_stream:
            return view[wire.STREAM_HEAD : at]
        view[: wire.STREAM_HEAD] = wire.stream_head(at - wire.STREAM_HEAD)
        return view[:at]


@dataclass(frozen=True, slots=True)
class StepReply:
    """What a batch of steps led to. The arrays are read-only views of the answer's bytes.

    With reset seeds, a row whose episode has ended holds the start of the next one in states, obs, legal_masks and
    players; E is the number of such rows, and the final_ columns are how their episodes ended, in row order. The other
    columns tell of the step.
    """

    sequence: int  # of the send, from 0
    states: npt.NDArray[np.uint8]  # [N, S]
    obs: npt.NDArray[np.float32]  # [N, O], as seen by the player to move
    rewards: npt.NDArray[np.float32]  # [N], to the player who moved; [N, R] where R agents move at once
    terminated: npt.NDArray[np.uint8]  # [N], 1 where the rules ended the episode
    truncated: npt.NDArray[np.uint8]  # [N], 1 where the horizon ended it
    legal_masks: npt.NDArray[np.uint64]  # [N, W], bit (a % 64) of word a // 64 is action a
    players: npt.NDArray[np.uint8]  # [N], the player to move
    info: npt.NDArray[np.uint64]  # [N], the game's own bits
    final_states: npt.NDArray[np.uint8]  # [E, S]
    final_obs: npt.NDArray[np.float32]  # [E, O]
    final_legal_masks: npt.NDArray[np.uint64]  # [E, W]
    final_players: npt.NDArray[np.uint8]  # [E]

    @property
    def positions(self) -> Positions:
        """Where the games stand now, N rows."""
        return Positions(self.states, self.obs, self.legal_masks, self.players)

    @property
    def final(self) -> Positions:
        """Where the episodes ended, E rows."""
        return Positions(self.final_states, self.final_obs, self.final_legal_masks, self.final_players)

    def ended_rows(self) -> npt.NDArray[np.intp]:
        """Indices [E] of the rows whose episode has ended, ascending: the rows of the final_ columns."""
        return np.flatnonzero(self.terminated | self.truncated)


def start_message(start: Positions) -> pb.ResetBatchResponse:
    """The message of first positions, which `read_start` reads."""
    return pb.ResetBatchResponse(
        count=len(start),
        states=start.states.tobytes(),
        obs=start.obs.tobytes(),
        legal_masks=start.legal_masks.tobytes(),
        players=start.players.tobytes(),
    )


def read_start(spec: GameSpec, message: pb.ResetBatchResponse) -> Positions:
    """The first positions of episodes, read-only. Raises WireError where they do not fit the spec."""
    count = message.count
    obs = rows_of("obs", message.obs, count=count, size=4 * spec.obs_size)
    masks = rows_of("legal_masks", message.legal_masks, count=count, size=8 * spec.mask_words)
    return Positions(
        states=rows_of("states", message.states, count=count, size=spec.state_bytes),
        obs=obs.view(layout.F4),
        legal_masks=masks.view(layout.U8),
        players=rows_of("players", message.players, count=count, size=1).reshape(-1),
    )


class ReplyReader:
    """Reads answers of one game; those that are laid out like ours without parsing their columns."""

    def __init__(self, spec: GameSpec) -> None:
        self._spec = spec
        self._layouts: dict[int, Layout] = {}
        self._final = layout.final_columns(spec)
        self._final_numbers = frozenset(number for number, _, _ in self._final)

    def read(self, message: bytes, start: int, stop: int) -> StepReply:
        """The answer in message[start:stop]. Raises WireError where it does not fit the spec."""
        fixed = self._layout_of(message, start, stop)
        if fixed is None:
            return self._read_any(message, start, stop)
        sequence = 0
        final_at = dict.fromkeys(self._final_numbers, _NOTHING)
        for number, first, last in wire.fields(message, start + fixed.stop, stop):
            if number in final_at:
                final_at[number] = first, last
            elif number == layout.SEQUENCE:
                sequence = first
            elif number != wire.PADDING_FIELD:
                return self._read_any(message, start, stop)  # a column once more: the last one counts
        ended = final_at[layout.FINAL_PLAYERS][1] - final_at[layout.FINAL_PLAYERS][0]
        obs, masks, info, rewards, states, terminated, truncated, players = [
            column.view(message, start) for column in fixed.columns
        ]
        return StepReply(
            sequence,
            states,
            obs,
            rewards,
            terminated,
            truncated,
            masks,
            players,
            info,
            *(self._column(message, final_at[field[0]], ended, field) for field in self._final),
        )

    def _layout_of(self, message: bytes, start: int, stop: int) -> Layout | None:
        """The layout that the message has, None if it is not one of ours."""
        if start % wire.ALIGNMENT or stop - start < 2 or message[start] != layout.COUNT << 3:
            return None
        count, _ = wire.varint(message, start + 1, stop)
        fixed = self._layouts.get(count)
        if fixed is None:
            if count * row_bytes(self._spec) > 2 * len(
                message
            ):  # a count that cannot be: remember nothing of it
                return None
            if len(self._layouts) >= _LAYOUTS:
                self._layouts.clear()
            fixed = self._layouts[count] = Layout.of(self._spec, count)
        return fixed if fixed.stop <= stop - start and fixed.is_of(message, start) else None

    def _read_any(self, message: bytes, start: int, stop: int) -> StepReply:
        """The same for whatever protobuf allows."""
        found = {number: (first, last) for number, first, last in wire.fields(message, start, stop)}
        count = found.get(layout.COUNT, _NOTHING)[0]
        players_at = found.get(layout.FINAL_PLAYERS, _NOTHING)
        ended = players_at[1] - players_at[0]
        columns = {
            field[0]: self._column(message, found.get(field[0], _NOTHING), count, field)
            for field in layout.fixed_columns(self._spec)
        } | {
            field[0]: self._column(message, found.get(field[0], _NOTHING), ended, field)
            for field in self._final
        }
        return StepReply(
            sequence=found.get(layout.SEQUENCE, _NOTHING)[0],
            states=columns[layout.STATES],
            obs=columns[layout.OBS],
            rewards=columns[layout.REWARDS],
            terminated=columns[layout.TERMINATED],
            truncated=columns[layout.TRUNCATED],
            legal_masks=columns[layout.LEGAL_MASKS],
            players=columns[layout.PLAYERS],
            info=columns[layout.INFO],
            final_states=columns[layout.FINAL_STATES],
            final_obs=columns[layout.FINAL_OBS],
            final_legal_masks=columns[layout.FINAL_LEGAL_MASKS],
            final_players=columns[layout.FINAL_PLAYERS],
        )

    def _column(
        self, message: bytes, span: tuple[int, int], rows: int, field: tuple[int, np.dtype[Any], int]
    ) -> npt.NDArray[Any]:
        """The column at `span` of `field`: number, dtype, values a row."""
        first, last = span
        number, dtype, width = field
        if last - first != rows * width * dtype.itemsize:
            raise WireError(
                f"answer's field {number}: {last - first} bytes for {rows} rows of {self._spec.env_id}"
            )
        shape = layout.column_shape(self._spec, number, rows=rows, width=width)
        values: npt.NDArray[Any] = np.ndarray(shape, dtype, message, first)
        return values if values.flags.aligned else values.copy()  # crooked ones are not of this engine


_NOTHING = (0, 0)
