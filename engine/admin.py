"""What the operator of an engine asks of it.

Enters: requests of the service Admin. Leaves: what was done. Invariant: asking twice does no harm.
"""

from __future__ import annotations

from engine.catalog import Catalog
from engine.stubs import engine_pb2 as pb


class Admin:
    """Answers the calls of the service Admin."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def restore_game(self, request: pb.RestoreGameRequest) -> pb.RestoreGameResponse:
        """Offers a poisoned game again. Raises Refusal NOT_FOUND for a name that is no game's."""
        game = self._catalog.find(request.env_id)
        return pb.RestoreGameResponse(reason=self._catalog.restore(game.spec.env_id))
