"""A whole game in readable text: what it is, then every position, legal actions, observation and reward.

Enters: a game's name and a seed. Leaves: text that changes if, and only if, something that the game tells changes.
Invariant: the same seed gives the same text on every machine.

    python -m games.playthrough tictactoe                 # print it
    python -m games.playthrough tictactoe --write FILE    # regenerate a golden file

A long game is played for its first steps only, as many as `--steps` says.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from games import registry
from games.contract import Game, Outcomes, Positions
from games.encodings import encode_actions
from games.moves import box_bounds, legal, mask_groups
from games.spec import Box, GameSpec, MultiDiscrete

SEED = 20
STEPS = 40
_ROW = 9  # observation values a line
_DENSE = (
    64  # an observation of more values is told by those that are not 0, and of more of these by its digest
)
_MILLION = 1 << 20


def playthrough(game: Game, *, seed: int = SEED, steps: int = STEPS) -> str:
    """One random episode, or its first `steps` steps, as text that ends with a newline."""
    # Raw bits: they are promised to stay the same across numpy versions, the distributions are not.
    bits = np.random.PCG64(seed)
    position = game.reset(np.array([seed], np.uint64))
    lines, end = _spec_lines(game.spec), f"# after {steps} steps"
    for step in range(steps):
        lines += ["", f"# step {step}", *_position_lines(game, position)]
        action = _choose(game.spec, position, bits)
        lines.append(f"action: {game.action_text(action.tobytes())} = 0x{action.tobytes().hex()}")
        outcome = game.step(position.states, action)
        lines += _outcome_lines(game.spec, outcome)
        position = outcome.positions
        if outcome.terminated[0] or outcome.truncated[0]:
            end = "# end"
            break
    lines += ["", end, *_position_lines(game, position)]
    return "\n".join(lines) + "\n"


def _choose(spec: GameSpec, position: Positions, bits: np.random.PCG64) -> npt.NDArray[np.uint8]:
    """One legal action u8[1, A], of raw bits and arithmetic that is the same everywhere."""
    space = spec.action_space
    numbers: npt.NDArray[Any]
    if groups := mask_groups(spec):
        choices = [np.flatnonzero(legal(group, position.legal_masks)[0]) for group in groups]
        numbers = np.array([[choice[int(bits.random_raw()) % len(choice)] for choice in choices]])
    elif isinstance(space, MultiDiscrete):
        numbers = np.array([[int(bits.random_raw()) % choice for choice in space.nvec]])
    else:
        assert isinstance(space, Box)
        low, high = (bound.astype(np.float64) for bound in box_bounds(space))
        part = np.array([int(bits.random_raw()) % (_MILLION + 1) for _ in low]) / _MILLION
        numbers = (low * (1 - part) + high * part).astype(np.float32)[None]
    return encode_actions(spec.encoding.action, numbers)


def _spec_lines(spec: GameSpec) -> list[str]:
    lines = [
        f"game: {spec.env_id}, build {spec.build_id}, schema version {spec.encoding.schema_version}",
        f"encodings: {spec.encoding.state} {spec.encoding.action} {spec.encoding.obs}",
        f"sizes: state {spec.state_bytes}, action {spec.action_bytes}, obs {list(spec.obs_shape)}, "
        f"mask {spec.mask_words}",
        f"actions: {spec.action_space}",
        f"players: {spec.players}, horizon {spec.max_horizon}, preferred batch {spec.preferred_batch}",
        f"zero-sum {spec.zero_sum}, perfect information {spec.perfect_information}, stochastic {spec.stochastic}",
    ]
    lines += [
        f"agent: {agent.name}, {agent.loadout}, {agent.actions} actions, obs {list(agent.obs_shape)}"
        for agent in spec.agents
    ]
    lines += [f"decodes: {name}" for name in spec.decodes]
    lines += [f"hint: {spec.hint}"] if spec.hint else []
    return lines + ([f"grid: {list(spec.grid)}"] if spec.grid else [])


def _position_lines(game: Game, position: Positions) -> list[str]:
    state = position.states.tobytes()
    lines = [game.render_text(state), f"state: 0x{state.hex()}", f"player: {position.players[0]}"]
    lines += _legal_lines(game, position)
    obs = position.obs[0]
    if not game.spec.agents:
        return lines + _obs_lines("obs", obs)
    for number, agent in enumerate(game.spec.agents):
        lines += _obs_lines(f"obs of {agent.name}", obs[game.spec.agent_obs(number)])
    return lines


def _legal_lines(game: Game, position: Positions) -> list[str]:
    spec, lines = game.spec, []
    for group in mask_groups(spec):
        actions = np.flatnonzero(legal(group, position.legal_masks)[0])
        words = [hex(word) for word in position.legal_masks[0, group.words].tolist()]
        if spec.agents:
            texts, whose = [str(action) for action in actions], f" of {spec.agents[group.component].name}"
        else:
            rows = encode_actions(spec.encoding.action, actions)
            texts, whose = [game.action_text(row.tobytes()) for row in rows], ""
        lines.append(f"legal{whose}: {' '.join(texts) or 'none'} = {words}")
    return lines or ["legal: every action"]


def _obs_lines(name: str, obs: npt.NDArray[np.float32]) -> list[str]:
    if len(obs) <= _DENSE:
        rows = [obs[start : start + _ROW] for start in range(0, len(obs), _ROW)]
        return [f"{name}: {' '.join(f'{value:g}' for value in row)}" for row in rows]
    places = np.flatnonzero(obs)
    if len(places) > _DENSE:
        digest = hashlib.sha256(obs.tobytes()).hexdigest()
        return [f"{name}: {len(obs)} values, {len(places)} of them not 0, sha256 {digest[:16]}"]
    values = " ".join(f"{place}={obs[place]:g}" for place in places)
    return [f"{name}: {len(obs)} values, 0 but {values or 'none'}"]


def _outcome_lines(spec: GameSpec, outcome: Outcomes) -> list[str]:
    rewards = [f"{reward:g}" for reward in outcome.rewards.reshape(-1).tolist()]
    if spec.agents:
        rewards = [f"{agent.name} {reward}" for agent, reward in zip(spec.agents, rewards, strict=True)]
    return [
        f"reward: {', '.join(rewards)}, terminated {outcome.terminated[0]}, truncated {outcome.truncated[0]}, "
        f"info {int(outcome.info[0]):#x}"
    ]


def main(arguments: list[str] | None = None) -> int:
    """Print or write a playthrough. Returns the exit code."""
    parser = argparse.ArgumentParser(description="A whole game in readable text.")
    parser.add_argument("game", choices=registry.names())
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--steps", type=int, default=STEPS, help="how much of a long game is played")
    parser.add_argument("--write", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    text = playthrough(registry.get(options.game), seed=options.seed, steps=options.steps)
    if options.write is None:
        sys.stdout.write(text)
    else:
        options.write.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
