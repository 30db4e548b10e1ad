"""The hand-written batch codec and the generated classes understand each other, whatever the message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import limits, wire
from engine.errors import WireError
from engine.request import StepRequest, engine_id_bytes, step_request_bytes
from engine.response import ReplyReader, ResponseSlot, StepReply
from engine.stubs import engine_pb2 as pb
from games import registry
from games.contract import Outcomes, Positions

GAME = registry.get("tictactoe")
SPEC = GAME.spec
READER = ReplyReader(SPEC)
RNG = np.random.default_rng(5)
U64 = st.integers(0, 2**64 - 1)


def random_bytes(rows: int, width: int) -> Any:
    return RNG.integers(0, 256, (rows, width)).astype(np.uint8)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 70),
    sequence=U64,
    seeded=st.booleans(),
    in_stream=st.booleans(),
    build=st.sampled_from(["", "b"]),
    hint=st.binary(max_size=20),
)
def test_a_request_of_ours_is_what_protobuf_reads(
    rows: int, sequence: int, seeded: bool, in_stream: bool, build: str, hint: bytes
) -> None:
    states, actions = random_bytes(rows, 11), random_bytes(rows, 4)
    seeds = RNG.integers(0, 2**64, rows, dtype=np.uint64) if seeded else None
    data = step_request_bytes(
        engine_id_bytes("tictactoe", build),
        states,
        actions,
        reset_seeds=seeds,
        reset_hint=hint,
        sequence=sequence,
        in_stream=in_stream,
    )
    if in_stream:
        assert len(data) % 8 == 0
        (message,) = pb.StepStreamRequest.FromString(data).batches
        ((start, stop),) = wire.stream_batches(data)
    else:
        message, start, stop = pb.StepBatchRequest.FromString(data), 0, len(data)
    assert message.id == pb.EngineId(env_id="tictactoe", build_id=build)
    assert (message.count, message.sequence) == (rows, sequence)
    assert message.states == states.tobytes()
    assert message.actions == actions.tobytes()
    assert message.reset_seeds == (b"" if seeds is None else seeds.tobytes())
    assert message.reset_hint == hint
    request = StepRequest.read(data, start, stop)
    _assert_read(request, message)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(0, 70),
    sequence=U64,
    padding=st.binary(max_size=9),
    seeded=st.booleans(),
    hint=st.binary(max_size=20),
)
def test_a_request_of_protobuf_is_read_in_place(
    rows: int, sequence: int, padding: bytes, seeded: bool, hint: bytes
) -> None:
    message = pb.StepBatchRequest(
        id=pb.EngineId(env_id="tictactoe"),
        count=rows,
        states=random_bytes(rows, 11).tobytes(),
        actions=random_bytes(rows, 4).tobytes(),
        reset_seeds=random_bytes(rows, 8).tobytes() if seeded else b"",
        reset_hint=hint,
        sequence=sequence,
        padding=padding,
    )
    data = message.SerializeToString()
    _assert_read(StepRequest.read(data, 0, len(data)), message)


def _assert_read(request: StepRequest, message: pb.StepBatchRequest) -> None:
    assert pb.EngineId.FromString(request.engine_id) == message.id
    assert (request.count, request.sequence) == (message.count, message.sequence)
    assert request.reset_hint == message.reset_hint
    states, actions = request.columns(SPEC)
    assert (states.tobytes(), actions.tobytes()) == (message.states, message.actions)
    assert states.shape == (message.count, 11)
    seeds = request.seeds()
    assert (b"" if seeds is None else seeds.tobytes()) == message.reset_seeds
    assert seeds is None or seeds.flags.aligned


def random_positions(rows: int) -> Positions:
    """Positions that no game would give."""
    return Positions(
        states=random_bytes(rows, 11),
        obs=random_bytes(rows, 116).view(np.float32),
        legal_masks=random_bytes(rows, 8).view(np.uint64),
        players=random_bytes(rows, 1).reshape(rows),
    )


def random_outcomes(slot: ResponseSlot) -> None:
    """Fill a slot with bytes that no game would make."""
    for field in ("states", "obs", "legal_masks", "players"):
        column = getattr(slot.outcomes.positions, field)
        column.reshape(-1).view(np.uint8)[:] = RNG.integers(0, 255, column.nbytes)
    for field in ("rewards", "terminated", "truncated", "info"):
        column = getattr(slot.outcomes, field)
        column.view(np.uint8)[:] = RNG.integers(0, 255, column.nbytes)


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(1, 70), ended=st.integers(0, 70), sequence=U64, in_stream=st.booleans())
def test_an_answer_of_ours_is_what_protobuf_reads(
    rows: int, ended: int, sequence: int, in_stream: bool
) -> None:
    ended = min(ended, rows)
    slot = ResponseSlot(SPEC, rows)
    random_outcomes(slot)
    final = random_positions(ended)
    data = bytes(slot.finish(sequence=sequence, final=final, in_stream=in_stream))
    if in_stream:
        assert len(data) % 8 == 0
        (message,) = pb.StepStreamResponse.FromString(data).batches
        ((start, stop),) = wire.stream_batches(data)
    else:
        message, start, stop = pb.StepBatchResponse.FromString(data), 0, len(data)
    reply = READER.read(data, start, stop)
    assert (message.sequence, message.count, len(message.final_players)) == (sequence, rows, ended)
    _assert_reply(reply, message, slot.outcomes, final)
    for field in ("obs", "rewards", "legal_masks", "info", "final_obs", "final_legal_masks"):
        column = getattr(reply, field)
        assert column.ctypes.data % 8 == 0 or not column.size
        assert not column.flags.writeable


def _assert_reply(
    reply: StepReply, message: pb.StepBatchResponse, outcomes: Outcomes, final: Positions
) -> None:
    for field in ("states", "obs", "legal_masks", "players"):
        column = getattr(outcomes.positions, field)
        assert getattr(message, field) == column.tobytes() == getattr(reply, field).tobytes()
        assert getattr(reply, field).shape == column.shape
    for field in ("rewards", "terminated", "truncated", "info"):
        column = getattr(outcomes, field)
        assert getattr(message, field) == column.tobytes() == getattr(reply, field).tobytes()
    for field in ("states", "obs", "legal_masks", "players"):
        column = getattr(final, field)
        assert getattr(message, f"final_{field}") == column.tobytes() == getattr(reply.final, field).tobytes()
        assert getattr(reply, f"final_{field}").shape == column.shape
    assert reply.sequence == message.sequence


def test_an_answer_of_protobuf_is_read_wherever_its_columns_lie() -> None:
    slot = ResponseSlot(SPEC, 5)
    random_outcomes(slot)
    final = random_positions(2)
    ours = slot.finish(sequence=7, final=final, in_stream=False)
    message = pb.StepBatchResponse.FromString(bytes(ours))
    for padding in range(9):  # shifts the columns off every alignment
        data = b"\x7a" + bytes([padding]) + bytes(padding) + message.SerializeToString()
        reply = READER.read(data, 0, len(data))
        _assert_reply(reply, message, slot.outcomes, final)
        assert reply.obs.flags.aligned


def test_a_slot_is_used_again_without_a_trace_of_the_last_answer() -> None:
    slot = ResponseSlot(SPEC, 3)
    random_outcomes(slot)
    nothing = random_positions(0)
    first = bytes(slot.finish(sequence=1, final=nothing, in_stream=True))
    slot.finish(sequence=2**64 - 1, final=random_positions(3), in_stream=True)
    assert bytes(slot.finish(sequence=1, final=nothing, in_stream=True)) == first


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_in_one_line(data: bytes) -> None:
    for read in (
        lambda: StepRequest.read(data, 0, len(data)).columns(SPEC),
        lambda: READER.read(data, 0, len(data)),
        lambda: list(wire.stream_batches(data)),
    ):
        assert "\n" not in refusal(read)


def refusal(read: Callable[[], Any]) -> str:
    """Why the bytes are refused, empty if they are not."""
    try:
        read()
    except WireError as error:
        return str(error)
    return ""


@settings(max_examples=100, deadline=None)
@given(st.integers(4, 400))  # three bytes are a whole field, the sequence: a message of no rows
def test_a_message_cut_short_is_refused(cut: int) -> None:
    data = step_request_bytes(
        engine_id_bytes("tictactoe"), random_bytes(20, 11), random_bytes(20, 4), sequence=300
    )
    cut = min(cut, len(data) - 1)
    with pytest.raises(WireError):
        StepRequest.read(data[:cut], 0, cut).columns(SPEC)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x0f", "wire type 7"),
        (b"\x00\x01", "field 0"),
        (b"\x1a\x05abc", "5 bytes announced, 3 there"),
        (b"\x10" + b"\xff" * 11, "has no end"),
        (b"\x18\x01", "field 3 = 1: is a number"),
        (b"\x12\x00", "field 2: is bytes"),
        (b"\x0d\x00", "cut short"),
    ],
)
def test_what_is_wrong_with_a_message_is_said(data: bytes, message: str) -> None:
    with pytest.raises(WireError, match=message):
        StepRequest.read(data, 0, len(data))


def test_an_id_in_many_parts_is_merged_up_to_a_size_and_not_copied_beyond() -> None:
    part = b"\x0a\x02\x12\x00"  # an EngineId with an empty build_id
    most = limits.ID_BYTES // 2
    assert len(StepRequest.read(part * most, 0, 4 * most).engine_id) == limits.ID_BYTES
    with pytest.raises(WireError, match=rf"id: {limits.ID_BYTES + 2} bytes is over the limit of"):
        StepRequest.read(part * (most + 1), 0, 4 * (most + 1))


def test_a_message_has_a_bounded_number_of_fields() -> None:
    padding = b"\x7a\x00"
    most = limits.MAX_FIELDS
    assert StepRequest.read(padding * most, 0, 2 * most).count == 0
    with pytest.raises(WireError, match=rf"more than {most} fields"):
        StepRequest.read(padding * (most + 1), 0, 2 * (most + 1))
    with pytest.raises(WireError, match=rf"more than {limits.MAX_STREAM_FIELDS} fields"):
        list(wire.stream_batches(padding * (limits.MAX_STREAM_FIELDS + 1)))


def test_fields_that_are_not_known_are_passed_over() -> None:
    data = b"\x9d\x06abcd\x99\x06abcdefgh\x90\x06\x05\x92\x06\x02ab\x10\x03"
    assert pb.StepBatchRequest.FromString(data).count == StepRequest.read(data, 0, len(data)).count == 3


@given(st.integers(0, 200), st.integers(0, 20))
def test_padding_aligns_what_follows(at: int, after: int) -> None:
    padding = wire.padding(at, after)
    assert (at + len(padding) + after) % 8 == 0
    assert len(padding) <= 9
    assert list(wire.fields(padding, 0, len(padding))) == ([(15, 2, len(padding))] if padding else [])


@given(U64)
def test_numbers_are_varints(value: int) -> None:
    data = wire.number_field(6, value)
    assert data == pb.StepBatchRequest(sequence=value).SerializeToString() or value == 0
    assert list(wire.fields(data, 0, len(data))) == [(6, value, -1)]


def test_a_column_too_long_for_its_head_is_refused() -> None:
    with pytest.raises(WireError, match="split the batch"):
        wire.column_head(3, wire.MAX_LENGTH + 1)
