"""Sessions: episodes whose states the engine holds, for clients that would rather not.

Enters: requests to open, step and close. Leaves: positions and outcomes, or a Refusal that says how to go on.
Invariant: a session takes each sequence number once; the last one again gets the last answer again. Sessions together
never hold more than their capacity, and one that is idle for longer than its timeout is closed.

A session belongs to one engine process. Its ids begin with the process's own mark, so that a client that comes back
after a restart is told so.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import grpc
import numpy as np
import numpy.typing as npt

from cartridge import logs
from engine import limits
from engine.admission import Rows
from engine.catalog import Catalog
from engine.columns import rows_of, seeds_of
from engine.errors import Refusal
from engine.layout import row_bytes
from engine.metrics import EngineMetrics
from engine.response import start_message
from engine.stepper import Batch, Stepper
from engine.stubs import engine_pb2 as pb
from games.batch import Positions
from games.contract import Game

_OVERHEAD_BYTES = 4096  # what a session takes beside its columns
_RETRY_S = 1.0  # sessions close when their clients like
_SWEEPS_S = 1.0

_log = logs.get("engine.sessions")


@dataclass(slots=True)
class _Session:
    """One session. Its lock is held while it steps, and is taken before the registry's own."""

    session_id: str
    game: Game
    states: npt.NDArray[np.uint8]  # [N, S]
    idle_timeout_s: float
    nbytes: int
    used_s: float  # of the clock
    sequence: int = 0
    asked: tuple[bytes, bytes, bytes] = (b"", b"", b"")  # actions, seeds and hint of the last step
    answer: bytes = b""
    closed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class Sessions:
    """The open sessions; thread-safe.

    Args:
        catalog: the games.
        rows: room for the rows of a batch.
        metrics: of the engine.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        catalog: Catalog,
        rows: Rows,
        metrics: EngineMetrics,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalog = catalog
        self._rows = rows
        self._metrics = metrics
        self._clock = clock
        self._mark = secrets.token_hex(4)
        self._lock = threading.Lock()
        self._open: dict[str, _Session] = {}
        self._places = self._bytes = 0  # taken; a place is taken before its session is there
        self._of_thread = threading.local()
        self.capacity = limits.MAX_SESSIONS
        metrics.session_capacity.set(self.capacity)

    @property
    def count(self) -> int:
        """Open sessions."""
        return self._places

    def open(self, request: pb.OpenSessionRequest) -> pb.OpenSessionResponse:
        """Starts an episode a row, or goes on from states.

        Raises:
            Refusal: RESOURCE_EXHAUSTED over the capacity, INVALID_ARGUMENT for columns or a timeout out of bounds.
            WireError, games.errors.GameError: the game or its columns are refused.
        """
        game = self._catalog.get(request.id)
        spec, count = game.spec, request.count
        limits.check_count(count, row_bytes(spec))
        limits.check_hint("hint", request.hint)
        idle_timeout_ms = _idle_timeout_ms(request.idle_timeout_ms)
        held = (
            row_bytes(spec) + spec.state_bytes + spec.action_bytes + 8
        )  # answer, states, the last step's columns
        nbytes = _OVERHEAD_BYTES + limits.HINT_BYTES + count * held
        self._take_place(nbytes)
        try:
            start = self._start(game, request)
            session = _Session(
                session_id=f"{self._mark}-{secrets.token_hex(8)}",
                game=game,
                states=start.states,
                idle_timeout_s=idle_timeout_ms / 1000,
                nbytes=nbytes,
                used_s=self._clock(),
            )
        except BaseException:
            self._give_place(nbytes)
            raise
        with self._lock:
            self._open[session.session_id] = session
        return pb.OpenSessionResponse(
            session_id=session.session_id,
            idle_timeout_ms=idle_timeout_ms,
            start=start_message(start),
        )

    def step(self, request: pb.StepSessionRequest) -> bytes:
        """One step in every row; an encoded StepSessionResponse.

        Raises:
            Refusal: NOT_FOUND for a session that is not there, FAILED_PRECONDITION for a sequence out of order.
            WireError, games.errors.GameError: the step is refused; the session is where it was.
        """
        session = self._find(request.session_id)
        with session.lock:
            if session.closed:
                raise self._not_found(request.session_id)
            try:
                return self._step(session, request)
            finally:
                session.used_s = self._clock()

    def close(self, request: pb.CloseSessionRequest) -> pb.CloseSessionResponse:
        """Closes a session. Raises Refusal NOT_FOUND for one that is not there."""
        session = self._find(request.session_id)
        with session.lock:
            self._close(session)
        return pb.CloseSessionResponse()

    def expire(self) -> None:
        """Close what is idle for longer than its timeout."""
        with self._lock:
            sessions = list(self._open.values())
        for session in sessions:
            if self._is_idle(session) and session.lock.acquire(blocking=False):
                try:  # one that is stepping is not idle, nor is one that was used since the look above
                    if self._is_idle(session) and self._close(session):
                        self._metrics.sessions_expired.inc()
                        _log.info(
                            "session_expired", game=session.game.spec.env_id, idle_s=session.idle_timeout_s
                        )
                finally:
                    session.lock.release()

    def expire_until(self, stopped: threading.Event) -> None:
        """Call `expire` again and again, until the event."""
        while not stopped.wait(_SWEEPS_S):
            self.expire()

    def _start(self, game: Game, request: pb.OpenSessionRequest) -> Positions:
        spec, count = game.spec, request.count
        if request.states and (request.seeds or request.hint):
            raise Refusal(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"states: {len(request.states)} bytes beside seeds or a hint; give states, or seeds and a hint",
            )
        self._rows.take(count, wait=False)
        try:
            if request.states:
                states = rows_of("states", request.states, count=count, size=spec.state_bytes)
                with self._catalog.guard(game, "OpenSession"):
                    return game.observe(states)
            seeds = seeds_of("seeds", request.seeds, count=count)
            with self._catalog.guard(game, "OpenSession"):
                start = game.reset(seeds, request.hint)
            self._metrics.resets.labels(spec.env_id, "call").inc(count)
            return start
        finally:
            self._rows.give(count)

    def _step(self, session: _Session, request: pb.StepSessionRequest) -> bytes:
        last = session.sequence
        asked = (request.actions, request.reset_seeds, request.reset_hint)
        if request.sequence == last and last:
            if asked != session.asked:
                raise Refusal(
                    grpc.StatusCode.FAILED_PRECONDITION,
                    f"sequence = {last}: is answered, for other columns; repeat the same, or step with {last + 1}",
                )
            return session.answer
        if request.sequence != last + 1:
            again = f", or {last} again for the last answer" if last else ""
            raise Refusal(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"sequence = {request.sequence}: this session's next step is {last + 1}{again}",
            )
        answer, positions = self._stepper().take(
            session.game, _batch(session, request), sequence=request.sequence
        )
        session.states[:] = positions.states
        session.answer = bytes(answer)
        session.asked = asked
        session.sequence += 1
        return session.answer

    def _stepper(self) -> Stepper:
        stepper: Stepper | None = getattr(self._of_thread, "stepper", None)
        if stepper is None:
            stepper = Stepper(self._catalog, self._rows, self._metrics, call="StepSession")
            self._of_thread.stepper = stepper
        return stepper

    def _find(self, session_id: str) -> _Session:
        session = self._open.get(session_id)
        if session is not None and self._is_idle(session):
            self.expire()
            session = self._open.get(session_id)
        if session is None:
            raise self._not_found(session_id)
        session.used_s = self._clock()
        return session

    def _is_idle(self, session: _Session) -> bool:
        return self._clock() - session.used_s > session.idle_timeout_s

    def _not_found(self, session_id: str) -> Refusal:
        if session_id.startswith(f"{self._mark}-"):
            why = "is closed, or was idle for longer than its timeout"
        else:
            why = "is not of this engine process, which may have started anew since"
        return Refusal(
            grpc.StatusCode.NOT_FOUND,
            f"session_id = {session_id[:40]!r}: {why}; open another with the states you hold, or with seeds",
        )

    def _take_place(self, nbytes: int) -> None:
        self.expire()
        with self._lock:
            if self._places >= self.capacity:
                what = f"sessions = {self._places + 1}: over the capacity of {self.capacity}"
            elif self._bytes + nbytes > limits.SESSION_BYTES:
                what = (
                    f"count: {nbytes} bytes more than the {self._bytes} of the open sessions are over "
                    f"{limits.SESSION_BYTES}"
                )
            else:
                self._set_places(1, nbytes)
                return
        self._metrics.sessions_refused.inc()
        raise Refusal(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"{what}; close one, or try again in {_RETRY_S:.0f} s",
            retry_after_s=_RETRY_S,
        )

    def _give_place(self, nbytes: int) -> None:
        with self._lock:
            self._set_places(-1, -nbytes)

    def _set_places(self, places: int, nbytes: int) -> None:
        self._places += places
        self._bytes += nbytes
        self._metrics.sessions.set(self._places)
        self._metrics.session_bytes.set(self._bytes)

    def _close(self, session: _Session) -> bool:
        """Forget a session whose lock is held. Returns whether it was open."""
        if session.closed:
            return False
        session.closed = True
        with self._lock:
            del self._open[session.session_id]
            self._set_places(-1, -session.nbytes)
        return True


def _batch(session: _Session, request: pb.StepSessionRequest) -> Batch:
    count, spec = len(session.states), session.game.spec
    seeds = None
    if request.reset_seeds:
        seeds = seeds_of("reset_seeds", request.reset_seeds, count=count)
    limits.check_reset_hint(request.reset_hint, resets=seeds is not None)
    return Batch(
        states=session.states,
        actions=rows_of("actions", request.actions, count=count, size=spec.action_bytes),
        reset_seeds=seeds,
        reset_hint=request.reset_hint,
    )


def _idle_timeout_ms(asked: int) -> int:
    least, most = limits.MIN_IDLE_TIMEOUT_MS, limits.MAX_IDLE_TIMEOUT_MS
    if not asked:
        return limits.IDLE_TIMEOUT_MS
    if not least <= asked <= most:
        raise Refusal(
            grpc.StatusCode.INVALID_ARGUMENT,
            f"idle_timeout_ms = {asked}: give {least} to {most}, or 0 for {limits.IDLE_TIMEOUT_MS}",
        )
    return asked
