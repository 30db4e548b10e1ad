"""Where an adapter's games come from: an engine over gRPC, or the games of this process.

Enters: seeds, or states and actions, one row an environment. Leaves: positions, or what a step led to.
Invariant: the same rows give the same answers from either source, so every adapter is written once.

    >>> from games.contract import encode_discrete
    >>> with open_source("tictactoe") as source:
    ...     start = source.reset(np.zeros(2, np.uint64))
    ...     reply = source.step(start.states, encode_discrete(np.array([4, 0])))
    >>> reply.players.tolist()
    [1, 1]
"""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from engine.autoreset import AutoReset
from engine.client import EngineClient
from engine.response import StepReply
from games import registry
from games.batch import U64, Outcomes, Positions, check_column
from games.contract import Game
from games.render.png import png
from games.spec import GameSpec

U8 = npt.NDArray[np.uint8]
Seeds = npt.NDArray[np.uint64]


class Source(Protocol):
    """Calls of one game. Use it in a `with`, or close it."""

    spec: GameSpec

    def reset(self, seeds: Seeds, hint: bytes = b"") -> Positions:
        """Start an episode a seed, u64[N]."""

    def step(
        self, states: U8, actions: U8, reset_seeds: Seeds | None = None, *, hint: bytes = b""
    ) -> StepReply:
        """One step in each of N episodes; see `engine.stream.StepStream.send`.

        `hint` is the reset hint of rows that begin anew. What came back from the step before the last one is no longer
        valid afterwards.
        """

    def render(self, state: bytes) -> str:
        """One state of S bytes in text."""

    def picture(self, state: bytes) -> bytes:
        """One state of S bytes as a PNG file."""

    def close(self) -> None:
        """Let go of what this source holds; it may be called twice."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_source(env_id: str, address: str | None = None) -> Source:
    """The game of that name, of the engine at `address` (host:port), or of this process.

    Raises:
        games.errors.UnknownGame: this process has no such game.
        EngineRefused, EngineUnavailable: as `EngineClient.capabilities`.
    """
    return LocalSource(registry.get(env_id)) if address is None else RemoteSource(env_id, address)


class _Closing:
    """`with` for what has `close`."""

    def close(self) -> None:
        """Nothing to let go of."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class LocalSource(_Closing):
    """A game of this process. Two sets of buffers take turns, so that a step may read what the last one wrote."""

    def __init__(self, game: Game) -> None:
        self.spec = game.spec
        self._game = game
        self._auto_reset = AutoReset(game)
        self._rows = 0
        self._now = _Buffers(game.spec, 0)
        self._next = _Buffers(game.spec, 0)

    def reset(self, seeds: Seeds, hint: bytes = b"") -> Positions:
        """Start an episode a seed; the positions are the caller's own."""
        return self._game.reset(seeds, hint)

    def step(
        self, states: U8, actions: U8, reset_seeds: Seeds | None = None, *, hint: bytes = b""
    ) -> StepReply:
        """One step in each of N episodes."""
        rows = len(states)
        if rows > self._rows:
            self._rows = rows
            self._now, self._next = _Buffers(self.spec, rows), _Buffers(self.spec, rows)
        outcomes = self._next.first(rows)
        self._game.step(states, actions, out=outcomes)
        final = self._now.nothing
        if reset_seeds is not None:
            check_column("reset_seeds", reset_seeds, U64, (rows,))
            final = self._auto_reset.apply(outcomes, reset_seeds, hint)
        self._now, self._next = self._next, self._now
        return _reply(outcomes, final)

    def render(self, state: bytes) -> str:
        """One state in text."""
        return self._game.render_text(state)

    def picture(self, state: bytes) -> bytes:
        """One state as a PNG file."""
        return png(self._game.plan(state))


class RemoteSource(_Closing):
    """A game of the engine at an address, over one connection."""

    def __init__(self, env_id: str, address: str) -> None:
        self._client = EngineClient(address)
        try:
            self.spec = self._client.capabilities(env_id)
        except BaseException:
            self._client.close()
            raise

    def reset(self, seeds: Seeds, hint: bytes = b"") -> Positions:
        """Start an episode a seed; the positions are read-only."""
        return self._client.reset_batch(self.spec.env_id, seeds, hint)

    def step(
        self, states: U8, actions: U8, reset_seeds: Seeds | None = None, *, hint: bytes = b""
    ) -> StepReply:
        """One step in each of N episodes."""
        hint = hint if reset_seeds is not None else b""
        return self._client.step_batch(
            self.spec.env_id, states, actions, reset_seeds=reset_seeds, reset_hint=hint
        )

    def render(self, state: bytes) -> str:
        """One state in text."""
        return self._client.render(self.spec.env_id, state)

    def picture(self, state: bytes) -> bytes:
        """One state as a PNG file."""
        return self._client.picture(self.spec.env_id, state, png=True)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


class _Buffers:
    """Outcomes of as many rows as were ever asked for; fewer are the first ones of them."""

    def __init__(self, spec: GameSpec, rows: int) -> None:
        self._whole = self._cut = Outcomes.empty(spec, rows)
        self.nothing = Positions.empty(spec, 0)

    def first(self, rows: int) -> Outcomes:
        """The first so many rows, as views."""
        if rows != len(self._cut):
            whole, to = self._whole, self._whole.positions
            self._cut = Outcomes(
                positions=Positions(
                    states=to.states[:rows],
                    obs=to.obs[:rows],
                    legal_masks=to.legal_masks[:rows],
                    players=to.players[:rows],
                ),
                rewards=whole.rewards[:rows],
                terminated=whole.terminated[:rows],
                truncated=whole.truncated[:rows],
                info=whole.info[:rows],
            )
        return self._cut


def _reply(outcomes: Outcomes, final: Positions) -> StepReply:
    to = outcomes.positions
    return StepReply(
        sequence=0,
        states=to.states,
        obs=to.obs,
        rewards=outcomes.rewards,
        terminated=outcomes.terminated,
        truncated=outcomes.truncated,
        legal_masks=to.legal_masks,
        players=to.players,
        info=outcomes.info,
        final_states=final.states,
        final_obs=final.obs,
        final_legal_masks=final.legal_masks,
        final_players=final.players,
    )
