"""How much one call may ask for.

Enters: counts and sizes of a request. Leaves: nothing, or a Refusal. Invariant: no request makes the engine allocate
more than MESSAGE_BYTES for its answer.
"""

from __future__ import annotations

import grpc

from engine.errors import Refusal

MAX_COUNT = 65_536  # rows a batch
MESSAGE_BYTES = 64 * 2**20  # of one gRPC message, either way
HINT_BYTES = 4096  # of a reset hint
MAX_STREAMS = 64  # each holds a thread of the engine
CALL_THREADS = 8  # for calls of one answer, besides the streams' threads
MAX_WAITING_CALLS = 256  # requests that wait for one of these threads
MAX_PICTURES = 2  # drawn at once; one may take a processor for a second
MAX_ROWS_IN_FLIGHT = 16 * MAX_COUNT  # worked on at once; more than the machines of today have use for
MAX_SESSIONS = 256
SESSION_BYTES = 256 * 2**20  # states and last answers of all sessions
IDLE_TIMEOUT_MS = 300_000  # of a session whose client asks for none
MIN_IDLE_TIMEOUT_MS = 1000
MAX_IDLE_TIMEOUT_MS = 3_600_000
MAX_NAME = 128  # characters of an env_id or build_id
ID_BYTES = 1024 + 64  # of an encoded EngineId: two names of MAX_NAME characters of 4 bytes, and their heads
MAX_FIELDS = 4096  # of one batch; what is not known is passed over, and takes time
MAX_STREAM_FIELDS = 131_072  # of one message of a stream, whose batches take two each
STREAM_FLUSH_BYTES = 2**20  # answers of a stream are gathered into messages of about this size

# For both sides of a channel. Without so_reuseport=0 two engines would share a port without a word.
SERVER_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),
)
CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    # A new engine on the address of a lost one is found within half a second.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
)


def check_count(count: int, row_bytes: int) -> None:
    """Refuse a batch of no rows, too many rows, or one whose answer of `row_bytes` a row fits no message.

    Raises:
        Refusal: INVALID_ARGUMENT or RESOURCE_EXHAUSTED.
    """
    if count < 1:
        raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, f"count = {count}: give at least one row")
    if count > MAX_COUNT:
        raise Refusal(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"count = {count}: over the limit of {MAX_COUNT} rows; split the batch",
        )
    if count * row_bytes > MESSAGE_BYTES:
        raise Refusal(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"count = {count}: the answer of {row_bytes} bytes a row is over {MESSAGE_BYTES} bytes; split the batch",
        )


def check_hint(field: str, hint: bytes) -> None:
    """Refuse a reset hint over the limit. Raises Refusal RESOURCE_EXHAUSTED."""
    if len(hint) > HINT_BYTES:
        raise Refusal(
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            f"{field}: {len(hint)} bytes is over the limit of {HINT_BYTES}; give a shorter one",
        )


def check_reset_hint(hint: bytes, *, resets: bool) -> None:
    """Refuse a hint over the limit, or for resets that are not asked for.

    Raises:
        Refusal: RESOURCE_EXHAUSTED or INVALID_ARGUMENT.
    """
    if hint:
        check_hint("reset_hint", hint)
        if not resets:
            raise Refusal(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"reset_hint = 0x{hint[:16].hex()}: no row is reset without reset_seeds; give both or neither",
            )
