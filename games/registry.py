"""Games by name.

Enters: a name, or a factory under a name. Leaves: the one instance of that game in this process.
Invariant: importing this module imports no game; a game's folder is imported when it is first asked for. Plugins are
loaded when all names are first asked for; one that is broken is told by `broken` and is no game.

    >>> "tictactoe" in names()
    True
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from typing import cast

from games import plugins
from games.contract import Game
from games.errors import BadSpec, BrokenPlugin, UnknownGame

GameFactory = Callable[[], Game]

# env_id: module and class. A new game is one line here and one folder.
_BUILTIN = {
    "2048": ("games.game2048.game", "Game2048"),
    "arena": ("games.arena.game", "Arena"),
    "cartpole": ("games.cartpole.game", "CartPole"),
    "connect4": ("games.connect4.game", "Connect4"),
    "gridworld": ("games.gridworld.game", "Gridworld"),
    "mastermind": ("games.mastermind.game", "Mastermind"),
    "pendulum": ("games.pendulum.game", "Pendulum"),
    "tictactoe": ("games.tictactoe.game", "TicTacToe"),
}

_lock = threading.RLock()
_registered: dict[str, GameFactory] = {}
_instances: dict[str, Game] = {}
_found: list[plugins.Plugins] = []  # one, once they were looked for


def names() -> tuple[str, ...]:
    """The names of all games, sorted."""
    with _lock:
        return tuple(sorted({*_BUILTIN, *_registered, *_plugins().games}))


def builtin() -> tuple[str, ...]:
    """The names of the games of this package, sorted."""
    return tuple(sorted(_BUILTIN))


def broken() -> dict[str, str]:
    """Plugins of which no game could be made: why, in one line each, by name."""
    with _lock:
        return dict(_plugins().broken)


def get(env_id: str) -> Game:
    """The game of that name; the same instance at every call (games hold no state).

    Raises:
        UnknownGame: there is none; the message lists those there are.
        BrokenPlugin: it is a plugin's name, and no game could be made of it.
        BadSpec: the factory made a game of another name.
    """
    with _lock:
        if env_id not in _instances:
            _instances[env_id] = _make(env_id)
        return _instances[env_id]


def refresh() -> None:
    """Look for plugins again, when a name is next asked for: packages were installed or removed."""
    with _lock:
        for found in _found:
            for env_id in found.games:
                _instances.pop(env_id, None)
        _found.clear()


def register(env_id: str, factory: GameFactory) -> None:
    """Add a game from outside this package.

    Args:
        env_id: its name, which `factory().spec.env_id` must equal.
        factory: called once, when the game is first asked for.

    Raises:
        BadSpec: the name is taken.
    """
    with _lock:
        if env_id in names():
            raise BadSpec(f"env_id {env_id!r}: is registered already; choose another name")
        _registered[env_id] = factory


def unregister(env_id: str) -> None:
    """Take back a `register`; builtin games stay. Raises UnknownGame if it was never registered."""
    with _lock:
        if env_id not in _registered:
            raise UnknownGame(env_id, tuple(sorted(_registered)))
        del _registered[env_id]
        _instances.pop(env_id, None)


def _plugins() -> plugins.Plugins:
    if not _found:
        _found.append(plugins.Plugins())  # for a plugin that asks for a game while it is loaded
        _found[0] = plugins.discover({*_BUILTIN, *_registered})
    return _found[0]


def _make(env_id: str) -> Game:
    if env_id in _registered:
        game = _registered[env_id]()
    elif env_id in _BUILTIN:
        module, name = _BUILTIN[env_id]
        game = cast(GameFactory, getattr(importlib.import_module(module), name))()
    elif env_id in _plugins().games:
        return _plugins().games[env_id]
    elif env_id in _plugins().broken:
        raise BrokenPlugin(env_id, _plugins().broken[env_id])
    else:
        raise UnknownGame(env_id, names())
    if game.spec.env_id != env_id:
        raise BadSpec(
            f"env_id {env_id!r}: its factory made {game.spec.env_id!r}; register it under that name"
        )
    return game
