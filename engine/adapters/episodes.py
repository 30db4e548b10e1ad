"""N episodes of one game from one seat: the part that Gymnasium's Env and VectorEnv have in common.

Enters: seeds, and an action a row. Leaves: rewards and ends of the step as the seat's player has them, where the rows
stand now, and the last positions of the episodes that ended. Invariant: whenever a row is looked at, its episode has
ended or its player is to move; after an error nothing has changed, so the same call may be made again.

The other players' moves are made within the step that comes before them, and their rewards count against the seat's
player where the game is zero-sum: a loss by the opponent's move is the reward of the step that allowed it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode

from engine.adapters.seat import ILLEGAL_REWARD, Seat, check_seat, random_opponent
from engine.adapters.seeds import Streams
from engine.adapters.source import Source
from engine.adapters.spaces import ActionCoder, illegal_rows, masked_actions
from engine.response import StepReply
from games.batch import Positions, unpack_masks
from games.errors import BadState, IllegalAction, NotOffered
from games.spec import GameSpec

U8 = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

_MOST_STARTS = 1000  # episodes in a row that may end before the seat's player had a turn


@dataclass(frozen=True, slots=True)
class Steps:
    """What a step of N rows led to. The final positions are valid until the next step."""

    rewards: npt.NDArray[np.float64]  # [N]
    terminated: Flags  # [N], by the rules or by an illegal action
    truncated: Flags  # [N], by the horizon
    ended: Rows  # [E], ascending, the rows whose episode has ended
    final: Positions  # [E], their last positions
    illegal: Flags  # [E], whether it was an illegal action that ended it


@dataclass(slots=True)
class _Table:
    """Everything that changes. What may fail works on a copy and puts it in place at the end."""

    positions: Positions
    players: U8  # [N], the seat's player in this episode
    over: Flags  # [N], the episode has ended and no other has begun
    streams: Streams

    def copy(self) -> _Table:
        at = self.positions
        positions = Positions(
            at.states.copy(), at.obs.copy(), at.legal_masks.copy(), at.players.copy()
        )  # sources give views of messages and of buffers
        return _Table(positions, self.players.copy(), self.over.copy(), self.streams.copy())


class _Tally:
    """What the moves of one step add up to."""

    def __init__(self, rows: int) -> None:
        self.rewards = np.zeros(rows, np.float64)
        self.terminated = np.zeros(rows, np.bool_)
        self.truncated = np.zeros(rows, np.bool_)

    def add(self, rows: Rows, reply: StepReply, share: float) -> None:
        self.rewards[rows] += share * reply.rewards
        self.terminated[rows] = reply.terminated
        self.truncated[rows] = reply.truncated

    @property
    def ended(self) -> Flags:
        return self.terminated | self.truncated


class Episodes:
    """N rows; `restart` them before the first step.

    Args:
        source: of the game.
        rows: N.
        seat: whose eyes it is seen through.
        mode: SAME_STEP: a row whose episode ends begins the next one in the same step. NEXT_STEP: in the step after,
            whose action it ignores. DISABLED: it has to be restarted.

    Raises:
        ValueError: the seat or the number of rows makes no sense.
    """

    def __init__(self, source: Source, rows: int, seat: Seat, mode: AutoresetMode) -> None:
        if rows < 1:
            raise ValueError(f"num_envs = {rows}: give at least 1")
        self.spec = spec = source.spec
        check_seat(spec, seat)
        self.rows = rows
        self.seat = seat
        self._source = source
        self._mode = mode
        self._coder = ActionCoder(spec)
        self.actions = masked_actions(spec)
        self._opponent = seat.opponent or random_opponent
        self._others_share = -1.0 / (spec.players - 1) if spec.zero_sum else 0.0
        self._calm = np.zeros(rows, np.bool_)
        self._no_rows = np.empty(0, np.intp)
        self._nothing = Positions.empty(spec, 0)
        self._begun = False
        self._table = _Table(
            positions=_blank(spec, rows),
            players=np.zeros(rows, np.uint8),
            over=np.ones(rows, np.bool_),
            streams=Streams(np.zeros(rows, np.uint64)),
        )

    @property
    def positions(self) -> Positions:
        """Where the N rows stand; valid until the next step, and not to be written to. Rows that have not begun yet,
        of which only a reset of some rows leaves any, are zeros.

        Raises:
            ResetNeeded: no row has begun.
        """
        self._check_begun()
        return self._table.positions

    @property
    def players(self) -> U8:
        """The seat's player in each row's episode, u8[N]; raises as `positions`."""
        self._check_begun()
        return self._table.players

    def restart(
        self,
        rows: Rows | None = None,
        *,
        anew: Rows | None = None,
        seeds: npt.NDArray[np.uint64] | None = None,
        hint: bytes | None = None,
    ) -> None:
        """Begin an episode.

        Args:
            rows: the rows to begin in, ascending; None: all.
            anew: the rows whose streams begin anew; None: `rows`.
            seeds: u64[len(anew)], what those streams begin with; None: all streams go on.
            hint: the reset hint from now on; None: as before.

        Raises:
            BadHint, or EngineRefused from an engine: the hint makes no sense.
        """
        rows = np.arange(self.rows) if rows is None else rows
        seat = self.seat if hint is None else replace(self.seat, hint=hint)
        table = self._table.copy()
        if seeds is not None:
            table.streams.reseed(rows if anew is None else anew, seeds)
        self._begin(table, rows, seat)
        self._table, self.seat, self._begun = table, seat, True

    def step(self, actions: Any) -> Steps:
        """One action of the seat's player in every row.

        Args:
            actions: as `ActionCoder.encode` takes them, also in rows that begin an episode instead.

        Raises:
            ValueError, IllegalAction: as `ActionCoder.encode`; or the seat says "raise" and a mask forbids the
            action. BadState: a row's episode has ended; names the first such row.
        """
        encoded = self._coder.encode(actions, self.rows)
        table = self._table
        waiting = table.over is not self._calm and bool(table.over.any())
        if waiting and self._mode is not AutoresetMode.NEXT_STEP:
            row = int(np.flatnonzero(table.over)[0])
            state = table.positions.states[row].tobytes()
            raise BadState(row, state, "its episode has ended, or none has begun; reset before the next step")
        illegal = self._illegal(encoded)
        if waiting or illegal is not self._calm or self.spec.players > 1:
            return self._step_in_turn(encoded, illegal)
        return self._step_at_once(encoded)

    def _check_begun(self) -> None:
        if not self._begun:
            raise ResetNeeded(f"env_id {self.spec.env_id!r}: no episode has begun; reset first")

    def _illegal(self, encoded: U8) -> Flags:
        """Rows that go on with an action that their mask forbids; `self._calm` itself if none does."""
        if not self.actions:
            return self._calm
        illegal = illegal_rows(self._table.positions.legal_masks, encoded)
        if not illegal.any():
            return self._calm
        illegal = illegal & ~self._table.over
        if not illegal.any():
            return self._calm
        if self.seat.illegal == "raise":
            row = int(np.flatnonzero(illegal)[0])
            raise IllegalAction(
                row, encoded[row].tobytes(), "is not legal here; choose one of the action mask"
            )
        return illegal

    def _step_at_once(self, encoded: U8) -> Steps:
        """Every row takes its step in one call, and begins its next episode in the same one."""
        table, same = self._table, self._mode is AutoresetMode.SAME_STEP
        seeds = table.streams.next if same else None
        reply = self._source.step(table.positions.states, encoded, seeds, hint=self.seat.hint)
        terminated, truncated = reply.terminated.astype(np.bool_), reply.truncated.astype(np.bool_)
        over = terminated | truncated
        ended, final = self._no_rows, self._nothing
        if over.any():
            ended = np.flatnonzero(over)
            final = reply.final if same else _take(reply.positions, ended)
            if same:
                table.streams.draw(ended)
        if same or not len(ended):
            over = self._calm
        self._table = _Table(reply.positions, table.players, over, table.streams)
        rewards = reply.rewards.astype(np.float64)
        return Steps(rewards, terminated, truncated, ended, final, self._calm[: len(ended)])

    def _step_in_turn(self, encoded: U8, illegal: Flags) -> Steps:
        """The rows that can, take their step; then the other players move; then what has ended begins anew."""
        table, tally = self._table.copy(), _Tally(self.rows)
        begins = np.flatnonzero(table.over)
        rows = np.flatnonzero(~(illegal | table.over))
        if len(rows):
            tally.add(rows, self._advance(table, rows, encoded[rows]), 1.0)
            self._answer(table, rows, tally)
        tally.rewards[illegal] = ILLEGAL_REWARD
        tally.terminated[illegal] = True
        table.positions.legal_masks[illegal] = 0  # the game would go on, the episode does not
        ended = np.flatnonzero(tally.ended)
        final = _take(table.positions, ended)
        if self._mode is AutoresetMode.SAME_STEP:
            begins = ended
        else:
            table.over[ended] = True
        self._begin(table, begins, self.seat)
        self._table = table
        return Steps(tally.rewards, tally.terminated, tally.truncated, ended, final, illegal[ended])

    def _begin(self, table: _Table, rows: Rows, seat: Seat) -> None:
        """Begin episodes, and let the other players move up to the seat's turn."""
        table.over[rows] = False
        for _ in range(_MOST_STARTS):
            if not len(rows):
                return
            _put(table.positions, rows, self._source.reset(table.streams.draw(rows), seat.hint))
            if self.spec.players == 1:
                return
            if seat.player is None:
                table.players[rows] = table.streams.draw(rows) % np.uint64(self.spec.players)
            else:
                table.players[rows] = seat.player
            tally = _Tally(self.rows)
            self._answer(table, rows, tally)
            rows = rows[tally.ended[rows]]
        raise NotOffered(
            f"player = {seat.player}: {self.spec.env_id} ends before its turn; take another seat"
        )

    def _answer(self, table: _Table, rows: Rows, tally: _Tally) -> None:
        """The other players move in these rows until it is the seat's turn, or the end."""
        while self.spec.players > 1:
            rows = rows[(table.positions.players[rows] != table.players[rows]) & ~tally.ended[rows]]
            if not len(rows):
                return
            masks = table.positions.legal_masks[rows]
            legal = unpack_masks(masks, self.actions)
            chosen = self._opponent(table.positions.obs[rows], legal, table.streams.draw(rows))
            encoded = self._coder.encode(chosen, len(rows))
            if illegal_rows(masks, encoded).any():
                row = int(np.flatnonzero(illegal_rows(masks, encoded))[0])
                raise IllegalAction(
                    row, encoded[row].tobytes(), "the opponent's move is not in the legal mask"
                )
            tally.add(rows, self._advance(table, rows, encoded), self._others_share)

    def _advance(self, table: _Table, rows: Rows, encoded: U8) -> StepReply:
        """A step of these rows alone."""
        reply = self._source.step(table.positions.states[rows], encoded)
        _put(table.positions, rows, reply.positions)
        return reply


def _blank(spec: GameSpec, rows: int) -> Positions:
    positions = Positions.empty(spec, rows)
    for column in (positions.states, positions.obs, positions.legal_masks, positions.players):
        column[:] = 0
    return positions


def _take(positions: Positions, rows: Rows) -> Positions:
    return Positions(
        positions.states[rows], positions.obs[rows], positions.legal_masks[rows], positions.players[rows]
    )


def _put(to: Positions, rows: Rows, positions: Positions) -> None:
    to.states[rows] = positions.states
    to.obs[rows] = positions.obs
    to.legal_masks[rows] = positions.legal_masks
    to.players[rows] = positions.players
