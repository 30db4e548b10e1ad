"""Which statuses a request may end with.

Enters: a call's name and its request's bytes. Leaves: the statuses that are right, and what an answer must say.
Invariant: nothing here is the service's own code: bytes are read by the generated classes, sizes are computed from the
spec, and whether states, actions and hints make sense is asked of the game itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError, Message

from engine import limits
from engine.stubs import engine_pb2 as pb
from games.contract import Game
from games.errors import GameError, NotOffered
from games.render.plan import RenderSpec
from games.render.png import png

OK, INVALID, MISSING = "OK", "INVALID_ARGUMENT", "NOT_FOUND"
PRECONDITION, EXHAUSTED, NOT_THERE = "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED"

# The request of each call of one answer, by its path.
KINDS: dict[str, type[Message]] = {
    "Engine/GetCapabilities": pb.EngineId,
    "Engine/ListGames": pb.ListGamesRequest,
    "Engine/Reset": pb.ResetRequest,
    "Engine/Step": pb.StepRequest,
    "Engine/ResetBatch": pb.ResetBatchRequest,
    "Engine/StepBatch": pb.StepBatchRequest,
    "Engine/Render": pb.RenderRequest,
    "Engine/UpgradeStates": pb.UpgradeStatesRequest,
    "Engine/Visibility": pb.VisibilityRequest,
    "Engine/Preflight": pb.PreflightRequest,
    "Sessions/OpenSession": pb.OpenSessionRequest,
    "Sessions/StepSession": pb.StepSessionRequest,
    "Sessions/CloseSession": pb.CloseSessionRequest,
    "Admin/RestoreGame": pb.RestoreGameRequest,
}
# These are read by hand in the engine: what protobuf passes over, such as a known field of another type, it may refuse.
BY_HAND = ("Engine/StepBatch",)
_OVERHEAD_BYTES = 4096 + 4096  # of a session


@dataclass
class OpenSession:
    """What a session should be."""

    game: Game
    states: npt.NDArray[np.uint8]  # [N, S]
    timeout_s: float
    nbytes: int
    used_s: float
    sequence: int = 0
    asked: tuple[bytes, bytes, bytes] = (b"", b"", b"")


@dataclass
class Oracle:
    """Knows the games, and the sessions that should be open. Its clock is the engine's."""

    games: dict[str, Game]
    clock: Callable[[], float]
    sessions: dict[str, OpenSession] = field(default_factory=dict)

    def statuses(self, path: str, data: bytes) -> set[str]:
        """The right statuses of a call of one answer."""
        request = KINDS[path]()
        try:
            request.ParseFromString(data)
        except DecodeError:
            return {INVALID}
        right = self.of_message(path, request)
        if path in BY_HAND:
            request.DiscardUnknownFields()
            # Written anew it is the same where nothing is passed over.
            if request.SerializeToString() != data:
                right = right | {INVALID}
        return right

    def of_message(self, path: str, request: Any) -> set[str]:
        """The same for a parsed request."""
        answer: set[str] = getattr(self, "_" + path.partition("/")[2].lower())(request)
        return answer

    def expire(self) -> None:
        """Forget the sessions that the engine must have closed."""
        now_s = self.clock()
        for name in [
            name for name, session in self.sessions.items() if now_s - session.used_s > session.timeout_s
        ]:
            del self.sessions[name]

    def _id(self, env_id: str, build_id: str = "") -> tuple[Game | None, set[str]]:
        if not env_id or len(env_id) > limits.MAX_NAME:
            return None, {INVALID}
        game = self.games.get(env_id)
        if game is None:
            return None, {MISSING}
        if len(build_id) > limits.MAX_NAME:
            return None, {INVALID}
        if build_id not in ("", game.spec.build_id):
            return None, {PRECONDITION}
        return game, set()

    def _getcapabilities(self, request: pb.EngineId) -> set[str]:
        return self._id(request.env_id, request.build_id)[1] or {OK}

    def _listgames(self, request: pb.ListGamesRequest) -> set[str]:
        del request
        return {OK}

    def _restoregame(self, request: pb.RestoreGameRequest) -> set[str]:
        return self._id(request.env_id)[1] or {OK}

    def _preflight(self, request: pb.PreflightRequest) -> set[str]:
        del request
        return {OK}

    def _reset(self, request: pb.ResetRequest) -> set[str]:
        game, wrong = self._id(request.id.env_id, request.id.build_id)
        if game is None:
            return wrong
        seeds = np.array([request.seed], np.uint64)
        return _hint(request.hint) or _asked(lambda: game.reset(seeds, request.hint))

    def _step(self, request: pb.StepRequest) -> set[str]:
        game, wrong = self._id(request.id.env_id, request.id.build_id)
        if game is None:
            return wrong
        spec = game.spec
        wrong = _size(request.state, spec.state_bytes) | _size(request.action, spec.action_bytes)
        return wrong or _asked(lambda: game.step(_rows(request.state, 1), _rows(request.action, 1)))

    def _render(self, request: pb.RenderRequest) -> set[str]:
        game, wrong = self._id(request.id.env_id, request.id.build_id)
        if game is None:
            return wrong
        wrong = _size(request.state, game.spec.state_bytes)
        if wrong or request.format > 3 or request.format < 0:
            return {INVALID}
        if request.format < 2:
            return _asked(lambda: game.render_text(request.state))
        viewpoint = request.viewpoint if request.HasField("viewpoint") else None

        def picture() -> None:
            plan = game.plan(request.state, RenderSpec(request.cell_px or 48, viewpoint))
            if request.format == pb.RENDER_FORMAT_PNG:
                png(plan)

        return _asked(picture)

    def _resetbatch(self, request: pb.ResetBatchRequest) -> set[str]:
        game, wrong = self._id(request.id.env_id, request.id.build_id)
        if game is None:
            return wrong
        wrong = _count(game, request.count) | _size(request.seeds, 8 * request.count) | _hint(request.hint)
        return wrong or _asked(lambda: game.reset(np.frombuffer(request.seeds, "<u8").copy(), request.hint))

    def _stepbatch(self, request: pb.StepBatchRequest) -> set[str]:
        game, wrong = self._id(request.id.env_id, request.id.build_id)
        if game is None:
            return wrong
        count, spec = request.count, game.spec
        wrong = _count(game, count) | _size(request.states, count * spec.state_bytes)
        wrong |= _size(request.actions, count * spec.action_bytes)
        wrong |= _resets(count, request.reset_seeds, request.reset_hint)
        if wrong:
            return wrong
        states, actions = _rows(request.states, count), _rows(request.actions, count)
        return _asked(lambda: _steps(game, states, actions, request.reset_hint))

    def _upgradestates(self, request: pb.UpgradeStatesRequest) -> set[str]:
        game, wrong = self._id(request.id.env_id, request.id.build_id)
        if game is None:
            return wrong
        count = request.count
        wrong = _count(game, count)
        if len(request.encoding) > limits.MAX_NAME:
            wrong |= {INVALID}
        if wrong or not request.states or len(request.states) % count:
            return wrong | {INVALID}
        return _asked(lambda: game.upgrade_states(request.encoding, _rows(request.states, count)))

    def _visibility(self, request: pb.VisibilityRequest) -> set[str]:
        game, wrong = self._id(request.id.env_id, request.id.build_id)
        if game is None:
            return wrong
        if game.spec.grid is None:
            return {NOT_THERE}
        count = request.count
        wrong = _count(game, count) | _size(request.states, count * game.spec.state_bytes)
        wrong |= _size(request.cells, 4 * count)
        cells = np.frombuffer(request.cells[: 4 * count], "<u4") if not wrong else np.empty(0, np.uint32)
        return wrong or _asked(lambda: game.visible(_rows(request.states, count), cells))

    def _opensession(self, request: pb.OpenSessionRequest) -> set[str]:
        game, wrong = self._id(request.id.env_id, request.id.build_id)
        if game is None:
            return wrong
        count, spec = request.count, game.spec
        wrong = _count(game, count) | _hint(request.hint)
        timeout = request.idle_timeout_ms
        if timeout and not limits.MIN_IDLE_TIMEOUT_MS <= timeout <= limits.MAX_IDLE_TIMEOUT_MS:
            wrong |= {INVALID}
        if request.states:
            if request.seeds or request.hint or len(request.states) != count * spec.state_bytes:
                wrong |= {INVALID}
        else:
            wrong |= _size(request.seeds, 8 * count)
        self.expire()
        held = sum(session.nbytes for session in self.sessions.values())
        if (
            len(self.sessions) >= limits.MAX_SESSIONS
            or held + session_bytes(game, count) > limits.SESSION_BYTES
        ):
            wrong |= {EXHAUSTED}
        if wrong:
            return wrong
        if request.states:
            return _asked(lambda: game.observe(_rows(request.states, count)))
        return _asked(lambda: game.reset(np.frombuffer(request.seeds, "<u8").copy(), request.hint))

    def _stepsession(self, request: pb.StepSessionRequest) -> set[str]:
        session = self._session(request.session_id)
        if session is None:
            return {MISSING}
        asked = (request.actions, request.reset_seeds, request.reset_hint)
        if request.sequence == session.sequence and session.sequence:
            return {OK} if asked == session.asked else {PRECONDITION}
        if request.sequence != session.sequence + 1:
            return {PRECONDITION}
        game, count = session.game, len(session.states)
        wrong = _size(request.actions, count * game.spec.action_bytes)
        wrong |= _resets(count, request.reset_seeds, request.reset_hint)
        if wrong:
            return wrong
        actions = _rows(request.actions, count)
        return _asked(lambda: _steps(game, session.states, actions, request.reset_hint))

    def _closesession(self, request: pb.CloseSessionRequest) -> set[str]:
        return {OK} if self._session(request.session_id) else {MISSING}

    def _session(self, name: str) -> OpenSession | None:
        self.expire()
        session = self.sessions.get(name)
        if session is not None:
            session.used_s = self.clock()
        return session


