"""What scouts and guards can do and see: the words of their actions, and the spec of their observations.

Enters: the rules' constants. Leaves: one `AgentSpec` and one `Observer` an agent, and the plan of all observations.
Invariant: agents of one loadout have the same actions and the same observation, on either side.
"""

from __future__ import annotations

import functools

from games.arena.arenas import MAPS
from games.arena.kernels import HEALTH, HORIZON, LOADOUT_MOVES
from games.arena.state import AGENTS, SIDE, STATE_BYTES
from games.observation.plan import ObservationPlan
from games.observation.spec import Bearing, Field, Number, ObservationSpec, Observer, Place, Sum, Thing, View
from games.spec import AgentSpec

LOADOUTS = ("scout", "guard")
SIGHT = (4, 3)  # how far scouts and guards see, in rows and in columns
MOVES = ("stay", "north", "south", "west", "east", "northwest", "northeast", "southwest", "southeast")
SHOTS = ("shoot-scout", "shoot-guard")  # of the other team

_MAP_AT, _STEPS, _FLAG, _CELLS, _HEALTH = 16, Field(18), Field(19), 20, 24
# Ground: 1 on open cells, -1 on walls. Agents: an ally's health, an opponent's with a minus. What a sign tells apart
# needs no planes of its own: a joint observation has 2.2 KB, so that thousands of rows stay in a processor's caches.
_PLANES = (Sum.of(seen=1, walls=-2), Sum.of(allies=1, opponents=-1))

# action number of a loadout -> its word
ACTIONS = tuple((*MOVES[: int(count)], *SHOTS) for count in LOADOUT_MOVES)

SPECS = tuple(
    ObservationSpec(
        (
            View(_PLANES, radius=SIGHT[loadout]),
            Bearing("flag", radius=SIGHT[loadout]),
            Place(),
            Number("health", of=int(HEALTH[loadout])),
            Number("ally_health", of=int(HEALTH[1 - loadout])),
            Number("steps", of=HORIZON, left=True),
        )
    )
    for loadout in range(2)
)

AGENT_SPECS = tuple(
    AgentSpec(
        name=name,
        loadout=LOADOUTS[agent & 1],
        actions=len(ACTIONS[agent & 1]),
        obs_shape=(SPECS[agent & 1].size((SIDE, SIDE)),),
    )
    for agent, name in enumerate(AGENTS)
)


def observer(agent: int) -> Observer:
    """Agent number `agent`'s view of a state."""
    ally, opponents = agent ^ 1, (2 - (agent & 2), 3 - (agent & 2))
    return Observer(
        spec=SPECS[agent & 1],
        cell=Field(_CELLS + agent),
        things={
            "allies": (_fighter(ally),),
            "opponents": tuple(_fighter(opponent) for opponent in opponents),
            "flag": (Thing(_FLAG),),
        },
        numbers={"health": Field(_HEALTH + agent), "ally_health": Field(_HEALTH + ally), "steps": _STEPS},
    )


@functools.cache
def plan() -> ObservationPlan:
    """The joint observation of all agents."""
    observers = tuple(observer(agent) for agent in range(len(AGENTS)))
    return ObservationPlan(observers, MAPS, state_bytes=STATE_BYTES, map_at=_MAP_AT)


def _fighter(agent: int) -> Thing:
    """An agent as others see it: its mark is the share of its health that is left."""
    return Thing(Field(_CELLS + agent), value=Field(_HEALTH + agent), of=int(HEALTH[agent & 1]))
