"""Auto-reset: rows whose episode has ended start the next one within the same call.

Enters: a step's outcomes and a seed a row. Leaves: the outcomes with fresh positions in the ended rows, and how those
rows looked. Invariant: rewards, ends and info stay those of the step; only positions of ended rows change.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from games.contract import Game, Outcomes, Positions
from games.kernel import kernel

U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]
F32 = npt.NDArray[np.float32]
I64 = npt.NDArray[np.int64]


class AutoReset:
    """Resets ended rows of one game's outcomes; holds scratch memory, so one a thread."""

    def __init__(self, game: Game) -> None:
        self._game = game
        self._understood = b""  # the hint of the last call
        self._rows = np.empty(0, np.int64)
        self._seeds = np.empty(0, np.uint64)
        self._final = self._fresh = Positions.empty(game.spec, 0)
        self._nbytes = 0

    def apply(self, outcomes: Outcomes, seeds: U64, hint: bytes = b"") -> Positions:
        """Reset the ended rows in place.

        Args:
            outcomes: of a step of N rows.
            seeds: u64[N]; row i uses seeds[i] if its episode has ended.
            hint: how the new episodes shall start.

        Returns:
            The last positions of the E rows that were reset, in row order; valid until the next call.

        Raises:
            games.errors.BadHint: the game does not understand the hint; also where no episode has ended.
        """
        if hint != self._understood:
            self._game.reset(seeds[:0], hint)
            self._understood = hint
        if len(self._rows) < len(seeds):
            self._grow(len(seeds))
        to, final = outcomes.positions, self._final
        ended = take_ended(
            outcomes.terminated,
            outcomes.truncated,
            to.states,
            to.obs,
            to.legal_masks,
            to.players,
            seeds,
            self._rows,
            final.states,
            final.obs,
            final.legal_masks,
            final.players,
            self._seeds,
        )
        if ended:
            self._put_fresh(to, ended, hint)
        return _first(final, ended)

    def trim(self, most_bytes: int) -> None:
        """Give back the scratch memory, if there is more than `most_bytes` of it."""
        if self._nbytes > most_bytes:
            self._grow(0)

    def _put_fresh(self, to: Positions, ended: int, hint: bytes) -> None:
        fresh = _first(self._fresh, ended)
        self._game.reset(self._seeds[:ended], hint, out=fresh)
        put_fresh(
            self._rows[:ended],
            fresh.states,
            fresh.obs,
            fresh.legal_masks,
            fresh.players,
            to.states,
            to.obs,
            to.legal_masks,
            to.players,
        )

    def _grow(self, rows: int) -> None:
        self._rows = np.empty(rows, np.int64)
        self._seeds = np.empty(rows, np.uint64)
        self._final = Positions.empty(self._game.spec, rows)
        self._fresh = Positions.empty(self._game.spec, rows)
        spec = self._game.spec
        self._nbytes = 2 * rows * (spec.state_bytes + 4 * spec.obs_size + 8 * spec.mask_words)


def _first(positions: Positions, rows: int) -> Positions:
    return Positions(
        states=positions.states[:rows],
        obs=positions.obs[:rows],
        legal_masks=positions.legal_masks[:rows],
        players=positions.players[:rows],
    )


def warm() -> None:
    """Compile the kernels, or load them from the disk cache."""
    take_ended.warm()
    put_fresh.warm()


@kernel(
    "i64(in u8[1], in u8[1], in u8[2], in f32[2], in u64[2], in u8[1], in u64[1],"
    " i64[1], u8[2], f32[2], u64[2], u8[1], u64[1])"
)
def take_ended(
    terminated: U8,
    truncated: U8,
    states: U8,
    obs: F32,
    legal_masks: U64,
    players: U8,
    seeds: U64,
    rows: I64,
    final_states: U8,
    final_obs: F32,
    final_masks: U64,
    final_players: U8,
    final_seeds: U64,
) -> int:
    """Gather index, position and seed of every ended row; returns how many there are."""
    ended = 0
    for row in range(len(terminated)):
        if terminated[row] or truncated[row]:
            rows[ended] = row
            final_seeds[ended] = seeds[row]
            for byte in range(states.shape[1]):
                final_states[ended, byte] = states[row, byte]
            for value in range(obs.shape[1]):
                final_obs[ended, value] = obs[row, value]
            for word in range(legal_masks.shape[1]):
                final_masks[ended, word] = legal_masks[row, word]
            final_players[ended] = players[row]
            ended += 1
    return ended


@kernel("none(in i64[1], in u8[2], in f32[2], in u64[2], in u8[1], u8[2], f32[2], u64[2], u8[1])")
def put_fresh(
    rows: I64,
    fresh_states: U8,
    fresh_obs: F32,
    fresh_masks: U64,
    fresh_players: U8,
    states: U8,
    obs: F32,
    legal_masks: U64,
    players: U8,
) -> None:
    """Write fresh position i over row rows[i]."""
    for index in range(len(rows)):
        row = rows[index]
        for byte in range(states.shape[1]):
            states[row, byte] = fresh_states[index, byte]
        for value in range(obs.shape[1]):
            obs[row, value] = fresh_obs[index, value]
        for word in range(legal_masks.shape[1]):
            legal_masks[row, word] = fresh_masks[index, word]
        players[row] = fresh_players[index]
