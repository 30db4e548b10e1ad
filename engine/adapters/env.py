"""Gymnasium's `Env` over one game: one episode at a time.

Enters: actions of the seat's player. Leaves: observation, reward, terminated, truncated, info, as Gymnasium has them.
Invariant: the last observation of an episode is that of its ended position; a seed decides all that follows it.

    env = GameEnv("connect4", player=0)
    obs, info = env.reset(seed=1)
    obs, reward, terminated, truncated, info = env.step(env.action_space.sample(info["action_mask"]))
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from engine.adapters.episodes import Episodes
from engine.adapters.fit import check_fit
from engine.adapters.picture import RENDER_FPS, Picture
from engine.adapters.seat import Illegal, Opponent, Seat
from engine.adapters.seeds import fresh_seeds, seeds_of
from engine.adapters.source import open_source
from engine.adapters.spaces import action_masks, action_space, hint_bytes, int8_masks, observation_space

Obs = npt.NDArray[np.float32]


class GameEnv(gymnasium.Env[Obs, Any]):
    """One game from one seat. Observations are f32 of the spec's shape, as seen by the player to move.

    `info["action_mask"]`, int8[n], is there where actions are Discrete; the last info of an episode also has
    `illegal_action`, whether that ended it, and a mask of zeros. An action outside the action space raises, but for
    continuous ones: these are clipped to it, and NaN raises. Options of `reset`: `hint`,
    bytes or text, is the reset hint from now on; others are passed over.

    Args:
        env_id: the game's name.
        address: host:port of an engine; None: the game of this process.
        player: in games of several players, the one that the agent is; None: one drawn for every episode.
        opponent: who moves for the others, see `engine.adapters.seat.Opponent`; None: any legal action.
        illegal: what an action does that the mask forbids: "end" terminates the episode with reward -1, "raise"
            raises IllegalAction and changes nothing.
        hint: the reset hint of every episode.
        render_mode: one of `metadata["render_modes"]`, or None.

    Raises:
        UnknownGame, EngineRefused, EngineUnavailable: there is no such game, or no engine.
        NotOffered, ValueError: the game, or what is said of it, does not fit.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi", "rgb_array"], "render_fps": RENDER_FPS}  # noqa: RUF012 - Gymnasium's

    def __init__(
        self,
        env_id: str,
        *,
        address: str | None = None,
        player: int | None = None,
        opponent: Opponent | None = None,
        illegal: Illegal = "end",
        hint: bytes | str = b"",
        render_mode: str | None = None,
    ) -> None:
        self._source = open_source(env_id, address)
        self.game_spec = self._source.spec
        try:
            check_fit(self.game_spec, "GameEnv")
            seat = Seat(player, opponent, illegal, hint_bytes(hint))
            self._episodes = Episodes(self._source, 1, seat, AutoresetMode.DISABLED)
            self._picture = Picture(self._source, render_mode)
        except BaseException:
            self._source.close()
            raise
        self.metadata = {**self.metadata, "render_modes": self._picture.modes}
        self.render_mode = render_mode
        self.observation_space = observation_space(self.game_spec.obs_shape)
        self.action_space = action_space(self.game_spec)
        self._seeded = False

    @property
    def state(self) -> bytes:
        """The position's state bytes, the whole of it; before the first reset it raises ResetNeeded."""
        return bytes(self._episodes.positions.states[0])

    @property
    def player(self) -> int:
        """The player that the agent is in this episode; before the first reset it raises ResetNeeded."""
        return int(self._episodes.players[0])

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Obs, dict[str, Any]]:
        """Begin an episode: with a seed the first of its stream, without one the next of the stream.

        Raises:
            BadHint, or EngineRefused from an engine: the hint makes no sense.
        """
        super().reset(seed=seed)
        seeds = None
        if seed is not None:
            seeds, _ = seeds_of(seed, 1)
        elif not self._seeded:
            seeds = fresh_seeds(self.np_random, 1)
        hint = (options or {}).get("hint")
        self._episodes.restart(seeds=seeds, hint=None if hint is None else hint_bytes(hint))
        self._seeded = True
        return self._obs(), self._info()

    def step(self, action: Any) -> tuple[Obs, float, bool, bool, dict[str, Any]]:
        """One action, and the other players' answers to it.

        Raises:
            IllegalAction, ValueError: the action is not of the action space, or forbidden and `illegal` is "raise".
            BadState: the episode has ended; reset first.
        """
        steps = self._episodes.step(np.asarray(action)[None])
        info = self._info()
        if len(steps.ended):
            info["illegal_action"] = bool(steps.illegal[0])
        terminated, truncated = bool(steps.terminated[0]), bool(steps.truncated[0])
        return self._obs(), float(steps.rewards[0]), terminated, truncated, info

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Legal actions as sb3-contrib's MaskablePPO asks for them, bool[n]; of a MultiDiscrete all of them,
        bool[sum].

        Raises:
            NotOffered: actions are continuous.
        """
        masks: npt.NDArray[np.bool_] = action_masks(self.game_spec, self._episodes.positions.legal_masks)[0]
        return masks

    def render(self) -> Any:
        """The position as the render mode has it; None without one."""
        return self._picture.show(self.state)

    def close(self) -> None:
        """Let go of the engine's connection; it may be called twice."""
        self._source.close()

    def _obs(self) -> Obs:
        obs: Obs = self._episodes.positions.obs[0].reshape(self.game_spec.obs_shape).copy()
        return obs

    def _info(self) -> dict[str, Any]:
        masks = self._episodes.positions.legal_masks
        actions = self._episodes.actions
        return {"action_mask": int8_masks(masks, actions)[0]} if actions else {}
