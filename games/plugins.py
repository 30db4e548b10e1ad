"""Games of other installed packages, by entry point.

Enters: what is installed. Leaves: games by name, and a line for each entry point of which none could be made.
Invariant: whatever one plugin does while it is loaded, the others are loaded; a name that is taken stays whose it is.

A package offers a game by an entry point of group `cartridge.games` whose name is the game's env_id:

    [project.entry-points."cartridge.games"]
    chess = "chess_games.chess:Chess"
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points

from games.contract import Game
from games.spec import ENV_ID, ENV_ID_RULE, GameSpec

GROUP = "cartridge.games"

_MOST_REASON = 300  # characters of what a plugin raised


@dataclass(frozen=True, slots=True)
class Plugins:
    """What was found."""

    games: dict[str, Game] = field(default_factory=dict)  # by env_id
    broken: dict[str, str] = field(
        default_factory=dict
    )  # by entry point's name: why there is no game, in one line


def discover(taken: Collection[str]) -> Plugins:
    """Load every plugin that is installed.

    Args:
        taken: names that are not theirs to have.
    """
    found = Plugins()
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, _package(point))):
        reason = _refusal(point, {*taken, *found.games})
        if not reason:
            try:
                found.games[point.name] = _load(point)
                continue
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin may raise anything; it is told
                reason = f"{type(error).__name__}: {' '.join(str(error).split())[:_MOST_REASON]}"
        found.broken[point.name] = f"plugin {point.value} of {_package(point)}: {reason}"
    return found


def _refusal(point: EntryPoint, taken: Collection[str]) -> str:
    """Why an entry point is not even loaded, or nothing."""
    if ENV_ID.fullmatch(point.name) is None:
        return f"its name {point.name!r} fits no run: {ENV_ID_RULE}"
    if point.name in taken:
        return f"{point.name!r} is another game's name; choose another"
    return ""


def _load(point: EntryPoint) -> Game:
    """The game of an entry point. Raises what the plugin raises, and TypeError or ValueError for what is no game."""
    game = point.load()()
    if not isinstance(game, Game) or not isinstance(game.spec, GameSpec):
        raise TypeError(f"it makes a {type(game).__name__}, not a Game with a GameSpec; return one")
    if game.spec.env_id != point.name:
        raise ValueError(f"it makes {game.spec.env_id!r}; give the entry point that name")
    return game


def _package(point: EntryPoint) -> str:
    """Whose entry point it is, e.g. "chess-games 1.2"."""
    return "an unknown package" if point.dist is None else f"{point.dist.name} {point.dist.version}"
