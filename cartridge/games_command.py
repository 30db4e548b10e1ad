"""`cartridge games`: what games there are, what one is, and a game against a person.

In: a command line; moves on standard input. Out: tables and boards on standard output, an exit code.
Invariant: a move that is not understood or not legal changes nothing: one line says why, and it is asked for again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from cartridge.errors import UsageError
from cartridge.settings import Settings
from games import registry
from games.contract import Discrete, Game, GameSpec, Positions, encode_discrete
from games.errors import BadActionText, IllegalAction, UnknownGame

# Observations f32[N, O] and legal masks u64[N, W] to actions i64[N].
Policy = Callable[[npt.NDArray[np.float32], npt.NDArray[np.uint64]], npt.NDArray[np.int64]]

RANDOM = "random"
_LEAVE = ("quit", "exit", "q")
_INTERRUPTED = 130


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `games` with `list` (also without a word), `show GAME` and `play GAME`."""
    parser = commands.add_parser("games", help="the games that there are: list, show, play")
    parser.set_defaults(handler=_list)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    actions.add_parser("list", help="a table of all games").set_defaults(handler=_list)
    show = actions.add_parser("show", help="everything about one game")
    show.add_argument("game", help="its name, e.g. tictactoe")
    show.set_defaults(handler=_show)
    play = actions.add_parser("play", help="play against random moves or a trained policy")
    play.add_argument("game", help="its name, e.g. tictactoe")
    play.add_argument(
        "--against", default=RANDOM, metavar="RUN", help="a run's newest policy (default: random moves)"
    )
    play.add_argument("--player", type=int, default=1, help="which player you are: 1 begins (default), 2 ...")
    play.add_argument(
        "--seed", type=int, default=None, help="of the game and of random moves (default: another each time)"
    )
    play.set_defaults(handler=_play)


