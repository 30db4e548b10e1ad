"""The engine's client, for actors and for people.

Enters: numpy columns. Leaves: numpy columns, or EngineUnavailable / EngineRefused.
Invariant: a client holds no state of any game; after EngineUnavailable the same call may be made again.

    >>> with EngineClient("127.0.0.1:50051") as engine:
    ...     start = engine.reset_batch("tictactoe", np.arange(1024, dtype=np.uint64))
    ...     with engine.open_stream("tictactoe") as stream:
    ...         stream.send(start.states, actions, reset_seeds)
    ...         reply = stream.receive()
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

import grpc
import numpy as np
import numpy.typing as npt
from google.protobuf.message import Message

from engine import capabilities, limits
from engine.errors import EngineRefused, EngineUnavailable, WireError, from_rpc
from engine.request import check_step, engine_id_bytes, step_request_bytes
from engine.response import ReplyReader, StepReply, read_start
from engine.session import Session
from engine.stream import MAX_IN_FLIGHT, StepStream
from engine.stubs import engine_pb2 as pb
from games.batch import U32, U64, Positions, check_column
from games.spec import GameSpec

__all__ = ["EngineClient", "EngineRefused", "EngineUnavailable", "Session", "StepReply", "StepStream"]

_Request = TypeVar("_Request", bound=Message)
_Response = TypeVar("_Response", bound=Message)

_PATH = "/cartridge.engine.v1."


class EngineClient:
    """Calls one engine. Thread-safe; a stream belongs to one thread.

    Args:
        address: host:port.
        timeout_s: seconds that any one answer may take. A call waits that long for an engine that is not there yet.
    """

    def __init__(self, address: str, timeout_s: float = 10.0) -> None:
        if timeout_s <= 0:
            raise ValueError(f"timeout_s = {timeout_s}: give more than 0 seconds")
        self.address = address
        self.timeout_s = timeout_s
        self._channel = grpc.insecure_channel(address, options=limits.CHANNEL_OPTIONS)
        self._specs: dict[str, GameSpec] = {}
        self._callables: dict[str, grpc.UnaryUnaryMultiCallable[bytes, bytes]] = {}

    def close(self) -> None:
        """Close the connection; open streams end with EngineUnavailable."""
        self._channel.close()

    def __enter__(self) -> EngineClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def list_games(self) -> list[GameSpec]:
        """Every game of the engine, sorted by env_id; also those that are poisoned."""
        answer = self._call("ListGames", pb.ListGamesRequest(), pb.ListGamesResponse)
        return [capabilities.from_message(game) for game in answer.games]

    def refused_games(self) -> dict[str, str]:
        """Games that broke their contract and plugins that are broken: why, by name."""
        answer = self._call("ListGames", pb.ListGamesRequest(), pb.ListGamesResponse)
        return {game.env_id: game.reason for game in (*answer.broken, *answer.poisoned)}

    def restore_game(self, env_id: str) -> str:
        """Have a poisoned game offered again. Returns why it was refused, empty if it was not."""
        request = pb.RestoreGameRequest(env_id=env_id)
        return self._call("RestoreGame", request, pb.RestoreGameResponse, service="Admin").reason

    def preflight(self, env_id: str, count: int) -> pb.PreflightResponse:
        """Whether a batch of `count` rows would be taken now, and how busy the engine is."""
        request = pb.PreflightRequest(id=pb.EngineId(env_id=env_id), count=count)
        return self._call("Preflight", request, pb.PreflightResponse)

    def capabilities(self, env_id: str) -> GameSpec:
        """A game's spec; asked once, then remembered.

        Raises:
            EngineRefused: NOT_FOUND, naming the games that there are.
        """
        spec = self._specs.get(env_id)
        if spec is None:
            answer = self._call("GetCapabilities", pb.EngineId(env_id=env_id), pb.Capabilities)
            spec = self._specs[env_id] = capabilities.from_message(answer)
        return spec

    def reset_batch(self, env_id: str, seeds: npt.NDArray[np.uint64], hint: bytes = b"") -> Positions:
        """Start an episode a seed.

        Args:
            env_id: the game.
            seeds: u64[N], all the randomness of each row's episode.
            hint: the game's own words about how to start.

        Returns:
            The first positions, read-only.
        """
        spec = self.capabilities(env_id)
        count = len(seeds)
        check_column("seeds", seeds, U64, (count,))
        request = pb.ResetBatchRequest(
            id=pb.EngineId(env_id=env_id, build_id=spec.build_id),
            count=count,
            seeds=seeds.tobytes(),
            hint=hint,
        )
        return read_start(spec, self._call("ResetBatch", request, pb.ResetBatchResponse))

    def step_batch(
        self,
        env_id: str,
        states: npt.NDArray[np.uint8],
        actions: npt.NDArray[np.uint8],
        *,
        reset_seeds: npt.NDArray[np.uint64] | None = None,
        reset_hint: bytes = b"",
    ) -> StepReply:
        """One step in each of N episodes; see `StepStream.send` for the arguments, `StepReply` for the answer."""
        spec = self.capabilities(env_id)
        check_step(spec, states, actions, reset_seeds)
        request = step_request_bytes(
            engine_id_bytes(env_id, spec.build_id),
            states,
            actions,
            reset_seeds=reset_seeds,
            reset_hint=reset_hint,
        )
        answer = self._call_bytes("Engine/StepBatch", request)
        try:
            return ReplyReader(spec).read(answer, 0, len(answer))
        except WireError as error:
            raise EngineRefused(grpc.StatusCode.INTERNAL, str(error)) from error

    def render(self, env_id: str, state: bytes) -> str:
        """A state of S bytes in text, several lines without a trailing newline."""
        request = pb.RenderRequest(id=pb.EngineId(env_id=env_id), state=state)
        return self._call("Render", request, pb.RenderResponse).text

    def picture(
        self, env_id: str, state: bytes, *, png: bool = False, cell_px: int = 0, viewpoint: int | None = None
    ) -> bytes:
        """A picture of a state of S bytes: an SVG document, or a PNG file.

        Args:
            env_id: the game.
            state: S bytes.
            png: a PNG file instead of SVG.
            cell_px: pixels of a cell's side, 4 to 256; 0 for the usual ones.
            viewpoint: the player or agent whose sight it shows; None for all that there is.
        """
        request = pb.RenderRequest(
            id=pb.EngineId(env_id=env_id),
            state=state,
            format=pb.RENDER_FORMAT_PNG if png else pb.RENDER_FORMAT_SVG,
            cell_px=cell_px,
            viewpoint=viewpoint,
        )
        return self._call("Render", request, pb.RenderResponse).image

    def upgrade_states(
        self, env_id: str, encoding: str, states: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.uint8]:
        """States u8[N, size] of an older encoding as u8[N, S] of the current one, read-only."""
        spec = self.capabilities(env_id)
        count = len(states)
        request = pb.UpgradeStatesRequest(
            id=pb.EngineId(env_id=env_id), encoding=encoding, count=count, states=states.tobytes()
        )
        answer = self._call("UpgradeStates", request, pb.UpgradeStatesResponse)
        return np.frombuffer(answer.states, np.uint8).reshape(count, spec.state_bytes)

    def visible(
        self, env_id: str, states: npt.NDArray[np.uint8], cells: npt.NDArray[np.uint32]
    ) -> npt.NDArray[np.uint64]:
        """Which cells are seen from one cell in every row; see `games.contract.Game.visible`.

        Args:
            env_id: a game with a grid.
            states: u8[N, S].
            cells: u32[N], row-major.

        Returns:
            u64[N, ceil(height * width / 64)], read-only.
        """
        count = len(states)
        check_column("cells", cells, U32, (count,))
        request = pb.VisibilityRequest(
            id=pb.EngineId(env_id=env_id), count=count, states=states.tobytes(), cells=cells.tobytes()
        )
        answer = self._call("Visibility", request, pb.VisibilityResponse)
        return np.frombuffer(answer.visible, np.uint64).reshape(count, -1)

    def open_session(
        self,
        env_id: str,
        seeds: npt.NDArray[np.uint64] | None = None,
        *,
        hint: bytes = b"",
        states: npt.NDArray[np.uint8] | None = None,
        idle_timeout_s: float = 0.0,
    ) -> Session:
        """Episodes whose states the engine holds; use it in a `with`.

        Args:
            env_id: the game.
            seeds: u64[N], one an episode.
            hint: how the episodes start.
            states: u8[N, S], where to go on instead of seeds.
            idle_timeout_s: without a call for so long, the engine may close the session; 0 for its own choice.
        """
        spec = self.capabilities(env_id)
        return Session.opened(
            spec, self._call_bytes, seeds=seeds, hint=hint, states=states, idle_timeout_s=idle_timeout_s
        )

    def open_stream(self, env_id: str, *, max_in_flight: int = MAX_IN_FLIGHT) -> StepStream:
        """A pipelined stream of step batches; use it in a `with`.

        Args:
            env_id: the game.
            max_in_flight: most batches sent and not yet received.

        Raises:
            EngineUnavailable, EngineRefused: as `capabilities`.
        """
        spec = self.capabilities(env_id)
        call = self._channel.stream_stream(_PATH + "Engine/StepStream", None, None)
        return StepStream(
            call, spec, address=self.address, timeout_s=self.timeout_s, max_in_flight=max_in_flight
        )

    def unary(
        self, method: str, request: type[_Request], response: type[_Response], *, service: str = "Engine"
    ) -> Callable[[_Request], _Response]:
        """Any one-answer call of the proto, e.g. unary("Step", pb.StepRequest, pb.StepResponse)."""
        del request  # says the type only

        def call(message: _Request) -> _Response:
            return self._call(method, message, response, service=service)

        return call

    def _call(
        self, method: str, request: Message, kind: type[_Response], *, service: str = "Engine"
    ) -> _Response:
        return kind.FromString(self._call_bytes(f"{service}/{method}", request.SerializeToString()))

    def _call_bytes(self, path: str, request: bytes, timeout_s: float | None = None) -> bytes:
        """The encoded answer to a call; `path` is Service/Method."""
        timeout_s = self.timeout_s if timeout_s is None else timeout_s
        call = self._callables.get(path)
        if call is None:
            call = self._callables[path] = self._channel.unary_unary(_PATH + path, None, None)
        try:
            answer: bytes = call(request, timeout=timeout_s, wait_for_ready=True)
        except grpc.RpcError as error:
            raise from_rpc(error, address=self.address, timeout_s=timeout_s) from error
        return answer
