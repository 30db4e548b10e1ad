"""The client's side of a session: the engine holds the states.

Enters: actions. Leaves: what they led to, or EngineUnavailable / EngineRefused.
Invariant: a step that raised EngineUnavailable may be made again with the same columns, and happens once.

    >>> with EngineClient("127.0.0.1:50051") as engine, engine.open_session("tictactoe", seeds) as session:
    ...     reply = session.step(actions)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

import grpc
import numpy as np
import numpy.typing as npt

from engine import wire
from engine.errors import EngineError, EngineRefused, EngineUnavailable, WireError
from engine.request import check_step
from engine.response import ReplyReader, StepReply, read_start
from engine.stubs import engine_pb2 as pb
from games.batch import U64, Positions, check_column
from games.spec import GameSpec

# An encoded request to Service/Method and the seconds it may take, None for the client's own; its encoded answer.
Call = Callable[[str, bytes, float | None], bytes]
_CLOSE_S = 1.0  # for closing at an engine that did not answer in time


class Session:
    """N episodes of one game in one engine process. Belongs to one thread; made by `EngineClient.open_session`.

    Attributes:
        spec: the game.
        session_id: its name in the proto's calls.
        idle_timeout_s: without a call for so long, the engine may close it.
        start: where the episodes stood at the opening.
    """

    def __init__(self, spec: GameSpec, call: Call, opened: pb.OpenSessionResponse) -> None:
        self.spec = spec
        self.session_id: str = opened.session_id
        self.idle_timeout_s = opened.idle_timeout_ms / 1000
        self.start: Positions = read_start(spec, opened.start)
        self._call = call
        self._reader = ReplyReader(spec)
        self._steps = 0
        self._states = self.start.states
        self._lost: grpc.StatusCode | None = None  # why the last step has no answer

    @classmethod
    def opened(
        cls,
        spec: GameSpec,
        call: Call,
        *,
        seeds: npt.NDArray[np.uint64] | None,
        hint: bytes,
        states: npt.NDArray[np.uint8] | None,
        idle_timeout_s: float,
    ) -> Session:
        """A new session; see `EngineClient.open_session`."""
        if (seeds is None) == (states is None):
            raise ValueError(
                f"seeds = {seeds}, states = {states}: give one of them, to begin with or to go on from"
            )
        if not 0 <= idle_timeout_s < 2**20:
            raise ValueError(f"idle_timeout_s = {idle_timeout_s}: give seconds, or 0 for the engine's choice")
        request = pb.OpenSessionRequest(
            id=pb.EngineId(env_id=spec.env_id, build_id=spec.build_id),
            hint=hint,
            idle_timeout_ms=math.ceil(1000 * idle_timeout_s),
        )
        if seeds is not None:
            check_column("seeds", seeds, U64, (len(seeds),))
            request.count, request.seeds = len(seeds), seeds.tobytes()
        if states is not None:
            request.count, request.states = len(states), states.tobytes()
        answer = call("Sessions/OpenSession", request.SerializeToString(), None)
        return cls(spec, call, pb.OpenSessionResponse.FromString(answer))

    @property
    def states(self) -> npt.NDArray[np.uint8]:
        """Where the rows stand, u8[N, S], read-only: what to open another session with when this one is gone."""
        return self._states

    def step(
        self,
        actions: npt.NDArray[np.uint8],
        reset_seeds: npt.NDArray[np.uint64] | None = None,
        *,
        reset_hint: bytes = b"",
    ) -> StepReply:
        """One step in every row; the arguments are those of `StepStream.send`.

        Raises:
            games.errors.BadBatch: an array is not as said there.
            EngineUnavailable: the engine went away or did not answer in time; the same step may be made again.
            EngineRefused: the step was refused and did not happen; NOT_FOUND: the session is gone, go on with another
                from `states`.
        """
        check_step(self.spec, self._states, actions, reset_seeds)
        request = pb.StepSessionRequest(
            session_id=self.session_id,
            sequence=self._steps + 1,
            actions=actions.tobytes(),
            reset_seeds=b"" if reset_seeds is None else reset_seeds.tobytes(),
            reset_hint=reset_hint,
        )
        try:
            answer = self._call("Sessions/StepSession", request.SerializeToString(), None)
        except EngineUnavailable as error:
            self._lost = error.status
            raise
        except EngineRefused:
            self._lost = None
            raise
        self._lost = None
        try:
            ((start, stop),) = wire.stream_batches(answer)  # framed as a stream's message of one batch
            reply = self._reader.read(answer, start, stop)
        except (WireError, ValueError) as error:
            raise EngineRefused(grpc.StatusCode.INTERNAL, f"session's answer: {error}") from error
        self._steps += 1
        self._states = reply.states
        return reply

    def close(self) -> None:
        """Close the session; one that is gone already needs no closing, and one whose engine is gone gets none."""
        late = self._lost is grpc.StatusCode.DEADLINE_EXCEEDED  # it may be there, and hold the session
        if self._lost is not None and not late:
            return
        with suppress(EngineError):
            request = pb.CloseSessionRequest(session_id=self.session_id)
            self._call("Sessions/CloseSession", request.SerializeToString(), _CLOSE_S if late else None)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
