"""The game contract: a game's face over batches of fixed-size byte rows.

Enters: seeds, or states and actions, one row an environment. Leaves: successor positions, rewards, ends.
Invariant: a state row holds everything; the same (state, action) gives the same bytes on every machine, and a refused
batch changes nothing.

Behind a registry a game is erased to bytes (`Game`); inside its own folder it is typed (a numpy structured dtype and
numba kernels). The base class checks dtype, shape and layout once, so that kernels can trust their arrays.

    >>> from games import registry
    >>> game = registry.get("tictactoe")
    >>> start = game.reset(np.zeros(2, np.uint64))
    >>> after = game.step(start.states, encode_discrete(np.array([4, 0])))
    >>> after.positions.players.tolist()
    [1, 1]
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from games.batch import U8, U32, U64, Outcomes, Positions, check_column
from games.encodings import decode_actions, decode_discrete, encode_actions, encode_discrete
from games.errors import BadBatch, BadEncoding, BadPicture, NotOffered
from games.render.plan import RenderPlan, RenderSpec, text_plan
from games.spec import ActionSpace, AgentSpec, Box, Discrete, Encoding, GameSpec, MultiDiscrete

__all__ = [
    "ActionSpace",
    "AgentSpec",
    "Box",
    "Discrete",
    "Encoding",
    "Game",
    "GameSpec",
    "MultiDiscrete",
    "Outcomes",
    "Positions",
    "decode_actions",
    "decode_discrete",
    "encode_actions",
    "encode_discrete",
]


class Game(ABC):
    """A game over batches. N rows a call, N >= 0; every array C-contiguous, of native byte order.

    Subclasses give `spec` and the four underscored methods; the public ones check every array first. With `out=` the
    result is written to the caller's buffers and nothing is allocated; after an error their content is undefined.
    `out` must not overlap the input.
    """

    @property
    @abstractmethod
    def spec(self) -> GameSpec:
        """What this game is."""

    def reset(
        self, seeds: npt.NDArray[np.uint64], hint: bytes = b"", *, out: Positions | None = None
    ) -> Positions:
        """Start an episode in every row.

        Args:
            seeds: u64[N], all the randomness of each row's episode.
            hint: the game's own words about how to start; empty for the usual start.
            out: buffers of N rows.

        Returns:
            The first positions.

        Raises:
            BadBatch: an array is not as said above.
            BadHint: the game does not understand the hint.
        """
        check_column("seeds", seeds, U64, (len(seeds),))
        out = self._positions(out, len(seeds))
        self._reset(seeds, hint, out)
        return out

    def step(
        self, states: npt.NDArray[np.uint8], actions: npt.NDArray[np.uint8], *, out: Outcomes | None = None
    ) -> Outcomes:
        """Play one action in every row.

        Args:
            states: u8[N, S], positions whose episode goes on.
            actions: u8[N, A], one legal action a row.
            out: buffers of N rows.

        Returns:
            Successor positions, rewards to the player who moved, ends, and the game's own info bits.

        Raises:
            BadBatch: an array is not as said above.
            BadState: a state is impossible, or its episode has ended; names the first such row.
            IllegalAction: an action is not legal in its state; names the first such row.
        """
        spec = self.spec
        check_column("states", states, U8, (len(states), spec.state_bytes))
        check_column("actions", actions, U8, (len(states), spec.action_bytes))
        out = self._outcomes(out, len(states))
        self._step(states, actions, out)
        return out

    def observe(self, states: npt.NDArray[np.uint8], *, out: Positions | None = None) -> Positions:
        """Everything that the states imply: observations, legal masks, players to move.

        Args:
            states: u8[N, S]; ended episodes are allowed, their mask is 0.
            out: buffers of N rows; `out.states` gets a copy of `states`.

        Raises:
            BadBatch: an array is not as said above.
            BadState: a state is impossible; names the first such row.
        """
        check_column("states", states, U8, (len(states), self.spec.state_bytes))
        out = self._positions(out, len(states))
        self._observe(states, out)
        return out

    def upgrade_states(self, encoding: str, states: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """States of an older encoding as states of the current one.

        Args:
            encoding: one of `spec.decodes`, or the current one.
            states: u8[N, size of that encoding's states].

        Returns:
            u8[N, S], checked as every state is.

        Raises:
            BadEncoding: this game never had that encoding, or does not understand it any more.
            BadBatch: rows are of another size.
            BadState: a state is impossible; names the first such row.
        """
        spec = self.spec
        if encoding == spec.encoding.state:
            return self.observe(states).states
        if encoding not in spec.decodes:
            known = ", ".join((spec.encoding.state, *spec.decodes))
            raise BadEncoding(f"state encoding {encoding!r}: {spec.env_id} understands {known}")
        upgraded = self._upgrade_states(encoding, states)
        return self.observe(upgraded).states

    def visible(self, states: npt.NDArray[np.uint8], cells: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint64]:
        """Which cells of the grid can be seen from one cell, in every row.

        Args:
            states: u8[N, S].
            cells: u32[N], row-major index of the cell from which is looked.

        Returns:
            u64[N, ceil(height * width / 64)]: bit (c % 64) of word c // 64 says that cell c is seen. Symmetric: cell a
            sees cell b exactly if b sees a.

        Raises:
            NotOffered: the game has no grid.
            BadBatch: an array is not as said above, or a cell is outside the grid.
            BadState: a state is impossible; names the first such row.
        """
        spec = self.spec
        if spec.grid is None:
            raise NotOffered(
                f"env_id {spec.env_id!r}: has no lines of sight; ask a game whose capabilities say grid"
            )
        check_column("states", states, U8, (len(states), spec.state_bytes))
        check_column("cells", cells, U32, (len(states),))
        height, width = spec.grid
        beyond = np.flatnonzero(cells >= height * width)
        if len(beyond):
            row = int(beyond[0])
            raise BadBatch(f"cells[{row}] = {int(cells[row])}: the grid has {height} x {width} cells, from 0")
        self.observe(states)  # refuses impossible states
        return self._visible(states, cells)

    def plan(self, state: bytes, spec: RenderSpec | None = None) -> RenderPlan:
        """A picture of one state as drawing commands; `games.render` makes text, SVG and PNG of it.

        Args:
            state: S bytes.
            spec: how it is wanted; None for the usual way.

        Raises:
            BadPicture: the viewpoint is nobody's.
            BadBatch: the state is of another size.
            BadState: the state is impossible.
        """
        spec = spec or RenderSpec()
        players = self.spec.players
        if spec.viewpoint is not None and spec.viewpoint >= players:
            raise BadPicture(
                f"RenderSpec.viewpoint = {spec.viewpoint}: {self.spec.env_id} has 0 to {players - 1}"
            )
        self.observe(np.frombuffer(state, np.uint8).reshape(1, -1))  # refuses impossible states
        return self._plan(state, spec)

    def warm(self) -> None:
        """Compile (or load from the disk cache) every kernel, so that the first real call is as fast as the rest."""
        start = self.reset(np.zeros(1, np.uint64))
        self.observe(start.states)
        # No row: compiles the kernel without having to know a legal action.
        self.step(start.states[:0], np.empty((0, self.spec.action_bytes), np.uint8))

    def _upgrade_states(self, encoding: str, states: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """`upgrade_states` from one of `spec.decodes`; a game that names any gives this method."""
        raise NotImplementedError(f"{type(self).__name__} names {encoding} in decodes and does not decode it")

    def _visible(
        self, states: npt.NDArray[np.uint8], cells: npt.NDArray[np.uint32]
    ) -> npt.NDArray[np.uint64]:
        """`visible` on checked arrays; a game that has a grid gives this method."""
        raise NotImplementedError(f"{type(self).__name__} has a grid and no lines of sight")

    def _plan(self, state: bytes, spec: RenderSpec) -> RenderPlan:
        """`plan` of a state that can be; here the lines of `render_text`, a game may draw better."""
        return text_plan(self.render_text(state), spec)

    @abstractmethod
    def render_text(self, state: bytes) -> str:
        """The board of one state of S bytes, in several lines without a trailing newline. Raises BadState."""

    @abstractmethod
    def action_text(self, action: bytes) -> str:
        """One action of A bytes in players' words, e.g. "b2"; of several agents a word each, with a space between.

        Raises:
            BadBatch: the action is of another size.
            IllegalAction: it is outside the action space.
        """

    @abstractmethod
    def parse_action(self, text: str) -> bytes:
        """The inverse of `action_text`, for people; raises BadActionText with the forms that are understood."""

    @abstractmethod
    def _reset(self, seeds: npt.NDArray[np.uint64], hint: bytes, out: Positions) -> None:
        """`reset` on checked arrays."""

    @abstractmethod
    def _step(self, states: npt.NDArray[np.uint8], actions: npt.NDArray[np.uint8], out: Outcomes) -> None:
        """`step` on checked arrays."""

    @abstractmethod
    def _observe(self, states: npt.NDArray[np.uint8], out: Positions) -> None:
        """`observe` on checked arrays."""

    def _positions(self, out: Positions | None, rows: int) -> Positions:
        if out is None:
            return Positions.empty(self.spec, rows)
        out.check(self.spec, rows)
        return out

    def _outcomes(self, out: Outcomes | None, rows: int) -> Outcomes:
        if out is None:
            return Outcomes.empty(self.spec, rows)
        out.check(self.spec, rows)
        return out
