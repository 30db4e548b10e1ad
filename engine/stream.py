"""The client's side of a step stream: several batches under way at once.

Enters: batches of states and actions. Leaves: their answers, in the order of sending.
Invariant: at most `max_in_flight` batches are sent and not yet received; every send has one answer or one error.

Sends never wait for the network. What gathers while a message goes out goes into the next one, so a busy stream has
fewer, larger messages: most of a message's cost is in waking the threads that pass it on, not in its bytes.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt

from engine import wire
from engine.errors import EngineError, EngineRefused, EngineUnavailable, StreamFull, WireError, from_rpc
from engine.request import check_step, engine_id_bytes, step_request_bytes
from engine.response import ReplyReader, StepReply
from games.spec import GameSpec

MAX_IN_FLIGHT = 16
_MESSAGE_BYTES = 4 * 2**20  # requests are gathered up to about this size
_CHECKS_A_TIMEOUT = 4  # how often an overdue answer is looked for


class StepStream:
    """Batches of steps of one game, pipelined. Belongs to one thread; made by `EngineClient.open_stream`."""

    def __init__(
        self,
        call: grpc.StreamStreamMultiCallable[bytes, bytes],
        spec: GameSpec,
        *,
        address: str,
        timeout_s: float,
        max_in_flight: int,
    ) -> None:
        if max_in_flight < 1:
            raise ValueError(f"max_in_flight = {max_in_flight}: give at least 1")
        self.spec = spec
        self.max_in_flight = max_in_flight
        self._address = address
        self._timeout_s = timeout_s
        self._engine_id = engine_id_bytes(spec.env_id, spec.build_id)
        self._outgoing = _Outgoing()
        self._answers: deque[tuple[bytes, int, int]] = deque()
        self._reader = ReplyReader(spec)
        self._sent = 0
        self._received = 0
        self._failure: EngineError | None = None
        self._call: Any = call(self._outgoing, wait_for_ready=True)
        self._messages: Any = self._call  # an iterator of bytes
        self._overdue = _Overdue(self._call, timeout_s)

    @property
    def in_flight(self) -> int:
        """Batches sent and not yet received."""
        return self._sent - self._received

    def send(
        self,
        states: npt.NDArray[np.uint8],
        actions: npt.NDArray[np.uint8],
        reset_seeds: npt.NDArray[np.uint64] | None = None,
        *,
        reset_hint: bytes = b"",
    ) -> int:
        """Ask for one step in each of N episodes; returns at once, and the arrays may be changed then.

        Args:
            states: u8[N, S], C-contiguous.
            actions: u8[N, A], C-contiguous.
            reset_seeds: u64[N]; row i starts a new episode from reset_seeds[i] if its own ends. None: no row does.
            reset_hint: the game's own words about how those episodes start; empty for the usual start.

        Returns:
            The batch's sequence number, from 0; its reply carries it.

        Raises:
            games.errors.BadBatch: an array is not as said above.
            StreamFull: receive first.
            EngineUnavailable, EngineRefused: the stream has ended before.
        """
        if self._failure is not None:
            raise self._failure
        if self.in_flight >= self.max_in_flight:
            raise StreamFull(
                f"in_flight = {self.in_flight}: is max_in_flight; receive a reply before the next send"
            )
        check_step(self.spec, states, actions, reset_seeds)
        sequence = self._sent
        self._outgoing.put(
            step_request_bytes(
                self._engine_id,
                states,
                actions,
                reset_seeds=reset_seeds,
                reset_hint=reset_hint,
                sequence=sequence,
                in_stream=True,
            )
        )
        self._sent += 1
        return sequence

    def receive(self) -> StepReply:
        """The answer to the oldest batch under way; waits for it.

        Raises:
            EngineUnavailable: the engine went away or did not answer in time; reconnect and go on from the states at
                hand. What was under way is lost; it may be sent again.
            EngineRefused: the batch was refused, naming its sequence number, row and value.
            EngineError: nothing is under way.
        """
        if not self._answers:
            self._read_message()
        message, start, stop = self._answers.popleft()
        try:
            reply = self._reader.read(message, start, stop)
        except WireError as error:
            raise self._fail(EngineRefused(grpc.StatusCode.INTERNAL, str(error))) from error
        if reply.sequence != self._received:
            text = f"sequence = {reply.sequence}: an answer out of order, expected {self._received}"
            raise self._fail(EngineRefused(grpc.StatusCode.INTERNAL, text))
        self._received += 1
        return reply

    def close(self) -> None:
        """End the stream; what is under way is lost."""
        self._outgoing.close()
        if self.in_flight or self._failure is not None:
            self._call.cancel()
        else:
            # The engine ends its side when it sees the end of ours.
            try:
                self._next_message()
            except EngineError:
                self._call.cancel()
        self._overdue.close()
        if self._failure is None:
            self._failure = EngineUnavailable(grpc.StatusCode.CANCELLED, "the stream is closed; open another")

    def __enter__(self) -> StepStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_message(self) -> None:
        """Wait for a message that holds answers."""
        if self._failure is not None:
            raise self._failure
        if not self.in_flight:
            raise EngineError("in_flight = 0: nothing is under way; send a batch before receiving")
        while not self._answers:
            message = self._next_message()
            if message is None:
                text = f"engine {self._address}: ended the stream with {self.in_flight} batches under way"
                raise self._fail(EngineUnavailable(grpc.StatusCode.UNAVAILABLE, text))
            try:
                self._answers.extend((message, start, stop) for start, stop in wire.stream_batches(message))
            except WireError as error:
                raise self._fail(EngineRefused(grpc.StatusCode.INTERNAL, str(error))) from error

    def _next_message(self) -> bytes | None:
        """The next message, None at the stream's end."""
        self._overdue.waiting_since = time.monotonic()
        try:
            message: bytes | None = next(self._messages, None)
            return message
        except grpc.RpcError as error:
            if self._overdue.fired:
                text = f"engine {self._address}: no answer within {self._timeout_s:g} s; is it running?"
                raise self._fail(EngineUnavailable(grpc.StatusCode.DEADLINE_EXCEEDED, text)) from error
            raise self._fail(from_rpc(error, address=self._address, timeout_s=self._timeout_s)) from error
        finally:
            self._overdue.waiting_since = None

    def _fail(self, error: EngineError) -> EngineError:
        """Remember why the stream is over."""
        self._failure = error
        return error


class _Outgoing:
    """The requests that gRPC's sending thread takes, gathered."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._closed = False

    def put(self, request: bytes) -> None:
        self._queue.put(request)

    def close(self) -> None:
        self._queue.put(None)

    def __iter__(self) -> _Outgoing:
        return self

    def __next__(self) -> bytes:
        first = None if self._closed else self._queue.get()
        if first is None:
            raise StopIteration
        gathered = [first]
        size = len(first)
        while size < _MESSAGE_BYTES:
            try:
                request = self._queue.get_nowait()
            except Empty:
                break
            if request is None:
                self._closed = True
                break
            gathered.append(request)
            size += len(request)
        return first if len(gathered) == 1 else b"".join(gathered)


class _Overdue:
    """Cancels a call whose next message has been waited for too long. gRPC knows deadlines of whole streams only."""

    def __init__(self, call: Any, timeout_s: float) -> None:
        self.waiting_since: float | None = None  # of time.monotonic()
        self.fired = False
        self._call = call
        self._timeout_s = timeout_s
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="engine-stream-overdue", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(self._timeout_s / _CHECKS_A_TIMEOUT):
            since = self.waiting_since
            if since is not None and time.monotonic() - since > self._timeout_s:
                self.fired = True
                self._call.cancel()
                return