def row_bytes(game: Game) -> int:
    """Bytes a row of a step's answer, when every row has ended and was reset."""
    spec = game.spec
    position = spec.state_bytes + 4 * spec.obs_size + 8 * spec.mask_words + 1
    return 2 * position + 4 * spec.reward_width + 8 + 2


def session_bytes(game: Game, count: int) -> int:
    """What a session sets aside."""
    return _OVERHEAD_BYTES + count * (row_bytes(game) + game.spec.state_bytes + game.spec.action_bytes + 8)


def _count(game: Game, count: int) -> set[str]:
    if count < 1:
        return {INVALID}
    too_many = count > limits.MAX_COUNT or count * row_bytes(game) > limits.MESSAGE_BYTES
    return {EXHAUSTED} if too_many else set()


def _size(data: bytes, size: int) -> set[str]:
    return set() if len(data) == size else {INVALID}


def _hint(hint: bytes) -> set[str]:
    return {EXHAUSTED} if len(hint) > limits.HINT_BYTES else set()


def _resets(count: int, seeds: bytes, hint: bytes) -> set[str]:
    wrong = _size(seeds, 8 * count) if seeds else set()
    return wrong | _hint(hint) | ({INVALID} if hint and not seeds else set())


def _rows(data: bytes, count: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8).reshape(count, -1)


def _steps(game: Game, states: npt.NDArray[np.uint8], actions: npt.NDArray[np.uint8], hint: bytes) -> None:
    game.step(states, actions)
    if hint:
        game.reset(np.empty(0, np.uint64), hint)


def _asked(call: Callable[[], object]) -> set[str]:
    """What the game says."""
    try:
        call()
    except NotOffered:
        return {NOT_THERE}
    except GameError:
        return {INVALID}
    return {OK}
