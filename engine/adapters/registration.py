"""Games under names that `gymnasium.make` and `pettingzoo.make` know.

Enters: the games of this process, or of an engine. Leaves: entries in the registries of Gymnasium and PettingZoo.
Invariant: nothing is registered until it is asked for; to register once more changes nothing.

    register_all()
    env = gymnasium.make("cartridge/connect4-v0", player=0)
    envs = gymnasium.make_vec("cartridge/cartpole-v0", num_envs=1024)
    env = pettingzoo.make("aec", "cartridge/connect4-v0")
"""

from __future__ import annotations

from typing import Any

from engine.adapters.fit import interfaces
from engine.client import EngineClient
from games import registry
from games.spec import GameSpec

NAMESPACE = "cartridge"
_MODULES = "engine.adapters"


def name_of(env_id: str) -> str:
    """The registered name of a game, e.g. "cartridge/connect4-v0"."""
    return f"{NAMESPACE}/{env_id}-v0"


def register_all(address: str | None = None) -> tuple[str, ...]:
    """Register every game with Gymnasium and PettingZoo where it fits.

    Args:
        address: host:port of an engine, whose games are played there; None: the games of this process.

    Returns:
        The names, sorted.

    Raises:
        EngineUnavailable: no engine answers.
    """
    return tuple(sorted({*register_gymnasium(address), *register_pettingzoo(address)}))


def register_gymnasium(address: str | None = None) -> tuple[str, ...]:
    """The same for `gymnasium.make` and `gymnasium.make_vec` alone."""
    import gymnasium

    names = []
    for spec in _specs(address):
        if "GameEnv" in interfaces(spec):
            names.append(name_of(spec.env_id))
            gymnasium.registry.pop(names[-1], None)
            gymnasium.register(
                names[-1],
                entry_point=f"{_MODULES}.env:GameEnv",
                vector_entry_point=f"{_MODULES}.vector:GameVectorEnv",
                kwargs=_settings(spec, address),
            )
    return tuple(names)


def register_pettingzoo(address: str | None = None) -> tuple[str, ...]:
    """The same for `pettingzoo.make` alone."""
    import pettingzoo

    names = []
    for spec in _specs(address):
        kinds = {
            "GameAecEnv": {"aec": f"{_MODULES}.aec:GameAecEnv"},
            "GameParallelEnv": {
                "aec": f"{_MODULES}.parallel:aec_env",
                "parallel": f"{_MODULES}.parallel:GameParallelEnv",
            },
        }
        for interface in interfaces(spec):
            for kind, entry_point in kinds.get(interface, {}).items():
                names.append(name_of(spec.env_id))
                known = pettingzoo.aec_registry if kind == "aec" else pettingzoo.parallel_registry
                known.pop(names[-1], None)
                pettingzoo.register(kind, names[-1], entry_point=entry_point, kwargs=_settings(spec, address))
    return tuple(dict.fromkeys(names))


def _specs(address: str | None) -> list[GameSpec]:
    if address is None:
        return [registry.get(env_id).spec for env_id in registry.names()]
    with EngineClient(address) as engine:
        return engine.list_games()


def _settings(spec: GameSpec, address: str | None) -> dict[str, Any]:
    return {"env_id": spec.env_id} | ({} if address is None else {"address": address})
