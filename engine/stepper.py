"""One batch of steps: from a request's bytes to its answer's.

Enters: a StepRequest. Leaves: the encoded StepBatchResponse. Invariant: a batch is answered whole or refused whole.
"""

from __future__ import annotations

import time

from engine import limits
from engine.autoreset import AutoReset
from engine.catalog import Catalog
from engine.layout import row_bytes
from engine.metrics import EngineMetrics
from engine.request import StepRequest
from engine.response import ResponseSlot
from games.contract import Game, Positions

# Memory kept for answers of sizes seen before, a stepper.
_KEPT_BYTES = limits.MESSAGE_BYTES


class Stepper:
    """Answers step requests; holds scratch memory, so one a thread."""

    def __init__(self, catalog: Catalog, metrics: EngineMetrics, *, call: str) -> None:
        self._catalog = catalog
        self._metrics = metrics
        self._call = call
        self._tools: dict[str, _GameTools] = {}

    def answer(self, request: StepRequest, *, turn: int = 0) -> memoryview:
        """Take the steps.

        Args:
            request: one batch.
            turn: answers of different turns may be held at the same time; the next answer of a turn overwrites it.

        Returns:
            The encoded answer; in a stream, with the head that makes it a part of a StepStreamResponse.

        Raises:
            Refusal, WireError, games.errors.GameError: the batch is refused.
        """
        began = time.perf_counter()
        game = self._catalog.get_encoded(request.engine_id)
        tools = self._tools.get(game.spec.env_id)
        if tools is None:
            tools = self._tools[game.spec.env_id] = _GameTools(game, self._metrics, self._call)
        limits.check_count(request.count, tools.row_bytes)
        states, actions = request.columns(game.spec)
        seeds = request.seeds()
        slot = tools.slot(request.count, turn)
        final = tools.nothing
        try:  # not `guard`, which would take as long as the checks of a batch
            game.step(states, actions, out=slot.outcomes)
            if seeds is not None:
                final = tools.auto_reset.apply(slot.outcomes, seeds)
        except Exception as error:
            raise self._catalog.verdict(game, error) from error
        answer = slot.finish(
            sequence=request.sequence,
            final=final,
            in_stream=self._call == "stream",
        )
        tools.steps.inc(request.count)
        if len(final):
            tools.resets.inc(len(final))
        tools.latency.observe(time.perf_counter() - began)
        return answer


class _GameTools:
    """What a stepper keeps for a game."""

    def __init__(self, game: Game, metrics: EngineMetrics, call: str) -> None:
        spec = game.spec
        self._spec = spec
        self._slots: dict[tuple[int, int], ResponseSlot] = {}
        self._kept_bytes = 0
        self.row_bytes = row_bytes(spec)
        self.auto_reset = AutoReset(game)
        self.nothing = Positions.empty(spec, 0)
        self.steps = metrics.steps.labels(spec.env_id)
        self.resets = metrics.resets.labels(spec.env_id, "auto")
        self.latency = metrics.latency.labels(spec.env_id, call)

    def slot(self, count: int, turn: int) -> ResponseSlot:
        slot = self._slots.get((count, turn))
        if slot is None:
            slot = ResponseSlot(self._spec, count)
            if self._kept_bytes + slot.nbytes > _KEPT_BYTES:
                # Answers that are being held keep their own memory alive.
                self._slots.clear()
                self._kept_bytes = 0
            self._kept_bytes += slot.nbytes
            self._slots[count, turn] = slot
        return slot
