"""A whole game in readable text: what it is, then every position, legal actions, observation and reward.

Enters: a game's name and a seed. Leaves: text that changes if, and only if, something that the game tells changes.
Invariant: the same seed gives the same text on every machine.

    python -m games.playthrough tictactoe                 # print it
    python -m games.playthrough tictactoe --write FILE    # regenerate a golden file
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from games import registry
from games.batch import unpack_masks
from games.contract import Game, Outcomes, Positions
from games.encodings import encode_discrete
from games.spec import Discrete

SEED = 20
_ROW = 9  # observation values a line


def playthrough(game: Game, *, seed: int = SEED) -> str:
    """One random episode of a game of discrete actions, as text that ends with a newline."""
    generator = np.random.Generator(np.random.PCG64(seed))
    position = game.reset(np.array([seed], np.uint64))
    lines = _spec_lines(game)
    for step in range(game.spec.max_horizon):
        lines += ["", f"# step {step}", *_position_lines(game, position)]
        legal = _legal(game, position)
        # Raw bits: they are promised to stay the same across numpy versions, the distributions are not.
        action = encode_discrete(legal[int(generator.bit_generator.random_raw() % len(legal)) :][:1])
        lines.append(f"action: {game.action_text(action.tobytes())} = 0x{action.tobytes().hex()}")
        outcome = game.step(position.states, action)
        lines += _outcome_lines(outcome)
        position = outcome.positions
        if outcome.terminated[0] or outcome.truncated[0]:
            break
    lines += ["", "# end", *_position_lines(game, position)]
    return "\n".join(lines) + "\n"


def _spec_lines(game: Game) -> list[str]:
    spec = game.spec
    return [
        f"game: {spec.env_id}, build {spec.build_id}, schema version {spec.encoding.schema_version}",
        f"encodings: {spec.encoding.state} {spec.encoding.action} {spec.encoding.obs}",
        f"sizes: state {spec.state_bytes}, action {spec.action_bytes}, obs {list(spec.obs_shape)}, "
        f"mask {spec.mask_words}",
        f"actions: {spec.action_space}",
        f"players: {spec.players}, horizon {spec.max_horizon}, preferred batch {spec.preferred_batch}",
        f"zero-sum {spec.zero_sum}, perfect information {spec.perfect_information}, stochastic {spec.stochastic}",
    ]


def _position_lines(game: Game, position: Positions) -> list[str]:
    state = position.states.tobytes()
    legal = [
        game.action_text(encode_discrete(np.array([action])).tobytes()) for action in _legal(game, position)
    ]
    return [
        game.render_text(state),
        f"state: 0x{state.hex()}",
        f"player: {position.players[0]}",
        f"legal: {' '.join(legal) or 'none'} = {[hex(word) for word in position.legal_masks[0].tolist()]}",
        *_obs_lines(position.obs[0]),
    ]


def _obs_lines(obs: npt.NDArray[np.float32]) -> list[str]:
    rows = [obs[start : start + _ROW] for start in range(0, len(obs), _ROW)]
    return [f"obs: {' '.join(f'{value:g}' for value in row)}" for row in rows]


def _outcome_lines(outcome: Outcomes) -> list[str]:
    return [
        f"reward: {outcome.rewards[0]:g}, terminated {outcome.terminated[0]}, truncated {outcome.truncated[0]}, "
        f"info {int(outcome.info[0]):#x}"
    ]


def _legal(game: Game, position: Positions) -> npt.NDArray[np.intp]:
    space = game.spec.action_space
    return np.flatnonzero(
        unpack_masks(position.legal_masks, space.n if isinstance(space, Discrete) else 0)[0]
    )


def main(arguments: list[str] | None = None) -> int:
    """Print or write a playthrough. Returns the exit code."""
    parser = argparse.ArgumentParser(description="A whole game in readable text.")
    parser.add_argument("game", choices=registry.names())
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--write", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    text = playthrough(registry.get(options.game), seed=options.seed)
    if options.write is None:
        sys.stdout.write(text)
    else:
        options.write.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
