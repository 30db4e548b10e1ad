"""Requests that no client would send, and some that it would.

Enters: games, a seed. Leaves: cases: a call, its request's bytes, whether they were mutated as bytes.
Invariant: one seed gives one sequence of cases, as long as the answers are the same.
"""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from bench.fuzz_oracle import OpenSession
from engine.stubs import engine_pb2 as pb
from games.batch import Positions
from games.contract import Game
from games.moves import random_actions

STREAM = "Engine/StepStream"
# How often each call is made; pictures and lists take long.
WEIGHTS = {
    "Engine/GetCapabilities": 4,
    "Engine/ListGames": 1,
    "Engine/Reset": 8,
    "Engine/Step": 12,
    "Engine/ResetBatch": 8,
    "Engine/StepBatch": 24,
    STREAM: 10,
    "Engine/Render": 2,
    "Engine/UpgradeStates": 6,
    "Engine/Visibility": 6,
    "Engine/Preflight": 5,
    "Sessions/OpenSession": 3,
    "Sessions/StepSession": 8,
    "Sessions/CloseSession": 2,
    "Admin/RestoreGame": 2,
}
_ROWS = 256  # positions of random play kept a game
_COUNTS = (1, 1, 1, 2, 3, 5, 8, 40)
_NUMBERS = (0, 1, 2, 3, 7, 65_535, 65_536, 65_537, 2**31 - 1, 2**31, 2**32 - 1)
_LARGE_NUMBERS = (2**32, 2**63 - 1, 2**63, 2**64 - 1)
# Some that a game understands, and some that none does.
_HINTS = (
    b"\1",
    b"\4\5",
    b"\0\1\2\3",
    struct.pack("<dd", 0.1, 0.2),
    b"7",
    b"4x4",
    struct.pack("<dd", 0.0, math.nan),
)
_NAMES = (
    "",
    "chess",
    "x" * 128,
    "x" * 129,
    "y" * 5000,
    "a\0b\nc",
    "\u1234\U0001f600",
    "TicTacToe",
    "tictactoe ",
)


@dataclass(frozen=True, slots=True)
class Case:
    """One request, or the messages of one stream."""

    path: str
    messages: tuple[bytes, ...]
    exact: bool  # not mutated as bytes


@dataclass(frozen=True, slots=True)
class _Pool:
    """Positions that random play meets, each with a legal action."""

    states: npt.NDArray[np.uint8]  # [_ROWS, S]
    actions: npt.NDArray[np.uint8]  # [_ROWS, A]
    ended: npt.NDArray[np.uint8]  # [few, S]


