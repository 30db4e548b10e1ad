"""The services of the engine: which call is answered by what.

Enters: request bytes. Leaves: response bytes, or a refusal.
Invariant: a refused call changed nothing.

Requests and answers are bytes here, so that the batch calls can look at them in place; the others go through the
generated classes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import grpc
import numpy as np
import numpy.typing as npt

from engine import capabilities, limits, wire
from engine.admin import Admin
from engine.admission import Rows
from engine.calls import REFUSALS, Calls, Pools, parsed, status_of
from engine.catalog import Catalog
from engine.columns import one_row, seeds_of
from engine.errors import Refusal
from engine.inspection import Inspection
from engine.layout import row_bytes
from engine.metrics import EngineMetrics
from engine.preflight import Preflight
from engine.request import StepRequest
from engine.response import start_message
from engine.sessions import Sessions
from engine.stepper import Stepper
from engine.streams import OpenStreams
from engine.stubs import engine_pb2 as pb
from games import registry
from games.spec import GameSpec

SERVICE = "cartridge.engine.v1.Engine"
SESSIONS = "cartridge.engine.v1.Sessions"
ADMIN = "cartridge.engine.v1.Admin"
SERVICES = (SERVICE, SESSIONS, ADMIN)


class EngineService:
    """Answers every call of the proto.

    Args:
        metrics: of the engine.
        on_change: called with env_id and whether the game is offered, each time that this changes.
        clock: seconds that never go back, for sessions that are idle.
    """

    def __init__(
        self,
        metrics: EngineMetrics,
        on_change: Callable[[str, bool], None] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics = metrics
        self.catalog = Catalog(metrics, on_change)
        self.pools = Pools.of(metrics)
        self.rows = Rows(limits.MAX_ROWS_IN_FLIGHT, metrics)
        self.streams = OpenStreams(limits.MAX_STREAMS, metrics)
        self.sessions = Sessions(self.catalog, self.rows, metrics, clock=clock)
        self._of_thread = threading.local()

    def handler(self) -> Calls:
        """What a gRPC server needs to serve these calls."""
        calls = Calls(self.pools, self._metrics)
        inspection = Inspection(self.catalog, self.rows)
        sessions = self.sessions
        preflight = Preflight(
            self.catalog, self.pools.calls, self.rows, streams=self.streams, sessions=sessions
        )
        games = {
            "GetCapabilities": parsed(pb.EngineId, self._capabilities),
            "Reset": parsed(pb.ResetRequest, self._reset),
            "Step": parsed(pb.StepRequest, self._step),
            "ResetBatch": parsed(pb.ResetBatchRequest, self._reset_batch),
            "StepBatch": self._step_batch,
            "Render": parsed(pb.RenderRequest, inspection.render),
            "UpgradeStates": parsed(pb.UpgradeStatesRequest, inspection.upgrade_states),
            "Visibility": parsed(pb.VisibilityRequest, inspection.visibility),
        }
        for name, work in games.items():
            calls.add(SERVICE, name, work)
        calls.add_stream(SERVICE, "StepStream", self._step_stream)
        calls.add_control(SERVICE, "ListGames", parsed(pb.ListGamesRequest, self._list_games))
        calls.add_control(SERVICE, "Preflight", parsed(pb.PreflightRequest, preflight.answer))
        calls.add(SESSIONS, "OpenSession", parsed(pb.OpenSessionRequest, sessions.open))
        calls.add(SESSIONS, "StepSession", parsed(pb.StepSessionRequest, sessions.step))
        calls.add(SESSIONS, "CloseSession", parsed(pb.CloseSessionRequest, sessions.close))
        restore = Admin(self.catalog).restore_game
        calls.add_control(ADMIN, "RestoreGame", parsed(pb.RestoreGameRequest, restore))
        return calls

    def _capabilities(self, request: pb.EngineId) -> pb.Capabilities:
        return capabilities.to_message(self.catalog.get(request).spec)

    def _list_games(self, request: pb.ListGamesRequest) -> pb.ListGamesResponse:
        del request
        return pb.ListGamesResponse(
            games=[capabilities.to_message(game.spec) for game in self.catalog.games()],
            poisoned=[
                pb.RefusedGame(env_id=env_id, reason=reason)
                for env_id, reason in self.catalog.poisoned().items()
            ],
            broken=[
                pb.RefusedGame(env_id=env_id, reason=reason) for env_id, reason in registry.broken().items()
            ],
        )

    def _reset(self, request: pb.ResetRequest) -> pb.ResetResponse:
        game = self.catalog.get(request.id)
        limits.check_hint("hint", request.hint)
        with self.catalog.guard(game, "Reset"):
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
        state = one_row("state", request.state, spec.state_bytes)
        action = one_row("action", request.action, spec.action_bytes)
        with self.catalog.guard(game, "Step"), self._metrics.latency.labels(spec.env_id, "unary").time():
            mover = 0 if spec.agents else int(game.observe(state).players[0])
            outcome = game.step(state, action)
            rewards = _all_rewards(spec, mover, outcome.rewards)
            reward = rewards[mover]  # a mover who is not there is the game's fault
        self._metrics.steps.labels(spec.env_id).inc()
        truncated = bool(outcome.truncated[0])
        return pb.StepResponse(
            next_state=outcome.positions.states.tobytes(),
            obs=outcome.positions.obs.tobytes(),
            reward=reward,
            done=bool(outcome.terminated[0]) or truncated,
            info=int(outcome.info[0]),
            legal_mask=outcome.positions.legal_masks.tobytes(),
            truncated=truncated,
            player=int(outcome.positions.players[0]),
            rewards=rewards,
        )

    def _reset_batch(self, request: pb.ResetBatchRequest) -> pb.ResetBatchResponse:
        game = self.catalog.get(request.id)
        count = request.count
        limits.check_count(count, row_bytes(game.spec))
        limits.check_hint("hint", request.hint)
        seeds = seeds_of("seeds", request.seeds, count=count)
        self.rows.take(count, wait=False)
        try:
            with self.catalog.guard(game, "ResetBatch"):
                start = game.reset(seeds, request.hint)
        finally:
            self.rows.give(count)
        self._metrics.resets.labels(game.spec.env_id, "call").inc(count)
        return start_message(start)

    def _step_batch(self, message: bytes) -> bytes:
        stepper: Stepper | None = getattr(self._of_thread, "stepper", None)
        if stepper is None:
            stepper = self._of_thread.stepper = self._stepper("StepBatch")
        return bytes(stepper.answer(StepRequest.read(message, 0, len(message))))

    def _step_stream(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        answered = self._metrics.requests.labels("StepStream", "OK")
        with self.streams.opened(context) as stream:
            stepper = self._stepper("StepStream")
            while (message := stream.next_of(messages)) is not None:
                yield from self._stream_answers(stepper, message)
                answered.inc()

    def _stream_answers(self, stepper: Stepper, message: bytes) -> Iterator[bytes]:
        """Answers to one message, gathered; those before a refused batch come out before the refusal."""
        parts: list[memoryview] = []
        size = 0
        try:
            for start, stop in wire.stream_batches(message):
                request = StepRequest.read(message, start, stop)
                try:
                    answer = stepper.answer(request, turn=len(parts))
                except REFUSALS as error:
                    text = f"sequence {request.sequence}: {error}"
                    after_s = error.retry_after_s if isinstance(error, Refusal) else None
                    raise Refusal(status_of(error), text, retry_after_s=after_s) from error
                if parts and size + len(answer) > limits.MESSAGE_BYTES:
                    yield b"".join(parts)
                    parts, size = [], 0
                parts.append(answer)
                size += len(answer)
                if size >= limits.STREAM_FLUSH_BYTES:
                    yield b"".join(parts)
                    parts, size = [], 0
        except REFUSALS:
            if parts:
                yield b"".join(parts)
            raise
        if parts:
            yield b"".join(parts)

    def _stepper(self, call: str) -> Stepper:
        return Stepper(self.catalog, self.rows, self._metrics, call=call)


def _all_rewards(spec: GameSpec, mover: int, rewards: npt.NDArray[np.float32]) -> list[float]:
    """Rewards of one row by player: those of the agents, or the mover's and what the others lose by it."""
    if spec.agents:
        return [float(reward) for reward in rewards[0]]
    reward = float(rewards[0])
    others = -reward / (spec.players - 1) if spec.zero_sum and reward else 0.0
    return [reward if player == mover else others for player in range(spec.players)]
