"""One batch of steps: from a request's bytes to its answer's.

Enters: a StepRequest, or a checked batch. Leaves: the encoded StepBatchResponse. Invariant: a batch is answered
whole or refused whole; what is kept for the next batch is bounded.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine import limits
from engine.admission import Rows
from engine.autoreset import AutoReset
from engine.catalog import Catalog
from engine.layout import row_bytes
from engine.metrics import EngineMetrics
from engine.request import StepRequest
from engine.response import ResponseSlot
from games.batch import Outcomes, Positions
from games.contract import Game

# Memory that a stepper keeps: for answers of sizes seen before, and for auto-resets of the game it has now and of
# others. A stream's answers under way fill a small part of it.
KEPT_BYTES = 32 * 2**20
_OTHERS_BYTES = 2**20
_SLOT_BYTES = 4096  # what a slot takes beside its memory, for arrays that are views of it


@dataclass(frozen=True, slots=True)
class Batch:
    """What a batch of steps is made of, checked."""

    states: npt.NDArray[np.uint8]  # [N, S]
    actions: npt.NDArray[np.uint8]  # [N, A]
    reset_seeds: npt.NDArray[np.uint64] | None  # [N]
    reset_hint: bytes


class Stepper:
    """Answers step requests; holds scratch memory, so one a thread.

    Args:
        catalog: the games.
        rows: room for the rows of a batch.
        metrics: of the engine.
        call: StepBatch, StepStream or StepSession; a stream waits for room, the others are refused.
    """

    def __init__(self, catalog: Catalog, rows: Rows, metrics: EngineMetrics, *, call: str) -> None:
        self._catalog = catalog
        self._rows = rows
        self._metrics = metrics
        self._call = call
        self._in_stream = call != "StepBatch"  # a session's answer is framed as a stream's
        self._waits = call == "StepStream"
        self._tools: dict[str, _GameTools] = {}
        self._last: _GameTools | None = None
        self._kept_bytes = 0

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
        began_s = time.perf_counter()
        game = self._catalog.get_encoded(request.engine_id)
        tools = self._tools_of(game)
        limits.check_count(request.count, tools.row_bytes)
        states, actions = request.columns(game.spec)
        seeds = request.seeds()
        limits.check_reset_hint(request.reset_hint, resets=seeds is not None)
        batch = Batch(states, actions, seeds, request.reset_hint)
        answer, _ = self._take(tools, batch, sequence=request.sequence, turn=turn)
        tools.latency.observe(time.perf_counter() - began_s)
        return answer

    def take(self, game: Game, batch: Batch, *, sequence: int) -> tuple[memoryview, Positions]:
        """The same for a batch that is checked already: the encoded answer, and where the rows stand now, both valid
        until the next batch. Raises as `answer`."""
        began_s = time.perf_counter()
        self._catalog.check(game)
        tools = self._tools_of(game)
        answer, outcomes = self._take(tools, batch, sequence=sequence, turn=0)
        tools.latency.observe(time.perf_counter() - began_s)
        return answer, outcomes.positions

    def _take(
        self, tools: _GameTools, batch: Batch, *, sequence: int, turn: int
    ) -> tuple[memoryview, Outcomes]:
        count, game = len(batch.states), tools.game
        self._rows.take(count, wait=self._waits)
        try:
            slot = self._slot(tools, count, turn)
            final = tools.nothing
            try:  # not `guard`, which would take as long as the checks of a batch
                game.step(batch.states, batch.actions, out=slot.outcomes)
                if batch.reset_seeds is not None:
                    final = tools.auto_reset.apply(slot.outcomes, batch.reset_seeds, batch.reset_hint)
            except Exception as error:
                raise self._catalog.verdict(game, error, self._call) from error
            answer = slot.finish(sequence=sequence, final=final, in_stream=self._in_stream)
        finally:
            self._rows.give(count)
        tools.auto_reset.trim(KEPT_BYTES)
        tools.steps.inc(count)
        if len(final):
            tools.resets.inc(len(final))
        return answer, slot.outcomes

    def _tools_of(self, game: Game) -> _GameTools:
        tools = self._tools.get(game.spec.env_id)
        if tools is None:
            tools = self._tools[game.spec.env_id] = _GameTools(game, self._metrics, self._call)
        if tools is not self._last:
            if self._last is not None:
                self._last.auto_reset.trim(_OTHERS_BYTES)
            self._last = tools
        return tools

    def _slot(self, tools: _GameTools, count: int, turn: int) -> ResponseSlot:
        slot = tools.slots.get((count, turn))
        if slot is None:
            slot = ResponseSlot(tools.game.spec, count)
            nbytes = slot.nbytes + _SLOT_BYTES
            if self._kept_bytes + nbytes > KEPT_BYTES:
                # Answers that are being held keep their own memory alive.
                for others in self._tools.values():
                    others.slots.clear()
                self._kept_bytes = 0
            if nbytes <= KEPT_BYTES:
                self._kept_bytes += nbytes
                tools.slots[count, turn] = slot
        return slot


class _GameTools:
    """What a stepper keeps for a game."""

    def __init__(self, game: Game, metrics: EngineMetrics, call: str) -> None:
        spec = game.spec
        kind = {"StepBatch": "batch", "StepStream": "stream", "StepSession": "session"}[call]
        self.game = game
        self.slots: dict[tuple[int, int], ResponseSlot] = {}
        self.row_bytes = row_bytes(spec)
        self.auto_reset = AutoReset(game)
        self.nothing = Positions.empty(spec, 0)
        self.steps = metrics.steps.labels(spec.env_id)
        self.resets = metrics.resets.labels(spec.env_id, "auto")
        self.latency = metrics.latency.labels(spec.env_id, kind)
