"""The games that this engine offers.

Enters: an EngineId. Leaves: the game, or a Refusal. Invariant: a game whose kernel broke its own contract stays refused
until `restore`, and the others go on.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from google.protobuf.message import DecodeError

from cartridge import logs
from engine.errors import Refusal, WireError
from engine.metrics import EngineMetrics
from engine.stubs import engine_pb2 as pb
from games import registry
from games.contract import Game
from games.errors import GameError, UnknownGame

_log = logs.get("engine.catalog")


class Catalog:
    """Games by id; thread-safe."""

    def __init__(self, metrics: EngineMetrics) -> None:
        self._metrics = metrics
        self._lock = threading.Lock()
        self._poisoned: dict[str, str] = {}
        self._by_bytes: dict[bytes, Game] = {}

    def games(self) -> list[Game]:
        """Every game, sorted by env_id."""
        return [registry.get(env_id) for env_id in registry.names()]

    def get(self, engine_id: pb.EngineId) -> Game:
        """The game of that id.

        Raises:
            Refusal: NOT_FOUND for the name, FAILED_PRECONDITION for the build or a poisoned game.
        """
        if not engine_id.env_id:
            raise Refusal(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"id.env_id = '': name a game; there are: {', '.join(registry.names())}",
            )
        try:
            game = registry.get(engine_id.env_id)
        except UnknownGame as error:
            raise Refusal(grpc.StatusCode.NOT_FOUND, str(error)) from error
        if engine_id.build_id not in ("", game.spec.build_id):
            raise Refusal(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"id.build_id = {engine_id.build_id!r}: this engine has build {game.spec.build_id!r} of "
                f"{engine_id.env_id}; use its states, or an engine of that build",
            )
        self._check_poison(engine_id.env_id)
        return game

    def get_encoded(self, engine_id: bytes) -> Game:
        """The same for an encoded EngineId; a dictionary look-up for ids seen before.

        Raises:
            Refusal: as `get`.
            WireError: the bytes are not an EngineId.
        """
        game = self._by_bytes.get(engine_id)
        if game is not None:
            if self._poisoned:
                self._check_poison(game.spec.env_id)
            return game
        try:
            game = self.get(pb.EngineId.FromString(engine_id))
        except DecodeError as error:
            raise WireError("id: is not an EngineId; send a protobuf message") from error
        if len(self._by_bytes) < _MOST_SPELLINGS:
            self._by_bytes[engine_id] = game
        return game

    @contextmanager
    def guard(self, game: Game) -> Iterator[None]:
        """Around a call of the game: what is not a refusal of its input poisons it.

        Raises:
            GameError: the game refused its input.
            Refusal: FAILED_PRECONDITION, the kernel broke its own contract.
        """
        try:
            yield
        except Exception as error:
            raise self.verdict(game, error) from error

    def verdict(self, game: Game, error: Exception) -> Exception:
        """What a call of the game that raised `error` shall raise: the error itself if the game refused its input, else
        the game is poisoned and this is its refusal."""
        if isinstance(error, (GameError, Refusal, MemoryError)):  # memory is the process's trouble
            return error
        env_id = game.spec.env_id
        with self._lock:
            self._poisoned.setdefault(env_id, f"{type(error).__name__}: {error}".splitlines()[0])
        self._metrics.poisoned.labels(env_id).set(1)
        _log.error("game_poisoned", game=env_id, exc_info=True)
        return self._refusal(env_id)

    def restore(self, env_id: str) -> None:
        """Offer a poisoned game again."""
        with self._lock:
            self._poisoned.pop(env_id, None)
        self._metrics.poisoned.labels(env_id).set(0)

    def _check_poison(self, env_id: str) -> None:
        if env_id in self._poisoned:
            raise self._refusal(env_id)

    def _refusal(self, env_id: str) -> Refusal:
        return Refusal(
            grpc.StatusCode.FAILED_PRECONDITION,
            f"env_id {env_id!r}: its kernel failed ({self._poisoned[env_id]}); restart the engine and report this",
        )


# The same id may be encoded in several ways; a client that makes up ever more of them fills no memory.
_MOST_SPELLINGS = 256
