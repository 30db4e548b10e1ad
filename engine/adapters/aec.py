"""PettingZoo's AEC environment over one turn-based game of several players.

Enters: the action of the agent whose turn it is. Leaves: observations, accumulated rewards, ends, as PettingZoo has
them. Invariant: the agent selected is the player to move; all agents end together, each with what the whole game gave
it.

    env = GameAecEnv("tictactoe")
    env.reset(seed=1)
    for agent in env.agent_iter():
        seen, reward, terminated, truncated, info = env.last()
        env.step(None if terminated or truncated else env.action_space(agent).sample(seen["action_mask"]))
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from pettingzoo import AECEnv

from engine.adapters.fit import check_fit
from engine.adapters.match import Match
from engine.adapters.picture import RENDER_FPS
from engine.adapters.seat import ILLEGAL_REWARD, Illegal, check_illegal
from engine.adapters.source import open_source
from engine.adapters.spaces import (
    ActionCoder,
    action_space,
    illegal_rows,
    int8_masks,
    masked_actions,
    masked_observation_space,
)
from games.errors import IllegalAction


class GameAecEnv(AECEnv):  # type: ignore[misc]  # PettingZoo tells no types
    """One game; its agents are player_0, player_1, ..., the numbers being the game's.

    An observation is {"observation": f32 of the spec's shape, "action_mask": int8[n]}. Games show a position to the
    player to move only: `observe` gives every agent what it saw when it was last to move (zeros before that), with a
    mask of zeros when it is not its turn. At the end every agent sees the ended position, as the player who would be
    next. In a zero-sum game the others get the negative of the mover's reward, in others nothing.

    Args:
        env_id: the game's name.
        address: host:port of an engine; None: the game of this process.
        illegal: what an action does that the mask forbids: "end" terminates the episode, its agent getting -1 and the
            others nothing, as PettingZoo's TerminateIllegalWrapper does; "raise" raises IllegalAction.
        hint: the reset hint of every episode; `reset` takes another in its options.
        render_mode: one of `metadata["render_modes"]`, or None.

    Raises:
        UnknownGame, EngineRefused, EngineUnavailable: there is no such game, or no engine.
        NotOffered, ValueError: the game, or what is said of it, does not fit.
    """

    def __init__(
        self,
        env_id: str,
        *,
        address: str | None = None,
        illegal: Illegal = "end",
        hint: bytes | str = b"",
        render_mode: str | None = None,
    ) -> None:
        super().__init__()
        check_illegal(illegal)
        source = open_source(env_id, address)
        self.game_spec = spec = source.spec
        try:
            check_fit(spec, "GameAecEnv")
            self._match = Match(source, hint, render_mode)
        except BaseException:
            source.close()
            raise
        self._illegal = illegal
        self._actions = actions = masked_actions(spec)
        self._coder = ActionCoder(spec)
        self.render_mode = render_mode
        self.metadata = {
            "name": f"cartridge_{env_id}_v0",
            "render_modes": self._match.picture.modes,
            "render_fps": RENDER_FPS,
            "is_parallelizable": False,
        }
        self.possible_agents = [f"player_{player}" for player in range(spec.players)]
        self.agents: list[str] = []
        self.observation_spaces = {
            agent: masked_observation_space(spec.obs_shape, actions) for agent in self.possible_agents
        }
        self.action_spaces = {agent: action_space(spec) for agent in self.possible_agents}

    def observation_space(self, agent: str) -> gymnasium.spaces.Space[Any]:
        """The same object at every call."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gymnasium.spaces.Space[Any]:
        """The same object at every call."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Begin an episode; see `Match.restart`."""
        self._match.restart(seed, options)
        self.agents = self.possible_agents[:]
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos: dict[str, dict[str, Any]] = {agent: {} for agent in self.agents}
        self._skip_agent_selection = None
        self._seen = {agent: np.zeros(self.game_spec.obs_shape, np.float32) for agent in self.possible_agents}
        self._to_move()

    def observe(self, agent: str) -> dict[str, Any]:
        """What this agent sees; the arrays are the caller's own."""
        mask = np.zeros(self._actions, np.int8)
        if agent == self.agent_selection and not self._over(agent):
            mask = int8_masks(self._match.position.legal_masks, self._actions)[0]
        return {"observation": self._seen[agent].copy(), "action_mask": mask}

    def step(self, action: Any) -> None:
        """The action of the agent whose turn it is; None from an agent whose episode has ended.

        Raises:
            IllegalAction: it is outside the action space, or the mask forbids it and `illegal` is "raise".
            ValueError: it is no number, or is not None after the end.
        """
        agent = self.agent_selection
        if self._over(agent):
            self._was_dead_step(action)
            return
        encoded = self._coder.encode(np.asarray(action)[None], 1)
        forbidden = bool(illegal_rows(self._match.position.legal_masks, encoded)[0])
        if forbidden and self._illegal == "raise":
            raise IllegalAction(0, encoded.tobytes(), "is not legal here; choose one of the action mask")
        rewards = dict.fromkeys(self.agents, 0.0)
        terminated, truncated = forbidden, False
        if forbidden:
            rewards[agent] = ILLEGAL_REWARD
        else:
            reply = self._match.step(encoded)
            terminated, truncated = bool(reply.terminated[0]), bool(reply.truncated[0])
            rewards = self._shares(agent, float(reply.rewards[0]))
        self.rewards = rewards
        self._cumulative_rewards[agent] = 0.0
        self._accumulate_rewards()
        if terminated or truncated:
            self._end(terminated, truncated, forbidden)
        else:
            self._to_move()

    def render(self) -> Any:
        """The position as the render mode has it; None without one."""
        return self._match.picture.show(self._match.state)

    def close(self) -> None:
        """Let go of the engine's connection; it may be called twice."""
        self._match.close()

    def _over(self, agent: str) -> bool:
        return self.terminations[agent] or self.truncations[agent]

    def _shares(self, mover: str, reward: float) -> dict[str, float]:
        others = -reward / (self.game_spec.players - 1) if self.game_spec.zero_sum else 0.0
        return {agent: reward if agent == mover else others for agent in self.agents}

    def _to_move(self) -> None:
        """Select the player to move, and show it the position."""
        self.agent_selection = self._player_to_move()
        self._show(self.agent_selection)

    def _player_to_move(self) -> str:
        return self.possible_agents[int(self._match.position.players[0])]

    def _end(self, terminated: bool, truncated: bool, forbidden: bool) -> None:
        self.terminations = dict.fromkeys(self.agents, terminated)
        self.truncations = dict.fromkeys(self.agents, truncated)
        self.infos = {agent: {"illegal_action": forbidden} for agent in self.agents}
        for agent in self.agents:
            self._show(agent)
        self.agent_selection = self._player_to_move()

    def _show(self, agent: str) -> None:
        self._seen[agent] = self._match.position.obs[0].reshape(self.game_spec.obs_shape).copy()
