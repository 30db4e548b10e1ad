"""The RPCs of the engine.

Enters: request bytes. Leaves: response bytes, or a gRPC status with one line of text.
Invariant: a refused call changed nothing; every request is counted once, with its status.

Requests and answers are bytes here, so that the batch calls can look at them in place; the others go through the
generated classes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

import grpc
import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError, Message

from engine import capabilities, limits, wire
from engine.catalog import Catalog
from engine.errors import Refusal, WireError
from engine.layout import row_bytes
from engine.metrics import EngineMetrics
from engine.request import StepRequest
from engine.stepper import Stepper
from engine.streams import OpenStreams
from engine.stubs import engine_pb2 as pb
from games.contract import Game
from games.errors import GameError

SERVICE = "cartridge.engine.v1.Engine"

_Request = TypeVar("_Request", bound=Message)
_REFUSALS = (Refusal, WireError, GameError)


class EngineService:
    """Answers every call of the proto's service Engine."""

    def __init__(self, metrics: EngineMetrics) -> None:
        self._metrics = metrics
        self.catalog = Catalog(metrics)
        self.streams = OpenStreams(limits.MAX_STREAMS, metrics)
        self._of_thread = threading.local()

    def handler(self) -> grpc.GenericRpcHandler[bytes, bytes]:
        """What a gRPC server needs to serve these calls."""
        unary = {
            "GetCapabilities": self._parsed(pb.EngineId, self._capabilities),
            "ListGames": self._parsed(pb.ListGamesRequest, self._list_games),
            "Reset": self._parsed(pb.ResetRequest, self._reset),
            "Step": self._parsed(pb.StepRequest, self._step),
            "Render": self._parsed(pb.RenderRequest, self._render),
            "ResetBatch": self._parsed(pb.ResetBatchRequest, self._reset_batch),
            "StepBatch": self._step_batch,
        }
        methods = {
            name: grpc.unary_unary_rpc_method_handler(self._counted(name, work))
            for name, work in unary.items()
        }
        methods["StepStream"] = grpc.stream_stream_rpc_method_handler(self._step_stream)
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    def _counted(
        self, call: str, work: Callable[[bytes], bytes]
    ) -> Callable[[bytes, grpc.ServicerContext], bytes]:
        in_flight = self._metrics.in_flight.labels(call)
        done = self._metrics.requests.labels(call, "OK")

        def handle(request: bytes, context: grpc.ServicerContext) -> bytes:
            with in_flight.track_inprogress():
                try:
                    answer = work(request)
                except _REFUSALS as error:
                    self._refuse(call, error, context)
                done.inc()
                return answer

        return handle

    def _refuse(self, call: str, error: Exception, context: grpc.ServicerContext) -> NoReturn:
        status = _status(error)
        self._metrics.requests.labels(call, status.name).inc()
        context.abort(status, str(error))
        raise AssertionError("abort returned")  # it never does; this is for the type checker

    @staticmethod
    def _parsed(kind: type[_Request], work: Callable[[_Request], Message]) -> Callable[[bytes], bytes]:
        def parse_and_work(data: bytes) -> bytes:
            request = kind()
            try:
                request.ParseFromString(data)
            except DecodeError as error:
                name = kind.DESCRIPTOR.name
                raise WireError(f"request: {len(data)} bytes are no {name}; send one of {SERVICE}") from error
            return work(request).SerializeToString()

        return parse_and_work

    def _capabilities(self, request: pb.EngineId) -> pb.Capabilities:
        return capabilities.to_message(self.catalog.get(request).spec)

    def _list_games(self, request: pb.ListGamesRequest) -> pb.ListGamesResponse:
        del request
        return pb.ListGamesResponse(
            games=[capabilities.to_message(game.spec) for game in self.catalog.games()]
        )

    def _reset(self, request: pb.ResetRequest) -> pb.ResetResponse:
        game = self.catalog.get(request.id)
        with self.catalog.guard(game):
            start = game.reset(np.array([request.seed], np.uint64), request.hint)
        self._metrics.resets.labels(game.spec.env_id, "call").inc()
        return pb.ResetResponse(
            state=start.states.tobytes(),
            obs=start.obs.tobytes(),
            legal_mask=start.legal_masks.tobytes(),
            player=int(start.players[0]),
        )

    def _step(self, request: pb.StepRequest) -> pb.StepResponse:
        game = self.catalog.get(request.id)
        spec = game.spec
        state = _row("state", request.state, spec.state_bytes)
        action = _row("action", request.action, spec.action_bytes)
        with self.catalog.guard(game), self._metrics.latency.labels(spec.env_id, "unary").time():
            mover = int(game.observe(state).players[0])
            outcome = game.step(state, action)
        self._metrics.steps.labels(spec.env_id).inc()
        reward, truncated = float(outcome.rewards[0]), bool(outcome.truncated[0])
        return pb.StepResponse(
            next_state=outcome.positions.states.tobytes(),
            obs=outcome.positions.obs.tobytes(),
            reward=reward,
            done=bool(outcome.terminated[0]) or truncated,
            info=int(outcome.info[0]),
            legal_mask=outcome.positions.legal_masks.tobytes(),
            truncated=truncated,
            player=int(outcome.positions.players[0]),
            rewards=_all_rewards(game, mover, reward),
        )

    def _render(self, request: pb.RenderRequest) -> pb.RenderResponse:
        game = self.catalog.get(request.id)
        _row("state", request.state, game.spec.state_bytes)
        with self.catalog.guard(game):
            return pb.RenderResponse(text=game.render_text(request.state))

    def _reset_batch(self, request: pb.ResetBatchRequest) -> pb.ResetBatchResponse:
        game = self.catalog.get(request.id)
        limits.check_count(request.count, row_bytes(game.spec))
        if len(request.seeds) != 8 * request.count:
            raise WireError(
                f"seeds: {len(request.seeds)} bytes; count = {request.count} rows of 8 bytes need {8 * request.count}"
            )
        with self.catalog.guard(game):
            start = game.reset(np.frombuffer(request.seeds, "<u8").copy(), request.hint)
        self._metrics.resets.labels(game.spec.env_id, "call").inc(request.count)
        return pb.ResetBatchResponse(
            count=request.count,
            states=start.states.tobytes(),
            obs=start.obs.tobytes(),
            legal_masks=start.legal_masks.tobytes(),
            players=start.players.tobytes(),
        )

    def _step_batch(self, message: bytes) -> bytes:
        stepper: Stepper | None = getattr(self._of_thread, "stepper", None)
        if stepper is None:
            stepper = self._of_thread.stepper = Stepper(self.catalog, self._metrics, call="batch")
        return bytes(stepper.answer(StepRequest.read(message, 0, len(message))))

    def _step_stream(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        call = "StepStream"
        try:
            with self.streams.opened(context) as stream:
                stepper = Stepper(self.catalog, self._metrics, call="stream")
                while (message := stream.next_of(messages)) is not None:
                    yield from self._stream_answers(stepper, message)
                    self._metrics.requests.labels(call, "OK").inc()
        except _REFUSALS as error:
            self._refuse(call, error, context)

    def _stream_answers(self, stepper: Stepper, message: bytes) -> Iterator[bytes]:
        """Answers to one message, gathered; those before a refused batch come out before the refusal."""
        parts: list[memoryview] = []
        size = 0
        try:
            for start, stop in wire.stream_batches(message):
                request = StepRequest.read(message, start, stop)
                try:
                    answer = stepper.answer(request, turn=len(parts))
                except _REFUSALS as error:
                    raise Refusal(_status(error), f"sequence {request.sequence}: {error}") from error
                parts.append(answer)
                size += len(answer)
                if size >= limits.STREAM_FLUSH_BYTES:
                    yield b"".join(parts)
                    parts, size = [], 0
        except _REFUSALS:
            if parts:
                yield b"".join(parts)
            raise
        if parts:
            yield b"".join(parts)


def _status(error: Exception) -> grpc.StatusCode:
    return error.status if isinstance(error, Refusal) else grpc.StatusCode.INVALID_ARGUMENT


def _row(field: str, data: bytes, size: int) -> npt.NDArray[np.uint8]:
    """One row [1, size] of a unary call."""
    if len(data) != size:
        raise WireError(f"{field}: {len(data)} bytes; this game's are {size}")
    return np.frombuffer(data, np.uint8).reshape(1, size)


def _all_rewards(game: Game, mover: int, reward: float) -> list[Any]:
    """Rewards by player: the mover's, and in a zero-sum game what the others lose by it."""
    spec = game.spec
    others = -reward / (spec.players - 1) if spec.zero_sum and reward else 0.0
    return [reward if player == mover else others for player in range(spec.players)]
