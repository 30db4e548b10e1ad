"""Gymnasium's `VectorEnv` over one game: N episodes, one call a step.

Enters: an action a row. Leaves: batches as Gymnasium has them, with the last observations of ended episodes.
Invariant: row i plays what `GameEnv` would play alone with the seed of row i, however many rows there are.

    envs = GameVectorEnv("cartpole", num_envs=1024)
    obs, infos = envs.reset(seed=1)
    obs, rewards, terminations, truncations, infos = envs.step(envs.action_space.sample())
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from engine.adapters.episodes import Episodes, Steps
from engine.adapters.fit import check_fit
from engine.adapters.picture import RENDER_FPS, Picture
from engine.adapters.seat import Illegal, Opponent, Seat
from engine.adapters.seeds import fresh_seeds, seeds_of
from engine.adapters.source import open_source
from engine.adapters.spaces import action_masks, action_space, hint_bytes, int8_masks, observation_space

Obs = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.intp]


class GameVectorEnv(VectorEnv[Obs, Any, npt.NDArray[Any]]):
    """N episodes of one game from one seat, stepped together.

    Without SAME_STEP the observations of ended rows are their last ones. With it they are the next episodes' first,
    and `infos["final_obs"]` (an array of N, None where no episode ended) and `infos["final_info"]` have the last of
    the old, marked by `_final_obs` and `_final_info`, as Gymnasium's own vector environments do.

    Args:
        env_id: the game's name.
        num_envs: N, 1 or more.
        address, player, opponent, illegal, hint, render_mode: as `GameEnv` has them.
        autoreset_mode: SAME_STEP, the engine's own way: an ended row begins its next episode in the same step;
            NEXT_STEP: in the step after, which ignores its action and rewards it with 0; DISABLED: when `reset` is
            called with `options["reset_mask"]`. Or the value of one, such as "SameStep".
        copy: False gives observations that are only valid until the next step, and may be read-only.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi", "rgb_array"], "render_fps": RENDER_FPS}  # noqa: RUF012 - Gymnasium's

    def __init__(
        self,
        env_id: str,
        num_envs: int = 1,
        *,
        address: str | None = None,
        player: int | None = None,
        opponent: Opponent | None = None,
        illegal: Illegal = "end",
        hint: bytes | str = b"",
        render_mode: str | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.SAME_STEP,
        copy: bool = True,
    ) -> None:
        self._mode = AutoresetMode(autoreset_mode)
        self._source = open_source(env_id, address)
        self.game_spec = spec = self._source.spec
        try:
            check_fit(self.game_spec, "GameVectorEnv")
            seat = Seat(player, opponent, illegal, hint_bytes(hint))
            self._episodes = Episodes(self._source, num_envs, seat, self._mode)
            self._picture = Picture(self._source, render_mode)
        except BaseException:
            self._source.close()
            raise
        self.metadata = {
            **self.metadata,
            "render_modes": self._picture.modes,
            "autoreset_mode": self._mode,
        }
        self.render_mode = render_mode
        self.num_envs = num_envs
        self.single_observation_space = observation_space(spec.obs_shape)
        self.single_action_space = action_space(spec)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._copy = copy
        self._seeded = False

    @property
    def states(self) -> npt.NDArray[np.uint8]:
        """The positions' state bytes, u8[N, S]; valid until the next step. ResetNeeded before the first reset."""
        return self._episodes.positions.states

    @property
    def players(self) -> npt.NDArray[np.uint8]:
        """The player that the agent is in each row's episode, u8[N]."""
        return self._episodes.players.copy()

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Obs, dict[str, Any]]:
        """Begin an episode in every row.

        Args:
            seed: of row 0, the next numbers are the other rows'; or one for each row; None: the streams go on,
                of a row or of all.
            options: `hint` as in `GameEnv`; `reset_mask`, bool[N]: only these rows; the infos tell of them alone.

        Raises:
            ValueError: the mask or the seeds are not of N rows.
            BadHint, or EngineRefused from an engine: the hint makes no sense.
        """
        options = options or {}
        rows = self._rows_of(options.get("reset_mask"))
        anew, seeds = self._seeds(seed, rows)
        hint = options.get("hint")
        self._episodes.restart(
            rows,
            anew=anew,
            seeds=seeds,
            hint=None if hint is None else hint_bytes(hint),
        )
        self._seeded = True
        infos: dict[str, Any] = {}
        self._add_masks(infos, rows)
        return self._obs(), infos

    def step(self, actions: Any) -> tuple[Obs, npt.NDArray[np.float64], Flags, Flags, dict[str, Any]]:
        """One action a row, and the other players' answers.

        Raises:
            IllegalAction, ValueError: an action is not of the action space, or forbidden and `illegal` is "raise".
            BadState: with DISABLED, an episode has ended; reset it first.
        """
        steps = self._episodes.step(actions)
        infos: dict[str, Any] = {}
        self._add_masks(infos, None)
        if len(steps.ended):
            self._add_ended(infos, steps)
        return self._obs(), steps.rewards, steps.terminated, steps.truncated, infos

    def action_masks(self) -> Flags:
        """Legal actions, bool[N, n]; see `GameEnv.action_masks`."""
        return action_masks(self.game_spec, self._episodes.positions.legal_masks)

    def render(self) -> tuple[Any, ...] | None:
        """Every row as the render mode has it; None without one."""
        if self.render_mode is None:
            return None
        return tuple(self._picture.show(state.tobytes()) for state in self.states)

    def close_extras(self, **kwargs: Any) -> None:
        """Let go of the engine's connection."""
        del kwargs
        self._source.close()

    def _seeds(
        self, seed: int | Sequence[int | None] | None, rows: Rows
    ) -> tuple[Rows, npt.NDArray[np.uint64]]:
        """The rows whose streams begin anew, and with what. At the first reset they are all, whatever is reset:
        a row that waits for a later one shall not have the stream of its neighbour."""
        seeds, given = np.zeros(self.num_envs, np.uint64), np.empty(0, np.intp)
        if seed is not None:
            seeds, given = seeds_of(seed, self.num_envs)
        if len(given):
            super().reset(seed=int(seeds[given[0]]))
        if self._seeded:
            anew = np.intersect1d(given, rows)
            return anew, seeds[anew]
        fresh = fresh_seeds(self.np_random, self.num_envs)
        fresh[given] = seeds[given]
        return np.arange(self.num_envs), fresh

    def _rows_of(self, mask: Any) -> Rows:
        if mask is None:
            return np.arange(self.num_envs)
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (self.num_envs,):
            raise ValueError(f"options['reset_mask'] = {mask!r}: give a numpy array bool[{self.num_envs}]")
        return np.flatnonzero(mask)

    def _obs(self) -> Obs:
        obs = self._episodes.positions.obs.reshape(self.observation_space.shape or ())
        return obs.copy() if self._copy else obs

    def _add_masks(self, infos: dict[str, Any], rows: Rows | None) -> None:
        """The masks of these rows, of the others zeros; None: of all."""
        if not self._episodes.actions:
            return
        masks = int8_masks(self._episodes.positions.legal_masks, self._episodes.actions)
        told = np.ones(self.num_envs, np.bool_)
        if rows is not None and len(rows) < self.num_envs:
            told[:] = False
            told[rows] = True
            masks[~told] = 0
        infos |= {"action_mask": masks, "_action_mask": told}

    def _add_ended(self, infos: dict[str, Any], steps: Steps) -> None:
        """What Gymnasium wants to know of ended episodes."""
        ended = np.zeros(self.num_envs, np.bool_)
        ended[steps.ended] = True
        illegal = np.zeros(self.num_envs, np.bool_)
        illegal[steps.ended] = steps.illegal
        last: dict[str, Any] = {"illegal_action": illegal, "_illegal_action": ended}
        if self._mode is not AutoresetMode.SAME_STEP:
            infos.update(last)
            return
        if self._episodes.actions:
            masks = np.zeros((self.num_envs, self._episodes.actions), np.int8)
            masks[steps.ended] = int8_masks(steps.final.legal_masks, self._episodes.actions)
            last |= {"action_mask": masks, "_action_mask": ended.copy()}
        obs = np.full(self.num_envs, None, object)
        final = steps.final.obs.reshape(-1, *self.game_spec.obs_shape).copy()
        for row, value in zip(steps.ended.tolist(), final, strict=True):
            obs[row] = value
        infos |= {
            "final_obs": obs,
            "_final_obs": ended.copy(),
            "final_info": last,
            "_final_info": ended.copy(),
        }
