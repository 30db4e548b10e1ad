"""`cartridge games`: what games there are, what one is, a game against a person, and the checks of a game's author.

In: a command line. Out: tables and pictures on standard output or in files, an exit code.
Invariant: bad input is one line and exit code 2; a game that breaks the contract is one line and exit code 1.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from cartridge import games_play
from cartridge.errors import CartridgeError, UsageError
from cartridge.settings import Settings
from games import registry
from games.contract import Box, Discrete, Game, GameSpec, Positions
from games.errors import BadHint, GameError
from games.render.plan import LIGHT, RenderSpec

_ENGINE_PATIENCE_S = 3.0
_SEEDS = 2**64
_CHECK_WIDTH, _TIMES_WIDTH = 24, 10


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `games` with `list` (also without a word), `show GAME`, `play GAME` and `check GAME`."""
    parser = commands.add_parser("games", help="the games that there are: list, show, play, check")
    parser.set_defaults(handler=_list, engine=False)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")
    listing = actions.add_parser("list", help="a table of all games")
    listing.add_argument(
        "--engine", action="store_true", help="ask the running engine, and say what it refuses"
    )
    listing.set_defaults(handler=_list)
    _add_show(actions)
    _add_play(actions)
    check = _add_game(actions, "check", "hold a game against the contract and its own claims", _check)
    check.add_argument("--seed", type=int, default=1, help="of the episodes and of the moves (default: 1)")
    check.add_argument("--rows", type=int, default=64, help="episodes that are played at once (default: 64)")
    check.add_argument("--steps", type=int, default=1000, help="most steps of an episode (default: 1000)")
    check.add_argument(
        "--hint",
        action="append",
        default=[],
        metavar="HEX",
        help="a reset hint that it should understand; repeatable",
    )
    check.add_argument(
        "--older",
        action="append",
        default=[],
        metavar="ENCODING=HEX",
        help="a state of an older encoding that it must take; repeatable",
    )
    check.add_argument(
        "--reference",
        metavar="MODULE:FUNCTION",
        help="its rules in plain Python, as docs/add-a-game.md has them; steps are compared with it",
    )


def _add_game(actions: Any, name: str, what: str, handler: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=what)
    parser.add_argument("game", help="its name, e.g. tictactoe")
    parser.set_defaults(handler=handler)
    return parser


def _add_show(actions: Any) -> None:
    show = _add_game(actions, "show", "everything about one game, and its start", _show)
    show.add_argument("--json", action="store_true", help="its capabilities as JSON, without the board")
    show.add_argument("--svg", type=Path, metavar="FILE", help="a picture of the start")
    show.add_argument("--png", type=Path, metavar="FILE", help="a picture of the start")
    show.add_argument("--cell", type=int, default=48, metavar="PIXELS", help="side of a cell (default: 48)")
    show.add_argument("--as", dest="sight", metavar="AGENT", help="as this agent or player sees it")
    show.add_argument("--seed", type=int, default=0, help="of the start (default: 0)")
    show.add_argument("--hint", default="", metavar="HEX", help="a reset hint, in hexadecimal digits")


def _add_play(actions: Any) -> None:
    play = _add_game(actions, "play", "play against random moves or a trained policy", _play)
    play.add_argument(
        "--against",
        default=games_play.RANDOM,
        metavar="RUN",
        help="a run's newest policy (default: random moves)",
    )
    play.add_argument("--player", type=int, default=1, help="which player you are: 1 begins (default), 2 ...")
    play.add_argument("--agent", metavar="AGENT", help="which agent you are, of several who move at once")
    play.add_argument(
        "--seed", type=int, default=None, help="of the game and of random moves (default: another each time)"
    )
    play.add_argument("--hint", default="", metavar="HEX", help="a reset hint, in hexadecimal digits")
    play.add_argument(
        "--colour",
        choices=("auto", "always", "never"),
        default="auto",
        help="of the board (default: at a terminal)",
    )


