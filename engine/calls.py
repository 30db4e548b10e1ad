"""How calls are answered: each on its threads, counted once, refused in one line.

Enters: paths as calls arrive, request bytes. Leaves: response bytes, or a gRPC status with one line of text.
Invariant: every request is counted once, with its status. What tells of the engine's state (Preflight, health, Admin)
has threads of its own, so it is answered while all others are busy.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from cartridge import logs
from engine import limits
from engine.admission import CallPool
from engine.errors import RETRY_AFTER, Refusal, WireError
from engine.metrics import EngineMetrics
from games.errors import GameError, NotOffered

REFUSALS = (Refusal, WireError, GameError)

CONTROL_THREADS = 16  # cheap; a call whose request does not arrive holds one until it ends
REFUSAL_THREADS = 8
# Trailing metadata has room for some kilobytes only, and a game may show a whole state.
_MOST_TEXT = 1000

_log = logs.get("engine.calls")

_Request = TypeVar("_Request", bound=Message)


@dataclass(frozen=True, slots=True)
class Pools:
    """The threads of an engine."""

    calls: CallPool  # for games' work
    streams: futures.ThreadPoolExecutor  # one for each open stream, and two to refuse more
    refusals: futures.ThreadPoolExecutor  # for calls that find no place to wait
    control: futures.ThreadPoolExecutor  # for what tells of the engine's state; never for a game's work

    @classmethod
    def of(cls, metrics: EngineMetrics) -> Pools:
        """Threads as `limits` says; they start when they are needed."""
        return cls(
            calls=CallPool(limits.CALL_THREADS, limits.MAX_WAITING_CALLS, metrics),
            streams=futures.ThreadPoolExecutor(limits.MAX_STREAMS + 2, "engine-stream"),
            refusals=futures.ThreadPoolExecutor(REFUSAL_THREADS, "engine-refusal"),
            control=futures.ThreadPoolExecutor(CONTROL_THREADS, "engine-control"),
        )

    def close(self) -> None:
        """Take no more work."""
        for pool in (self.calls, self.streams, self.refusals, self.control):
            pool.shutdown(wait=False)


class Arrival(Protocol):
    """What gRPC knows of a call as it arrives."""

    method: str


@dataclass(frozen=True, slots=True)
class _Call:
    handler: grpc.RpcMethodHandler[bytes, bytes]
    full: Callable[[], bool]
    refuse: grpc.RpcMethodHandler[bytes, bytes]


class Calls(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """Every call of the engine's services by its path."""

    def __init__(self, pools: Pools, metrics: EngineMetrics) -> None:
        self._pools = pools
        self._metrics = metrics
        self._calls: dict[str, _Call] = {}
        self._lock = threading.Lock()
        self._working = 0

    @property
    def working(self) -> int:
        """Calls of one answer whose request is here and whose answer is not: being worked on, or waiting for a thread.

        Those that wait include some whose request is not here yet, as gRPC reads it on the thread."""
        return self._working + self._pools.calls.waiting

    def service(self, handler_call_details: Arrival) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """Who answers a call that arrives. gRPC asks on the thread that accepts all calls, so a full queue refuses at
        once."""
        call = self._calls.get(handler_call_details.method)
        if call is None:
            return None
        return call.refuse if call.full() else call.handler

    def add(self, service: str, name: str, work: Callable[[bytes], bytes]) -> None:
        """A call of one answer that does a game's work."""
        pool = self._pools.calls
        handler = grpc.unary_unary_rpc_method_handler(OnPool(pool, self._counted(name, work)))
        # Of a streaming kind, so that it does not wait for the request's bytes.
        refuse = grpc.stream_stream_rpc_method_handler(OnPool(self._pools.refusals, self._refusing(name)))
        self._calls[f"/{service}/{name}"] = _Call(handler, lambda: pool.full, refuse)

    def add_control(self, service: str, name: str, work: Callable[[bytes], bytes]) -> None:
        """A call of one answer that tells of the engine's state."""
        handler = grpc.unary_unary_rpc_method_handler(OnPool(self._pools.control, self._counted(name, work)))
        self._calls[f"/{service}/{name}"] = _Call(handler, lambda: False, handler)

    def add_stream(
        self,
        service: str,
        name: str,
        work: Callable[[Iterator[bytes], grpc.ServicerContext], Iterator[bytes]],
    ) -> None:
        """A call that streams both ways; `work` counts its own messages."""

        def handle(messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
            try:
                yield from work(messages, context)
            except REFUSALS as error:
                self._refuse(name, error, context)

        handler = grpc.stream_stream_rpc_method_handler(OnPool(self._pools.streams, handle))
        self._calls[f"/{service}/{name}"] = _Call(handler, lambda: False, handler)

    def _counted(
        self, call: str, work: Callable[[bytes], bytes]
    ) -> Callable[[bytes, grpc.ServicerContext], bytes]:
        in_flight = self._metrics.in_flight.labels(call)
        done = self._metrics.requests.labels(call, "OK")

        def handle(request: bytes, context: grpc.ServicerContext) -> bytes:
            with in_flight.track_inprogress(), self._at_work():
                try:
                    answer = work(request)
                except REFUSALS as error:
                    self._refuse(call, error, context)
                except Exception as error:  # noqa: BLE001 - whatever it is, it is counted and told
                    _log.error("call_failed", call=call, exc_info=True)
                    what = f"{type(error).__name__}: {error}; report this"
                    self._refuse(call, Refusal(grpc.StatusCode.INTERNAL, what), context)
                done.inc()
                return answer

        return handle

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        with self._lock:
            self._working += 1
        try:
            yield
        finally:
            with self._lock:
                self._working -= 1

    def _refusing(self, call: str) -> Callable[[Iterator[bytes], grpc.ServicerContext], NoReturn]:
        pool = self._pools.calls

        def refuse(messages: Iterator[bytes], context: grpc.ServicerContext) -> NoReturn:
            del messages
            pool.count_refusal()
            self._refuse(call, pool.refusal(), context)

        return refuse

    def _refuse(self, call: str, error: Exception, context: grpc.ServicerContext) -> NoReturn:
        status = status_of(error)
        self._metrics.requests.labels(call, status.name).inc()
        after_s = error.retry_after_s if isinstance(error, Refusal) else None
        if after_s is not None:
            context.set_trailing_metadata(((RETRY_AFTER, str(math.ceil(after_s * 1000))),))
        context.abort(status, line_of(error))
        raise AssertionError("abort returned")  # it never does; this is for the type checker


class OnPool:
    """A call's work and the threads that do it; gRPC takes both from the same object.

    Args:
        pool: the threads.
        work: what gRPC shall call.
        non_blocking: `work` takes a third argument, to which it passes its answers, and returns at once.
    """

    def __init__(
        self, pool: futures.ThreadPoolExecutor, work: Callable[..., Any], *, non_blocking: bool = False
    ) -> None:
        self.experimental_thread_pool = pool
        self.experimental_non_blocking = non_blocking
        self._work = work

    def __call__(self, *arguments: Any) -> Any:
        return self._work(*arguments)


def parsed(kind: type[_Request], work: Callable[[_Request], Message | bytes]) -> Callable[[bytes], bytes]:
    """A call's work on a message as work on its bytes; it raises WireError for bytes that are no `kind`.

    Args:
        kind: of the request.
        work: its answer may be encoded already.
    """

    def parse_and_work(data: bytes) -> bytes:
        request = kind()
        try:
            request.ParseFromString(data)
        except DecodeError as error:
            name = kind.DESCRIPTOR.name
            raise WireError(f"request: {len(data)} bytes are no {name}; send one") from error
        answer = work(request)
        return answer if isinstance(answer, bytes) else answer.SerializeToString()

    return parse_and_work


def status_of(error: Exception) -> grpc.StatusCode:
    """The status that a refusal ends a call with."""
    if isinstance(error, Refusal):
        return error.status
    if isinstance(error, NotOffered):
        return grpc.StatusCode.UNIMPLEMENTED
    return grpc.StatusCode.INVALID_ARGUMENT


def line_of(error: Exception) -> str:
    """A refusal's text as one short line of printable ASCII, whatever a client or a plugin put into it."""
    text = " ".join(str(error).split()).encode("ascii", "backslashreplace").decode()
    if not text.isprintable():
        text = "".join(sign if sign.isprintable() else f"\\x{ord(sign):02x}" for sign in text)
    return text if len(text) <= _MOST_TEXT else text[: _MOST_TEXT - 3] + "..."
