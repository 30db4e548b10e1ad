"""The games that this engine offers.

Enters: an EngineId. Leaves: the game, or a Refusal. Invariant: a game whose kernel broke its own contract stays refused
until `restore`, and the others go on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import grpc
from google.protobuf.message import DecodeError

from cartridge import logs
from engine import limits
from engine.errors import Refusal, WireError
from engine.metrics import EngineMetrics
from engine.stubs import engine_pb2 as pb
from games import registry
from games.contract import Game
from games.errors import BrokenPlugin, GameError, UnknownGame

# The same id may be encoded in several ways; a client that makes up ever more of them, or longer ones, fills no memory.
_MOST_SPELLINGS = 256
_LONGEST_SPELLING = 2 * limits.MAX_NAME
_MOST_REASON = 200  # characters of what a kernel raised

_log = logs.get("engine.catalog")


class Catalog:
    """Games by id; thread-safe.

    Args:
        metrics: of the engine.
        on_change: called with env_id and whether the game is offered, each time that this changes, in order and under
            the catalog's lock: it may not ask the catalog.
    """

    def __init__(self, metrics: EngineMetrics, on_change: Callable[[str, bool], None] | None = None) -> None:
        self._metrics = metrics
        self._on_change = on_change
        self._lock = threading.Lock()
        self._poisoned: dict[str, str] = {}
        self._by_bytes: dict[bytes, Game] = {}

    def games(self) -> list[Game]:
        """Every game, sorted by env_id."""
        return [registry.get(env_id) for env_id in registry.names()]

    def poisoned(self) -> dict[str, str]:
        """Why each poisoned game is refused, sorted by env_id."""
        with self._lock:
            return dict(sorted(self._poisoned.items()))

    def get(self, engine_id: pb.EngineId) -> Game:
        """The game of that id.

        Raises:
            Refusal: INVALID_ARGUMENT for no name, or a name or build over the limit, NOT_FOUND for one that is not
                there, FAILED_PRECONDITION for the build, a broken plugin or a poisoned game.
        """
        game = self.find(engine_id.env_id)
        if len(engine_id.build_id) > limits.MAX_NAME:
            raise Refusal(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"id.build_id = {_short(engine_id.build_id)}: {len(engine_id.build_id)} characters is over the "
                f"limit of {limits.MAX_NAME}",
            )
        if engine_id.build_id not in ("", game.spec.build_id):
            raise Refusal(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"id.build_id = {_short(engine_id.build_id)}: this engine has build {game.spec.build_id!r} of "
                f"{game.spec.env_id}; use its states, or an engine of that build",
            )
        self.check(game)
        return game

    def find(self, env_id: str) -> Game:
        """The game of that name, poisoned or not. Raises Refusal as `get`."""
        if not env_id:
            raise Refusal(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"id.env_id = '': name a game; there are: {', '.join(registry.names())}",
            )
        if len(env_id) > limits.MAX_NAME:
            raise Refusal(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"id.env_id = {_short(env_id)}: {len(env_id)} characters is over the limit of {limits.MAX_NAME}",
            )
        try:
            return registry.get(env_id)
        except UnknownGame as error:
            raise Refusal(grpc.StatusCode.NOT_FOUND, str(error)) from error
        except BrokenPlugin as error:
            raise Refusal(grpc.StatusCode.FAILED_PRECONDITION, str(error)) from error

    def get_encoded(self, engine_id: bytes) -> Game:
        """The same as `get` for an encoded EngineId; a dictionary look-up for ids seen before.

        Raises:
            Refusal: as `get`.
            WireError: the bytes are not an EngineId.
        """
        game = self._by_bytes.get(engine_id)
        if game is not None:
            self.check(game)
            return game
        try:
            game = self.get(pb.EngineId.FromString(engine_id))
        except DecodeError as error:
            raise WireError("id: is not an EngineId; send a protobuf message") from error
        if len(self._by_bytes) < _MOST_SPELLINGS and len(engine_id) <= _LONGEST_SPELLING:
            self._by_bytes[engine_id] = game
        return game

    def check(self, game: Game) -> None:
        """Raises Refusal FAILED_PRECONDITION for a poisoned game."""
        if self._poisoned:
            reason = self._poisoned.get(game.spec.env_id)
            if reason is not None:
                raise _refusal(game.spec.env_id, reason)

    @contextmanager
    def guard(self, game: Game, call: str) -> Iterator[None]:
        """Around the part of `call` that the game does: what is not a refusal of its input poisons it.

        Raises:
            GameError: the game refused its input.
            Refusal: FAILED_PRECONDITION, the kernel broke its own contract.
        """
        try:
            yield
        except Exception as error:
            raise self.verdict(game, error, call) from error

    def verdict(self, game: Game, error: Exception, call: str) -> Exception:
        """What `call` shall raise when the game raised `error`: the error itself if the game refused its input, else
        the game is poisoned and this is its refusal."""
        if isinstance(error, (GameError, Refusal, MemoryError)):  # memory is the process's trouble
            return error
        env_id = game.spec.env_id
        what = " ".join(str(error).split())[:_MOST_REASON]
        with self._lock:
            first = env_id not in self._poisoned
            reason = self._poisoned.setdefault(env_id, f"{type(error).__name__}: {what}, in {call}")
            if first:  # under the lock, so that the last to change is the last to tell
                self._metrics.poisoned.labels(env_id).set(1)
                self._metrics.poisonings.labels(env_id).inc()
                self._tell(env_id, offered=False)
        _log.error("game_poisoned", game=env_id, call=call, exc_info=True)
        return _refusal(env_id, reason)

    def restore(self, env_id: str) -> str:
        """Offer a poisoned game again. Returns why it was refused, empty if it was not."""
        with self._lock:
            reason = self._poisoned.pop(env_id, "")
            self._metrics.poisoned.labels(env_id).set(0)
            if reason:
                self._metrics.restores.labels(env_id).inc()
                self._tell(env_id, offered=True)
        if reason:
            _log.info("game_restored", game=env_id, reason=reason)
        return reason

    def _tell(self, env_id: str, *, offered: bool) -> None:
        if self._on_change is not None:
            self._on_change(env_id, offered)


def _refusal(env_id: str, reason: str) -> Refusal:
    return Refusal(
        grpc.StatusCode.FAILED_PRECONDITION,
        f"env_id {env_id!r}: its kernel failed ({reason}); report this, and restart the engine or call "
        "Admin.RestoreGame",
    )


def _short(text: str) -> str:
    """A name as it can be shown in a line, whatever a client made it."""
    return repr(text[:40]) + ("..." if len(text) > 40 else "")