def _list(parsed: argparse.Namespace, settings: Settings) -> int:
    specs, refused = _engine_games(settings) if parsed.engine else _games_here()
    rows = [("GAME", "PLAYERS", "ACTIONS", "LONGEST", "OBSERVATION", "KIND")]
    for spec in specs:
        kind = ", ".join(_kind(spec))
        rows.append(
            (spec.env_id, _players(spec), actions_text(spec), str(spec.max_horizon), spec.encoding.obs, kind)
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        _say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for name, reason in sorted(refused.items()):
        _say(f"{name} is refused: {reason}")
    return 0


def _games_here() -> tuple[list[GameSpec], dict[str, str]]:
    return [registry.get(env_id).spec for env_id in registry.names()], registry.broken()


def _engine_games(settings: Settings) -> tuple[list[GameSpec], dict[str, str]]:
    """The games of the running engine, and why it refuses some."""
    from engine.client import EngineClient

    with EngineClient(settings.engine, timeout_s=_ENGINE_PATIENCE_S) as client:
        return client.list_games(), client.refused_games()


def _show(parsed: argparse.Namespace, settings: Settings) -> int:
    del settings
    game = find(parsed.game)
    state = start(game, parsed.seed, parsed.hint).states.tobytes()
    sight = None if parsed.sight is None else games_play.seat(game.spec, parsed.sight, "--as")
    try:
        plan = game.plan(state, RenderSpec(cell_px=parsed.cell, viewpoint=sight, palette=LIGHT))
        _write_pictures(parsed, plan)
    except GameError as error:
        raise UsageError(f"game {parsed.game!r}: {error}") from error
    if parsed.json:
        _say(json.dumps(facts(game.spec), indent=2))
        return 0
    for name, value in _described(game.spec).items():
        _say(f"{name:16}{value}")
    _say("")
    from games.render.terminal import terminal

    _say(terminal(plan) if sight is not None else game.render_text(state))
    return 0


def _write_pictures(parsed: argparse.Namespace, plan: Any) -> None:
    from games.render.png import png
    from games.render.svg import svg

    try:
        if parsed.svg is not None:
            parsed.svg.write_text(svg(plan), "utf-8")
        if parsed.png is not None:
            parsed.png.write_bytes(png(plan))
    except OSError as error:
        raise UsageError(
            f"{error.filename}: cannot be written ({error.strerror}); choose another file"
        ) from error


def facts(spec: GameSpec) -> dict[str, Any]:
    """A game's capabilities as what JSON can hold; bounds that there are not are null."""
    space: dict[str, Any] = {"kind": type(spec.action_space).__name__}
    match spec.action_space:
        case Discrete(n):
            space["n"] = n
        case Box(low, high, shape):
            bounds = {"low": low, "high": high}
            finite = {
                name: [value if math.isfinite(value) else None for value in row]
                for name, row in bounds.items()
            }
            space |= {**finite, "shape": list(shape)}
        case multi:
            space["nvec"] = list(multi.nvec)
    agents = [
        {
            "name": agent.name,
            "loadout": agent.loadout,
            "actions": agent.actions,
            "obs_shape": list(agent.obs_shape),
        }
        for agent in spec.agents
    ]
    encoding = spec.encoding
    return {
        "env_id": spec.env_id,
        "build_id": spec.build_id,
        "encoding": {"state": encoding.state, "action": encoding.action, "obs": encoding.obs},
        "schema_version": encoding.schema_version,
        "decodes": list(spec.decodes),
        "action_space": space,
        "players": spec.players,
        "agents": agents,
        "obs_shape": list(spec.obs_shape),
        "state_bytes": spec.state_bytes,
        "action_bytes": spec.action_bytes,
        "mask_words": spec.mask_words,
        "max_horizon": spec.max_horizon,
        "preferred_batch": spec.preferred_batch,
        "zero_sum": spec.zero_sum,
        "perfect_information": spec.perfect_information,
        "stochastic": spec.stochastic,
        "hint": spec.hint,
        "grid": None if spec.grid is None else list(spec.grid),
    }


def _described(spec: GameSpec) -> dict[str, str]:
    """A game's capabilities in lines for people."""
    said = {
        "game": spec.env_id,
        "build": spec.build_id,
        "players": str(spec.players),
        "kind": ", ".join(_kind(spec)),
        "actions": actions_text(spec),
        "longest episode": f"{spec.max_horizon} steps",
        "state": f"{spec.encoding.state}, {spec.state_bytes} bytes",
        "action": f"{spec.encoding.action}, {spec.action_bytes} bytes",
        "observation": f"{spec.encoding.obs}, shape {list(spec.obs_shape)}",
        "legal mask": f"{spec.mask_words} words of 64 actions"
        if spec.mask_words
        else "none: every action is legal",
        "schema version": str(spec.encoding.schema_version),
        "preferred batch": str(spec.preferred_batch),
        "reset hint": spec.hint or "takes none",
    }
    for number, agent in enumerate(spec.agents, 1):
        said[f"agent {number}"] = (
            f"{agent.name}, a {agent.loadout}: {agent.actions} actions, observation {list(agent.obs_shape)}"
        )
    if spec.decodes:
        said["older states"] = ", ".join(spec.decodes)
    if spec.grid:
        said["lines of sight"] = f"on {spec.grid[0]} x {spec.grid[1]} cells"
    return said


def _play(parsed: argparse.Namespace, settings: Settings) -> int:
    game = find(parsed.game)
    person = games_play.person(game.spec, player=parsed.player, agent=parsed.agent)
    seed = int(np.random.SeedSequence().generate_state(1)[0]) if parsed.seed is None else parsed.seed
    position = start(game, seed, parsed.hint)
    policy = games_play.opponent(game, parsed.against, seed=seed, settings=settings)
    colour = parsed.colour == "always" or (parsed.colour == "auto" and sys.stdout.isatty())
    table = games_play.Table(game, policy, person, colour=colour)
    against = f"against {parsed.against}" if game.spec.players > 1 else "alone"
    table.say(f"You are {table.name}, {against} (seed {seed}). Type a move, ? for help, or quit.")
    return table.play(position)


def _check(parsed: argparse.Namespace, settings: Settings) -> int:
    del settings
    from games.conformance import CHECKS, Nonconformity, Trial, run_checks

    game = find(parsed.game)
    if parsed.rows < 2 or parsed.steps < 1 or parsed.seed < 0:
        raise UsageError(
            f"--rows {parsed.rows} --steps {parsed.steps} --seed {parsed.seed}: give at least 2, 1 and 0"
        )
    hints = tuple(_bytes(hint) for hint in parsed.hint)
    older = tuple(
        (name, _bytes(state, "--older")) for name, _, state in (row.partition("=") for row in parsed.older)
    )
    reference = None if parsed.reference is None else _function(parsed.reference)
    trial = Trial(game, parsed.seed, parsed.rows, parsed.steps, reference, hints, 2, older)
    _say(f"{game.spec.env_id}, build {game.spec.build_id}, seed {parsed.seed}")
    _say(f"{'CHECK':{_CHECK_WIDTH}}{'LOOKED AT':>{_TIMES_WIDTH}}  NOTE")
    done = run_checks(trial)
    for name in CHECKS:
        if sys.stdout.isatty():  # what is being looked at, until its line replaces it
            sys.stdout.write(f"{name} ...\r")
            sys.stdout.flush()
        try:
            checked = next(done)
        except Nonconformity as finding:
            _say(f"{name:{_CHECK_WIDTH}}{'broken':>{_TIMES_WIDTH}}")
            raise CartridgeError(str(finding)) from finding
        _say(f"{name:{_CHECK_WIDTH}}{checked.times:{_TIMES_WIDTH},}  {checked.note}".rstrip())
    _say(f"{game.spec.env_id} conforms: {len(CHECKS)} checks.")
    return 0


def find(env_id: str) -> Game:
    """The game of that name. Raises UsageError when there is none, or it cannot be made."""
    try:
        return registry.get(env_id)
    except GameError as error:
        if env_id in registry.names() or env_id in registry.broken():
            raise UsageError(f"game {env_id!r}: {error}") from error
        known = ", ".join(registry.names())
        raise UsageError(f"game {env_id!r}: there is none; choose one of {known}") from error


def start(game: Game, seed: int, hint: str) -> Positions:
    """The first position. Raises UsageError for a seed or hint that is none."""
    if not 0 <= seed < _SEEDS:
        raise UsageError(f"--seed {seed}: it must be 0 to 2**64 - 1")
    try:
        return game.reset(np.array([seed], np.uint64), _bytes(hint))
    except BadHint as error:
        raise UsageError(f"--hint {hint}: {error}") from error


def _bytes(digits: str, option: str = "--hint") -> bytes:
    try:
        return bytes.fromhex(digits)
    except ValueError as error:
        raise UsageError(f"{option} {digits!r}: give bytes in hexadecimal digits, such as 0505") from error


def _function(place: str) -> Any:
    """A function by its module and name. Raises UsageError when there is none."""
    module, _, name = place.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UsageError(
            f"--reference {place}: {error}; give MODULE:FUNCTION, the module on PYTHONPATH"
        ) from error


def actions_text(spec: GameSpec) -> str:
    """An action space in a few words, e.g. "9 discrete"."""
    match spec.action_space:
        case Discrete(n):
            return f"{n} discrete"
        case Box(shape=shape):
            return f"box of {'x'.join(map(str, shape)) or '1'}"
        case multi:
            return "x".join(map(str, multi.nvec)) + " discrete"


def _players(spec: GameSpec) -> str:
    return f"{spec.players} at once" if spec.agents else str(spec.players)


def _kind(spec: GameSpec) -> list[str]:
    return [
        "zero-sum" if spec.zero_sum else "general-sum",
        "perfect information" if spec.perfect_information else "imperfect information",
        "stochastic" if spec.stochastic else "deterministic",
    ]


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
