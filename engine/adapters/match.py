"""One episode of a game whose agents have names: what PettingZoo's two kinds of environment have in common.

Enters: seeds, an encoded action. Leaves: the position, and what the last step led to. Invariant: a seed decides all
the episodes that follow it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.error import ResetNeeded

from engine.adapters.picture import Picture
from engine.adapters.seeds import Streams, fresh_seeds, seeds_of
from engine.adapters.source import Source
from engine.adapters.spaces import hint_bytes
from engine.response import StepReply
from games.batch import Positions


class Match:
    """Belongs to one environment.

    Args:
        source: of the game; closed with the match.
        hint: the reset hint of every episode.
        render_mode: as `Picture` has it.
    """

    def __init__(self, source: Source, hint: bytes | str, render_mode: str | None) -> None:
        self.spec = source.spec
        self.picture = Picture(source, render_mode)
        self._position: Positions | None = None
        self._source = source
        self._hint = hint_bytes(hint)
        self._streams: Streams | None = None

    @property
    def position(self) -> Positions:
        """Where the game stands.

        Raises:
            ResetNeeded: no episode has begun.
        """
        if self._position is None:
            raise ResetNeeded(f"env_id {self.spec.env_id!r}: no episode has begun; reset first")
        return self._position

    @property
    def state(self) -> bytes:
        """The position's state bytes; raises as `position`."""
        return bytes(self.position.states[0])

    def restart(self, seed: int | None, options: Mapping[str, Any] | None) -> None:
        """Begin an episode: with a seed the first of its stream, without one the next of the stream.

        Args:
            seed: 0 or more, or None.
            options: `hint`, bytes or text, is the reset hint from now on; others are passed over.

        Raises:
            ValueError: the seed is negative.
            BadHint, or EngineRefused from an engine: the hint makes no sense.
        """
        hint = (options or {}).get("hint")
        hint = self._hint if hint is None else hint_bytes(hint)
        if seed is not None:
            streams = Streams(seeds_of(seed, 1)[0])
        elif self._streams is None:
            streams = Streams(fresh_seeds(np.random.default_rng(), 1))
        else:
            streams = self._streams.copy()
        self._position = self._source.reset(streams.draw(np.zeros(1, np.intp)), hint)
        self._streams, self._hint = streams, hint

    def step(self, encoded: npt.NDArray[np.uint8]) -> StepReply:
        """One step, u8[1, A]; raises what the source raises."""
        reply = self._source.step(self.position.states, encoded)
        self._position = reply.positions
        return reply

    def close(self) -> None:
        """Let go of the source."""
        self._source.close()
