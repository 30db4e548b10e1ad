"""What can be asked about states without playing: how they look, what they see, what they are in today's encoding.

Enters: requests with states. Leaves: text, pictures, words of visible cells, upgraded states, or a refusal.
Invariant: nothing is played and nothing is kept; every size is checked before a game sees it.
"""

from __future__ import annotations

import threading
from typing import Any

import grpc
import numpy as np

from engine import limits
from engine.admission import Rows
from engine.catalog import Catalog
from engine.columns import cells_of, one_row, rows_of
from engine.errors import Refusal, WireError
from engine.layout import row_bytes
from engine.stubs import engine_pb2 as pb
from games.errors import NotOffered
from games.render.plan import RenderSpec
from games.render.png import png
from games.render.svg import svg

_RETRY_S = 1.0  # for a picture


class Inspection:
    """Answers Render, UpgradeStates and Visibility."""

    def __init__(self, catalog: Catalog, rows: Rows) -> None:
        self._catalog = catalog
        self._rows = rows
        self._pictures = threading.BoundedSemaphore(limits.MAX_PICTURES)

    def render(self, request: pb.RenderRequest) -> pb.RenderResponse:
        """One state in text, or a picture of it.

        Raises:
            Refusal: INVALID_ARGUMENT for the format, RESOURCE_EXHAUSTED while as many pictures as may be are drawn.
            WireError, games.errors.GameError: the game, its state or the wishes are refused.
        """
        game = self._catalog.get(request.id)
        one_row("state", request.state, game.spec.state_bytes)
        if request.format in (pb.RENDER_FORMAT_UNSPECIFIED, pb.RENDER_FORMAT_TEXT):
            with self._catalog.guard(game, "Render"):
                return pb.RenderResponse(text=game.render_text(request.state))
        if request.format not in (pb.RENDER_FORMAT_SVG, pb.RENDER_FORMAT_PNG):
            raise Refusal(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"format = {request.format}: there are 1 (text), 2 (SVG) and 3 (PNG)",
            )
        spec = RenderSpec(
            cell_px=request.cell_px or RenderSpec().cell_px,
            viewpoint=request.viewpoint if request.HasField("viewpoint") else None,
        )
        if not self._pictures.acquire(blocking=False):
            raise Refusal(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"pictures = {limits.MAX_PICTURES}: as many as may be drawn at once; try again in {_RETRY_S:.0f} s",
                retry_after_s=_RETRY_S,
            )
        try:
            with self._catalog.guard(game, "Render"):
                plan = game.plan(request.state, spec)
                image = svg(plan).encode() if request.format == pb.RENDER_FORMAT_SVG else png(plan)
        finally:
            self._pictures.release()
        return pb.RenderResponse(image=image)

    def upgrade_states(self, request: pb.UpgradeStatesRequest) -> pb.UpgradeStatesResponse:
        """States of an older encoding in the current one."""
        game = self._catalog.get(request.id)
        if len(request.encoding) > limits.MAX_NAME:
            raise Refusal(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"encoding: {len(request.encoding)} characters is over the limit of {limits.MAX_NAME}",
            )
        count = request.count
        limits.check_count(count, row_bytes(game.spec))
        width, rest = divmod(len(request.states), count)
        if rest or not width:
            raise WireError(
                f"states: {len(request.states)} bytes are not {count} rows of one size; give count rows"
            )
        states = rows_of("states", request.states, count=count, size=width)
        self._rows.take(count, wait=False)
        try:
            with self._catalog.guard(game, "UpgradeStates"):
                upgraded = game.upgrade_states(request.encoding, states)
        finally:
            self._rows.give(count)
        return pb.UpgradeStatesResponse(count=count, states=upgraded.tobytes())

    def visibility(self, request: pb.VisibilityRequest) -> pb.VisibilityResponse:
        """Lines of sight from one cell of every row."""
        game = self._catalog.get(request.id)
        spec, count = game.spec, request.count
        if spec.grid is None:
            raise NotOffered(
                f"env_id {spec.env_id!r}: has no lines of sight; ask a game whose capabilities say grid"
            )
        height, width = spec.grid
        # `visible` observes the states as well, so the room that this takes counts too.
        limits.check_count(count, max(8 * -(-height * width // 64), row_bytes(spec)))
        states = rows_of("states", request.states, count=count, size=spec.state_bytes)
        cells = cells_of("cells", request.cells, count=count)
        self._rows.take(count, wait=False)
        try:
            with self._catalog.guard(game, "Visibility"):
                seen = game.visible(states, cells)
                _check_rows("visible", seen, np.uint64, (count, -(-height * width // 64)))
        finally:
            self._rows.give(count)
        return pb.VisibilityResponse(count=count, visible=seen.tobytes(), height=height, width=width)


def _check_rows(method: str, rows: Any, kind: type[np.generic], shape: tuple[int, int]) -> None:
    """Raises TypeError where a game's method gave something else than it must."""
    got = (getattr(rows, "dtype", type(rows).__name__), getattr(rows, "shape", ()))
    if got != (np.dtype(kind), shape):
        raise TypeError(f"{method} gave {got[0]}{got[1]}, not {np.dtype(kind)}{shape}")
