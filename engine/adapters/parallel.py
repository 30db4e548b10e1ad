"""PettingZoo's parallel environment over one game in which several agents move at once.

Enters: an action an agent. Leaves: observations, rewards, ends, an entry an agent, as PettingZoo has them.
Invariant: every agent sees its own part of the joint observation, in its own shape; all agents end together.

    env = GameParallelEnv("arena")
    seen, infos = env.reset(seed=1)
    while env.agents:
        actions = {agent: env.action_space(agent).sample(seen[agent]["action_mask"]) for agent in env.agents}
        seen, rewards, terminations, truncations, infos = env.step(actions)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.utils.conversions import parallel_to_aec

from engine.adapters.fit import check_fit
from engine.adapters.match import Match
from engine.adapters.picture import RENDER_FPS
from engine.adapters.seat import ILLEGAL_REWARD, Illegal, check_illegal
from engine.adapters.source import open_source
from engine.adapters.spaces import ActionCoder, int8_masks, masked_observation_space
from games.errors import BadState, IllegalAction

Seen = dict[str, dict[str, npt.NDArray[Any]]]
Infos = dict[str, dict[str, Any]]


class GameParallelEnv(ParallelEnv):  # type: ignore[misc]  # PettingZoo tells no types
    """One game; its agents have the names of the spec.

    An observation is {"observation": f32 of the agent's shape, "action_mask": int8[the agent's actions]}.

    Args:
        env_id: the game's name.
        address: host:port of an engine; None: the game of this process.
        illegal: what an action does that its agent's mask forbids: "end" terminates the episode without a step, the
            agents who chose such actions getting -1 and the others nothing; "raise" raises IllegalAction.
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
            check_fit(spec, "GameParallelEnv")
            self._match = Match(source, hint, render_mode)
        except BaseException:
            source.close()
            raise
        self._illegal = illegal
        self._coder = ActionCoder(spec)
        self.render_mode = render_mode
        self.metadata = {
            "name": f"cartridge_{env_id}_v0",
            "render_modes": self._match.picture.modes,
            "render_fps": RENDER_FPS,
        }
        self.possible_agents = [agent.name for agent in spec.agents]
        self.agents: list[str] = []
        self.observation_spaces = {
            agent.name: masked_observation_space(agent.obs_shape, agent.actions) for agent in spec.agents
        }
        self.action_spaces = {agent.name: gymnasium.spaces.Discrete(agent.actions) for agent in spec.agents}

    def observation_space(self, agent: str) -> gymnasium.spaces.Space[Any]:
        """The same object at every call."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gymnasium.spaces.Space[Any]:
        """The same object at every call."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Seen, Infos]:
        """Begin an episode; see `Match.restart`."""
        self._match.restart(seed, options)
        self.agents = self.possible_agents[:]
        return self._see(), {agent: {} for agent in self.agents}

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[Seen, dict[str, float], dict[str, bool], dict[str, bool], Infos]:
        """One action of every agent.

        Raises:
            BadState: the episode has ended; reset first. ResetNeeded: none has begun.
            ValueError: an agent is missing, or its action is no number.
            IllegalAction: an action is outside its agent's space, or forbidden and `illegal` is "raise".
        """
        if not self.agents:
            raise BadState(0, self._match.state, "its episode has ended; reset before the next step")
        missing = [agent for agent in self.agents if agent not in actions]
        if missing:
            raise ValueError(f"actions: none of {', '.join(missing)}; give one for every agent")
        encoded = self._coder.encode(np.array([[actions[agent] for agent in self.agents]]), 1)
        forbidden = self._forbidden(actions)
        rewards = {agent: ILLEGAL_REWARD if agent in forbidden else 0.0 for agent in self.agents}
        terminated, truncated = bool(forbidden), False
        if not forbidden:
            reply = self._match.step(encoded)
            rewards = dict(zip(self.agents, map(float, reply.rewards[0]), strict=True))
            terminated, truncated = bool(reply.terminated[0]), bool(reply.truncated[0])
        infos: Infos = {agent: {} for agent in self.agents}
        if terminated or truncated:
            infos = {agent: {"illegal_action": agent in forbidden} for agent in self.agents}
        ended = self.agents
        seen = self._see()
        if terminated or truncated:
            self.agents = []
            for part in seen.values():  # a forbidden action leaves the game where it was, with its masks
                part["action_mask"][:] = 0
        return seen, rewards, dict.fromkeys(ended, terminated), dict.fromkeys(ended, truncated), infos

    def render(self) -> Any:
        """The position as the render mode has it; None without one."""
        return self._match.picture.show(self._match.state)

    def close(self) -> None:
        """Let go of the engine's connection; it may be called twice."""
        self._match.close()

    def _see(self) -> Seen:
        """Every agent's part of the position; the arrays are the caller's own."""
        at, spec = self._match.position, self.game_spec
        return {
            agent.name: {
                "observation": at.obs[0, spec.agent_obs(number)].reshape(agent.obs_shape).copy(),
                "action_mask": int8_masks(at.legal_masks[:, spec.agent_mask(number)], agent.actions)[0],
            }
            for number, agent in enumerate(spec.agents)
        }

    def _forbidden(self, actions: Mapping[str, Any]) -> set[str]:
        """The agents whose mask does not have their action. Raises IllegalAction where that is said."""
        masks = self._match.position.legal_masks
        forbidden = {
            agent.name
            for number, agent in enumerate(self.game_spec.agents)
            if not int8_masks(masks[:, self.game_spec.agent_mask(number)], agent.actions)[
                0, actions[agent.name]
            ]
        }
        if forbidden and self._illegal == "raise":
            agent = min(forbidden)
            action = int(actions[agent])
            raise IllegalAction(
                0,
                action.to_bytes(4, "little"),
                f"{agent}'s action {action} is not legal here; choose one of its action mask",
            )
        return forbidden


def aec_env(env_id: str, **settings: Any) -> AECEnv:
    """The same game as an AEC environment, by PettingZoo's own `parallel_to_aec`; settings as above."""
    return parallel_to_aec(GameParallelEnv(env_id, **settings))
