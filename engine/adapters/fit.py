"""Which interface fits which game.

Enters: a game's spec. Leaves: the interfaces that it has. Invariant: an environment is only made of
a game that it fits.

| game                                     | Gymnasium Env and VectorEnv | PettingZoo AEC        | PettingZoo parallel |
|------------------------------------------|-----------------------------|-----------------------|---------------------|
| of one player                            | yes                         |                       |                     |
| of several who take turns, Discrete      | from one player's seat      | yes                   |                     |
| of several agents who move at once       |                             | by `parallel_to_aec`  | yes                 |

A game of several players who take turns and whose actions have no mask has none: an opponent could not choose.
"""

from __future__ import annotations

from typing import Literal

from games.errors import NotOffered
from games.spec import Discrete, GameSpec

Interface = Literal["GameEnv", "GameVectorEnv", "GameAecEnv", "GameParallelEnv"]


def interfaces(spec: GameSpec) -> tuple[Interface, ...]:
    """Those that fit the game."""
    if spec.agents:
        return ("GameParallelEnv",)
    if spec.players == 1:
        return ("GameEnv", "GameVectorEnv")
    if isinstance(spec.action_space, Discrete):
        return ("GameEnv", "GameVectorEnv", "GameAecEnv")
    return ()


def check_fit(spec: GameSpec, interface: Interface) -> None:
    """Raises NotOffered, naming the interfaces that fit, if this one does not."""
    fitting = interfaces(spec)
    if interface not in fitting:
        others = f"take {' or '.join(fitting)}" if fitting else "none does, take EngineClient"
        raise NotOffered(f"env_id {spec.env_id!r}: {interface} does not fit the game; {others}")