class Requests:
    """Draws cases.

    Args:
        games: by env_id.
        sessions: those that are open, by id; the caller keeps them.
        seed: of everything.
        paths: the calls to make.
    """

    def __init__(
        self,
        games: dict[str, Game],
        sessions: dict[str, OpenSession],
        *,
        seed: int,
        paths: tuple[str, ...] = tuple(WEIGHTS),
    ) -> None:
        self._games = games
        self._names = sorted(games)
        self._sessions = sessions
        self._random = random.Random(seed)
        self._paths = paths
        self._weights = [WEIGHTS[path] for path in paths]
        self._pools = {name: _pool(game, seed) for name, game in games.items()}

    def draw(self) -> Case:
        """The next case."""
        drawn = self._random
        path = drawn.choices(self._paths, self._weights)[0]
        if path == STREAM:
            return self._stream()
        kind = drawn.random()
        if kind < 0.05:
            return Case(path, (drawn.randbytes(drawn.randrange(60)),), exact=False)
        message = self._make(path)
        for _ in range(0 if kind < 0.35 else drawn.choice((1, 1, 1, 2))):
            self._mutate(message)
        data = message.SerializeToString()
        if kind < 0.75:
            return Case(path, (data,), exact=True)
        return Case(path, (self._scramble(data),), exact=False)

    def _stream(self) -> Case:
        drawn = self._random
        messages, exact = [], True
        for _ in range(drawn.randrange(1, 4)):
            batches = [self._make("Engine/StepBatch") for _ in range(drawn.randrange(4))]
            if batches and drawn.random() < 0.3:
                self._mutate(drawn.choice(batches))
            data = pb.StepStreamRequest(batches=batches).SerializeToString()
            if drawn.random() < 0.15:
                data, exact = self._scramble(data), False
            messages.append(data)
        return Case(STREAM, tuple(messages), exact)

    def _make(self, path: str) -> Any:
        """A request that is right, or nearly."""
        makers: dict[str, Callable[[], Message]] = {
            "Engine/GetCapabilities": self._id,
            "Engine/ListGames": pb.ListGamesRequest,
            "Engine/Reset": lambda: pb.ResetRequest(id=self._id(), seed=self._random.getrandbits(64)),
            "Engine/Step": self._step,
            "Engine/ResetBatch": self._reset_batch,
            "Engine/StepBatch": self._step_batch,
            "Engine/Render": self._render,
            "Engine/UpgradeStates": self._upgrade_states,
            "Engine/Visibility": self._visibility,
            "Engine/Preflight": lambda: pb.PreflightRequest(id=self._id(), count=self._count()),
            "Sessions/OpenSession": self._open_session,
            "Sessions/StepSession": self._step_session,
            "Sessions/CloseSession": lambda: pb.CloseSessionRequest(session_id=self._session_id()),
            "Admin/RestoreGame": lambda: pb.RestoreGameRequest(env_id=self._id().env_id),
        }
        return makers[path]()

    def _id(self, name: str = "") -> pb.EngineId:
        name = name or self._random.choice(self._names)
        build = self._games[name].spec.build_id if self._random.random() < 0.3 else ""
        return pb.EngineId(env_id=name, build_id=build)

    def _count(self) -> int:
        return self._random.choice(_COUNTS)

    def _drawn(self, name: str, count: int) -> tuple[bytes, bytes]:
        """States and actions of `count` rows."""
        pool = self._pools[name]
        rows = [self._random.randrange(_ROWS) for _ in range(count)]
        return pool.states[rows].tobytes(), pool.actions[rows].tobytes()

    def _seeds(self, count: int) -> bytes:
        return self._random.randbytes(8 * count)

    def _step(self) -> pb.StepRequest:
        engine_id = self._id()
        state, action = self._drawn(engine_id.env_id, 1)
        return pb.StepRequest(id=engine_id, state=state, action=action)

    def _reset_batch(self) -> pb.ResetBatchRequest:
        count = self._count()
        return pb.ResetBatchRequest(id=self._id(), count=count, seeds=self._seeds(count))

    def _step_batch(self) -> pb.StepBatchRequest:
        engine_id, count = self._id(), self._count()
        states, actions = self._drawn(engine_id.env_id, count)
        request = pb.StepBatchRequest(id=engine_id, count=count, states=states, actions=actions)
        request.sequence = self._random.getrandbits(64)
        if self._random.random() < 0.5:
            request.reset_seeds = self._seeds(count)
        if self._random.random() < 0.1:
            request.padding = bytes(self._random.randrange(9))
        return request

    def _render(self) -> pb.RenderRequest:
        engine_id = self._id()
        pool = self._pools[engine_id.env_id]
        state = self._random.choice((*pool.ended, *pool.states[:8])).tobytes()
        picture = self._random.choice((0, 1, 1, 1, 2, 2, 3))
        request = pb.RenderRequest(id=engine_id, state=state, format=picture, cell_px=4)  # type: ignore[arg-type]
        if self._random.random() < 0.3:
            request.viewpoint = self._random.randrange(3)
        return request

    def _upgrade_states(self) -> pb.UpgradeStatesRequest:
        engine_id, count = self._id(), self._count()
        spec = self._games[engine_id.env_id].spec
        encoding = self._random.choice((spec.encoding.state, *spec.decodes))
        states = self._drawn(engine_id.env_id, count)[0]
        return pb.UpgradeStatesRequest(id=engine_id, encoding=encoding, count=count, states=states)

    def _visibility(self) -> pb.VisibilityRequest:
        with_grid = [name for name in self._names if self._games[name].spec.grid]
        engine_id, count = self._id(self._random.choice(with_grid or self._names)), self._count()
        height, width = self._games[engine_id.env_id].spec.grid or (1, 1)
        cells = np.array([self._random.randrange(height * width) for _ in range(count)], "<u4")
        states = self._drawn(engine_id.env_id, count)[0]
        return pb.VisibilityRequest(id=engine_id, count=count, states=states, cells=cells.tobytes())

    def _open_session(self) -> pb.OpenSessionRequest:
        engine_id, count = self._id(), self._count()
        request = pb.OpenSessionRequest(id=engine_id, count=count)
        request.idle_timeout_ms = self._random.choice((0, 1000, 5000, 3_600_000))
        if self._random.random() < 0.5:
            request.seeds = self._seeds(count)
        else:
            request.states = self._drawn(engine_id.env_id, count)[0]
        return request

    def _step_session(self) -> pb.StepSessionRequest:
        name = self._session_id()
        session = self._sessions.get(name)
        if session is None:
            return pb.StepSessionRequest(session_id=name, sequence=1)
        if session.sequence and self._random.random() < 0.2:  # the last step again
            actions, seeds, hint = session.asked
            return pb.StepSessionRequest(
                session_id=name,
                sequence=session.sequence,
                actions=actions,
                reset_seeds=seeds,
                reset_hint=hint,
            )
        game, count = session.game, len(session.states)
        generator = np.random.default_rng(self._random.getrandbits(32))
        return pb.StepSessionRequest(
            session_id=name,
            sequence=session.sequence + 1,
            actions=random_actions(game, game.observe(session.states), generator).tobytes(),
            reset_seeds=self._seeds(count),
        )

    def _session_id(self) -> str:
        if not self._sessions or self._random.random() < 0.05:
            return self._random.choice(("", "0123abcd-0123456789abcdef", "nobody's", "z" * 3000))
        return self._random.choice(list(self._sessions))

    def _mutate(self, message: Any) -> None:
        """Give one field of the message, or of one within it, a value that is seldom there."""
        fields = message.DESCRIPTOR.fields
        if not fields:
            return
        chosen: FieldDescriptor = self._random.choice(fields)
        name, value = chosen.name, getattr(message, chosen.name)
        if chosen.type == FieldDescriptor.TYPE_MESSAGE:
            if self._random.random() < 0.1:
                message.ClearField(name)
            else:
                self._mutate(value)
        elif chosen.type == FieldDescriptor.TYPE_BYTES:
            setattr(message, name, self._other_bytes(value))
        elif chosen.type == FieldDescriptor.TYPE_STRING:
            setattr(message, name, self._random.choice((*_NAMES, *self._names, value + "x", value[:-1])))
        elif chosen.type == FieldDescriptor.TYPE_ENUM:
            setattr(message, name, self._random.choice((0, 1, 2, 3, 4, -1, 2**31 - 1)))
        else:
            large = _LARGE_NUMBERS if chosen.type == FieldDescriptor.TYPE_UINT64 else ()
            near = [near for near in (value - 1, value + 1) if 0 <= near < 2**32]
            setattr(message, name, self._random.choice((*_NUMBERS, *large, *near)))

    def _other_bytes(self, value: bytes) -> bytes:
        drawn = self._random
        size = len(value)
        kind = drawn.randrange(10)
        if kind == 0:
            return b""
        if kind == 1:
            return value[:-1]
        if kind == 2:
            return value + drawn.randbytes(drawn.choice((1, 7, 8, 4097)))
        if kind == 3:
            return drawn.randbytes(size)
        if kind == 4:
            return drawn.choice((b"\0", b"\xff", b"\x7f\x80")) * size
        if kind == 5:
            return drawn.randbytes(drawn.randrange(1, 30))
        if kind == 6:
            return drawn.choice(_HINTS)
        return _flipped(value, drawn, bits=drawn.choice((1, 1, 2, 8)))

    def _scramble(self, data: bytes) -> bytes:
        """Encoded bytes cut, stretched, doubled or flipped."""
        drawn = self._random
        at, size = drawn.randrange(len(data) + 1), len(data)
        kind = drawn.randrange(6)
        if kind == 0:
            return data[:at]
        if kind == 1:
            return data[:at] + drawn.randbytes(drawn.randrange(1, 9)) + data[at:]
        if kind == 2:
            return data[:at] + data[min(size, at + drawn.randrange(1, 9)) :]
        if kind == 3:
            return data + data[at:]
        if kind == 4 and size:
            return data[at:] + data[:at]
        return _flipped(data, drawn, bits=drawn.choice((1, 2, 4, 16)))


def _flipped(data: bytes, drawn: random.Random, *, bits: int) -> bytes:
    out = bytearray(data)
    for _ in range(bits if out else 0):
        out[drawn.randrange(len(out))] ^= 1 << drawn.randrange(8)
    return bytes(out)


def _pool(game: Game, seed: int) -> _Pool:
    generator = np.random.default_rng(seed)
    states, actions, ended = [], [], [game.reset(np.zeros(1, np.uint64)).states]
    position: Positions = game.reset(generator.integers(0, 2**63, 32).astype(np.uint64))
    for _ in range(200):
        chosen = random_actions(game, position, generator)
        states.append(position.states)
        actions.append(chosen)
        outcome = game.step(position.states, chosen)
        over = (outcome.terminated | outcome.truncated) == 1
        ended.append(outcome.positions.states[over][:1])
        position = game.observe(outcome.positions.states[~over])
        if not len(position):
            position = game.reset(generator.integers(0, 2**63, 32).astype(np.uint64))
    rows = generator.integers(0, sum(map(len, states)), _ROWS)
    return _Pool(np.concatenate(states)[rows], np.concatenate(actions)[rows], np.concatenate(ended)[:8])