def _list(parsed: argparse.Namespace, settings: Settings) -> int:
    del parsed, settings
    rows = [("GAME", "PLAYERS", "ACTIONS", "LONGEST", "OBSERVATION", "KIND")]
    for env_id in registry.names():
        spec = registry.get(env_id).spec
        rows.append(
            (
                env_id,
                str(spec.players),
                _actions(spec),
                str(spec.max_horizon),
                spec.encoding.obs,
                ", ".join(_kind(spec)),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        _say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    return 0


def _show(parsed: argparse.Namespace, settings: Settings) -> int:
    del settings
    game = _game(parsed.game)
    spec = game.spec
    facts = {
        "game": spec.env_id,
        "build": spec.build_id,
        "players": str(spec.players),
        "kind": ", ".join(_kind(spec)),
        "actions": _actions(spec),
        "longest episode": f"{spec.max_horizon} steps",
        "state": f"{spec.encoding.state}, {spec.state_bytes} bytes",
        "action": f"{spec.encoding.action}, {spec.action_bytes} bytes",
        "observation": f"{spec.encoding.obs}, shape {list(spec.obs_shape)}",
        "schema version": str(spec.encoding.schema_version),
        "preferred batch": str(spec.preferred_batch),
    }
    for name, value in facts.items():
        _say(f"{name:16}{value}")
    _say("")
    _say(game.render_text(game.reset(np.zeros(1, np.uint64)).states.tobytes()))
    return 0


def _play(parsed: argparse.Namespace, settings: Settings) -> int:
    game = _game(parsed.game)
    spec = game.spec
    if not isinstance(spec.action_space, Discrete):
        raise UsageError(
            f"game {parsed.game!r} has {_actions(spec)}: only games of discrete actions are played here"
        )
    if not 1 <= parsed.player <= spec.players:
        raise UsageError(f"--player {parsed.player}: {parsed.game} has players 1 to {spec.players}")
    seed = int(np.random.SeedSequence().generate_state(1)[0]) if parsed.seed is None else parsed.seed
    if not 0 <= seed < 2**64:
        raise UsageError(f"--seed {seed}: it must be 0 to 2**64 - 1")
    policy = random_policy(spec, seed) if parsed.against == RANDOM else _trained(settings, parsed.against)
    _say(f"You are player {parsed.player}, against {parsed.against}. Type a move, or quit.")
    try:
        return play(game, policy, person=parsed.player - 1, seed=seed)
    except KeyboardInterrupt:
        _say("\nLeft the game.")
        return _INTERRUPTED


def play(game: Game, policy: Policy, *, person: int, seed: int) -> int:
    """One episode between a person and a policy, on standard input and output.

    Args:
        game: of discrete actions.
        policy: moves for all other players.
        person: the person's player number, from 0.
        seed: of the episode.

    Returns:
        The exit code: 0, also where the person leaves early.
    """
    position = game.reset(np.array([seed], np.uint64))
    while True:
        _say("")
        _say(game.render_text(position.states.tobytes()))
        mover = int(position.players[0])
        if mover == person:
            action = _ask(game, position)
            if action is None:
                _say("Left the game.")
                return 0
        else:
            action = encode_discrete(policy(position.obs, position.legal_masks)).tobytes()
            _say(f"player {mover + 1} plays {game.action_text(action)}")
        outcome = game.step(position.states, _row(action))
        position = outcome.positions
        if outcome.terminated[0] or outcome.truncated[0]:
            _say("")
            _say(game.render_text(position.states.tobytes()))
            _say(_verdict(float(outcome.rewards[0]), mine=mover == person))
            return 0


def random_policy(spec: GameSpec, seed: int) -> Policy:
    """Uniform over the legal actions; the same seed plays the same moves."""
    generator = np.random.default_rng(seed)
    bits = np.arange(64, dtype=np.uint64)

    def policy(obs: npt.NDArray[np.float32], legal_masks: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        del obs
        legal = (legal_masks[:, :, None] >> bits & np.uint64(1)).reshape(
            len(legal_masks), 64 * spec.mask_words
        )
        chosen: npt.NDArray[np.int64] = np.argmax(legal * generator.uniform(0.5, 1.0, legal.shape), axis=1)
        return chosen

    return policy


def _ask(game: Game, position: Positions) -> bytes | None:
    """A legal action from the person, None where they leave."""
    while True:
        sys.stdout.write("your move> ")
        sys.stdout.flush()
        line = sys.stdin.readline()
        if not sys.stdin.isatty():
            _say(line.strip())  # what a terminal would have echoed
        if not line or line.strip().lower() in _LEAVE:
            if not line and sys.stdin.isatty():
                _say("")
            return None
        try:
            action = game.parse_action(line)
            game.step(position.states, _row(action))
        except BadActionText as error:
            _say(str(error))
        except IllegalAction as error:
            why = error.reason.partition(";")[0]
            _say(f"move {line.strip()!r}: {why}; you may play {', '.join(_legal(game, position))}")
        else:
            return action


def _legal(game: Game, position: Positions) -> list[str]:
    """The legal actions of one position in words."""
    words = position.legal_masks[0]
    found = [
        64 * index + bit for index, word in enumerate(words) for bit in range(64) if int(word) >> bit & 1
    ]
    return [game.action_text(encode_discrete(np.array([action])).tobytes()) for action in found]


def _verdict(reward: float, *, mine: bool) -> str:
    if reward == 0:
        return "Nobody wins."
    return "You win." if mine == (reward > 0) else "You lose."


def _row(action: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(action, np.uint8).reshape(1, -1)


def _trained(settings: Settings, run: str) -> Policy:
    # Kafka and the object store are asked only for who asks for a trained opponent.
    from cartridge.policies import load_policy

    policy: Policy = load_policy(settings, run)
    return policy


def _game(env_id: str) -> Game:
    try:
        return registry.get(env_id)
    except UnknownGame as error:
        raise UsageError(f"game {env_id!r}: there is none; choose one of {', '.join(error.known)}") from error


def _actions(spec: GameSpec) -> str:
    space: Any = spec.action_space
    return f"{space.n} discrete" if isinstance(space, Discrete) else type(space).__name__


def _kind(spec: GameSpec) -> list[str]:
    return [
        "zero-sum" if spec.zero_sum else "general-sum",
        "perfect information" if spec.perfect_information else "imperfect information",
        "stochastic" if spec.stochastic else "deterministic",
    ]


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
