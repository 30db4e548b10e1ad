"""What goes wrong between an engine and its clients.

Enters: a gRPC status and a line of text, or the reason for one. Leaves: exceptions that carry both.
Invariant: after `EngineUnavailable` the same call may be made again, to this engine or another; after `EngineRefused`
the same call would be refused again, unless it says when to retry.
"""

from __future__ import annotations

from typing import Any

import grpc

from cartridge.errors import CartridgeError


class EngineError(CartridgeError):
    """Base of everything that this package raises.

    Attributes:
        may_retry: whether the same call may be made again as it is.
    """

    may_retry = False


class EngineUnavailable(EngineError):
    """No engine answers, or it went away: reconnect and go on from the states at hand.

    Attributes:
        status: the gRPC status.
    """

    may_retry = True

    def __init__(self, status: grpc.StatusCode, message: str) -> None:
        self.status = status
        super().__init__(message)


class EngineRefused(EngineError):
    """The engine refused the call; nothing was changed.

    Attributes:
        status: the gRPC status, e.g. INVALID_ARGUMENT.
        retry_after_s: seconds after which the same call may be taken, where the engine is over its capacity. None:
            the same call would be refused again.
    """

    exit_code = 2

    def __init__(self, status: grpc.StatusCode, message: str, *, retry_after_s: float | None = None) -> None:
        self.status = status
        self.retry_after_s = retry_after_s
        self.may_retry = retry_after_s is not None
        super().__init__(message)


class StreamFull(EngineError):
    """As many batches are under way as the stream may have: receive one before the next send."""


class WireError(EngineError):
    """Bytes that are not the protobuf message that they should be."""


class Refusal(EngineError):
    """Inside the service: end this call with a status and one line of text.

    Attributes:
        status: the gRPC status to end with.
        retry_after_s: seconds after which the call may be taken, where it is refused for want of room.
    """

    def __init__(self, status: grpc.StatusCode, message: str, *, retry_after_s: float | None = None) -> None:
        self.status = status
        self.retry_after_s = retry_after_s
        super().__init__(message)


# Trailing metadata of a refusal: milliseconds, in digits.
RETRY_AFTER = "retry-after-ms"

# No engine, or one that broke off: the same call may succeed elsewhere or later. UNKNOWN and INTERNAL are what a killed
# engine's connection looks like now and then.
_UNAVAILABLE = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)


def from_rpc(error: grpc.RpcError, *, address: str, timeout_s: float) -> EngineUnavailable | EngineRefused:
    """What a failed call means to its caller: the status, and one line that says what to do.

    Args:
        error: as raised by a call.
        address: of the engine, host:port.
        timeout_s: seconds that the call was given.
    """
    status: grpc.StatusCode = error.code()
    details = " ".join(str(error.details()).split())
    if status is grpc.StatusCode.DEADLINE_EXCEEDED:
        return EngineUnavailable(
            status, f"engine {address}: no answer within {timeout_s:g} s; is it running?"
        )
    if status in _UNAVAILABLE:
        return EngineUnavailable(status, f"engine {address}: {details} ({status.name}); is it running?")
    return EngineRefused(status, details, retry_after_s=_retry_after_s(error))


def _retry_after_s(error: grpc.RpcError) -> float | None:
    trailing: Any = error.trailing_metadata() or ()
    said = str(dict(trailing).get(RETRY_AFTER, ""))
    return int(said) / 1000 if said.isdigit() else None
