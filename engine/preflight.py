"""Whether a batch would be taken now.

Enters: a game and a row count. Leaves: yes, or the refusal that the batch would get; and how busy the engine is.
Invariant: nothing is waited for and no place is taken.
"""

from __future__ import annotations

import math

import grpc

from engine import limits
from engine.admission import CallPool, Rows
from engine.calls import REFUSALS, line_of, status_of
from engine.catalog import Catalog
from engine.errors import Refusal
from engine.layout import row_bytes
from engine.sessions import Sessions
from engine.streams import OpenStreams
from engine.stubs import engine_pb2 as pb


class Preflight:
    """Answers the call Preflight."""

    def __init__(
        self, catalog: Catalog, calls: CallPool, rows: Rows, *, streams: OpenStreams, sessions: Sessions
    ) -> None:
        self._catalog = catalog
        self._calls = calls
        self._rows = rows
        self._streams = streams
        self._sessions = sessions

    def answer(self, request: pb.PreflightRequest) -> pb.PreflightResponse:
        """Looks, and says what was seen."""
        response = pb.PreflightResponse(
            accepted=True,
            queue_depth=self._calls.waiting,
            queue_capacity=self._calls.capacity,
            requests_in_flight=self._calls.running,
            rows_in_flight=self._rows.in_flight,
            row_capacity=self._rows.capacity,
            streams=self._streams.count,
            stream_capacity=self._streams.capacity,
            sessions=self._sessions.count,
            session_capacity=self._sessions.capacity,
        )
        try:
            self._check(request)
        except REFUSALS as error:
            status: grpc.StatusCode = status_of(error)
            response.accepted = False
            response.status = status.value[0]
            response.reason = line_of(error)
            if isinstance(error, Refusal) and error.retry_after_s is not None:
                response.retry_after_ms = math.ceil(1000 * error.retry_after_s)
        return response

    def _check(self, request: pb.PreflightRequest) -> None:
        """Raises what a StepBatch of so many rows would be refused with."""
        game = self._catalog.get(request.id)
        limits.check_count(request.count, row_bytes(game.spec))
        if self._calls.full:
            raise self._calls.refusal()
        refusal = self._rows.refusal(request.count)
        if refusal is not None:
            raise refusal
