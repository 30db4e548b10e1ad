"""StepBatchRequest between numpy arrays and bytes.

Enters: state, action and seed columns on the client's side, message bytes on the engine's. Leaves: the other.
Invariant: what is read are views of the message's own bytes; nothing is copied but columns that lie crooked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine import wire
from engine.columns import SEED_BYTES, check_size
from engine.errors import WireError
from engine.limits import ID_BYTES
from games.batch import U8, U64, check_column
from games.spec import GameSpec

_ID, _COUNT, _STATES, _ACTIONS, _RESET_SEEDS, _SEQUENCE, _RESET_HINT = range(1, 8)
_ENV_ID, _BUILD_ID = 1, 2
NOTHING = (0, 0)


@dataclass(slots=True)
class StepRequest:
    """Where the fields of a StepBatchRequest lie in `message`; every span is (from, to)."""

    message: bytes
    engine_id: bytes = b""  # an encoded EngineId
    count: int = 0
    states: tuple[int, int] = NOTHING
    actions: tuple[int, int] = NOTHING
    reset_seeds: tuple[int, int] = NOTHING
    sequence: int = 0
    reset_hint: bytes = b""

    @classmethod
    def read(cls, message: bytes, start: int, stop: int) -> StepRequest:
        """The request in message[start:stop]. Raises WireError."""
        request = cls(message)
        for number, first, last in wire.fields(message, start, stop):
            if last == -1:
                if number == _COUNT:
                    request.count = first & 0xFFFF_FFFF
                elif number == _SEQUENCE:
                    request.sequence = first
                elif number <= _RESET_HINT:
                    raise WireError(f"field {number} = {first}: is a number; send a StepBatchRequest")
            elif number == _STATES:
                request.states = first, last
            elif number == _ACTIONS:
                request.actions = first, last
            elif number == _RESET_SEEDS:
                request.reset_seeds = first, last
            elif number == _ID:
                size = len(request.engine_id) + last - first
                if size > ID_BYTES:
                    raise WireError(f"id: {size} bytes is over the limit of {ID_BYTES}; give it once")
                request.engine_id += message[first:last]  # a message that comes twice is merged
            elif number == _RESET_HINT:
                request.reset_hint = message[first:last]
            elif number in (_COUNT, _SEQUENCE):
                raise WireError(f"field {number}: is bytes; send a StepBatchRequest")
        return request

    def columns(self, spec: GameSpec) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """States u8[count, S] and actions u8[count, A], read-only views. Raises WireError for a wrong size."""
        return self._rows("states", self.states, spec.state_bytes), self._rows(
            "actions", self.actions, spec.action_bytes
        )

    def seeds(self) -> npt.NDArray[np.uint64] | None:
        """Reset seeds u64[count], or None where rows shall not be reset. Raises WireError for a wrong size."""
        if self.reset_seeds[0] == self.reset_seeds[1]:
            return None
        seeds = self._rows("reset_seeds", self.reset_seeds, SEED_BYTES).view("<u8").reshape(-1)
        return seeds if seeds.flags.aligned else seeds.copy()

    def _rows(self, field: str, span: tuple[int, int], row_bytes: int) -> npt.NDArray[np.uint8]:
        start, stop = span
        check_size(field, stop - start, count=self.count, size=row_bytes)
        return np.ndarray((self.count, row_bytes), np.uint8, self.message, start)


def check_step(
    spec: GameSpec,
    states: npt.NDArray[np.uint8],
    actions: npt.NDArray[np.uint8],
    reset_seeds: npt.NDArray[np.uint64] | None,
) -> None:
    """Refuse columns that the engine would refuse for their sizes. Raises games.errors.BadBatch."""
    count = len(states)
    check_column("states", states, U8, (count, spec.state_bytes))
    check_column("actions", actions, U8, (count, spec.action_bytes))
    if reset_seeds is not None:
        check_column("reset_seeds", reset_seeds, U64, (count,))


def engine_id_bytes(env_id: str, build_id: str = "") -> bytes:
    """An encoded EngineId."""
    name, build = env_id.encode(), build_id.encode()
    encoded = wire.column_head(_ENV_ID, len(name)) + name
    return encoded + wire.column_head(_BUILD_ID, len(build)) + build if build else encoded


def step_request_bytes(
    engine_id: bytes,
    states: npt.NDArray[np.uint8],
    actions: npt.NDArray[np.uint8],
    *,
    reset_seeds: npt.NDArray[np.uint64] | None = None,
    reset_hint: bytes = b"",
    sequence: int = 0,
    in_stream: bool = False,
) -> bytes:
    """An encoded StepBatchRequest.

    Args:
        engine_id: of `engine_id_bytes`.
        states: u8[N, S], C-contiguous.
        actions: u8[N, A], C-contiguous.
        reset_seeds: u64[N], C-contiguous.
        reset_hint: how rows that are reset shall start.
        sequence: comes back in the answer.
        in_stream: with the head that makes it a part of a StepStreamRequest; such parts may be joined.
    """
    count = len(states)
    parts: list[bytes | memoryview] = [b""]
    size = 0
    numbers = wire.number_field(_SEQUENCE, sequence) + wire.number_field(_COUNT, count)
    heads = numbers + wire.column_head(_ID, len(engine_id)) + engine_id
    if reset_hint:
        heads += wire.column_head(_RESET_HINT, len(reset_hint)) + reset_hint
    if reset_seeds is not None:
        heads += wire.padding(len(heads), wire.COLUMN_HEAD) + wire.column_head(
            _RESET_SEEDS, count * SEED_BYTES
        )
        parts += [heads, reset_seeds.data]
        size += len(heads) + count * SEED_BYTES
        heads = b""
    for number, column in ((_STATES, states), (_ACTIONS, actions)):
        heads += wire.column_head(number, column.nbytes)
        parts += [heads, column.data]
        size += len(heads) + column.nbytes
        heads = b""
    if in_stream:
        parts.append(wire.padding(size, 0))
        parts[0] = wire.stream_head(size + len(parts[-1]))
    return b"".join(parts)
