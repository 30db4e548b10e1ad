"""How a game describes itself: identity, encodings, action space, sizes.

Enters: what a game's author (or an engine's Capabilities message) says. Leaves: a frozen, consistent `GameSpec`.
Invariant: a spec that exists is possible; sizes, encodings and action space never disagree.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral

from games import encodings
from games.errors import BadSpec

# What fits wherever a game's name goes; a run's own name is the game's, a date and a time, and has 63 at most.
ENV_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
ENV_ID_RULE = "use letters, digits, - and _, a letter or digit first, 40 at most"
# What fits the columns and the messages that games travel in.
MOST_PLAYERS = 255  # numbered in a u8
MOST_ACTIONS = 2**31 - 1  # of one discrete choice
MOST = 2**32 - 1  # of anything else
MASK_BITS = 64  # legal masks are little-endian u64 words: bit (a % 64) of word a // 64 is action a


def _check_range(field: str, *values: object, most: int = MOST) -> None:
    """Raises BadSpec where a value is no integer of 1 to `most`."""
    for value in values:
        if not isinstance(value, Integral) or int(value) < 1:
            raise BadSpec(f"{field} = {value}: give at least 1")
        if int(value) > most:
            raise BadSpec(f"{field} = {value}: give {most} at most")


@dataclass(frozen=True, slots=True)
class Encoding:
    """Names of the byte layouts of state, action and observation, and the version of the whole schema."""

    state: str
    action: str
    obs: str
    schema_version: int


@dataclass(frozen=True, slots=True)
class Discrete:
    """Actions 0..n-1, each one a u32."""

    n: int

    def __post_init__(self) -> None:
        if self.n < 1:
            raise BadSpec(f"Discrete.n = {self.n}: give at least one action")
        _check_range("Discrete.n", self.n, most=MOST_ACTIONS)


@dataclass(frozen=True, slots=True)
class MultiDiscrete:
    """A tuple of discrete choices, component i in 0..nvec[i]-1, each one a u32."""

    nvec: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.nvec or min(self.nvec) < 1:
            raise BadSpec(
                f"MultiDiscrete.nvec = {self.nvec}: give at least one component, each of at least one choice"
            )
        _check_range("MultiDiscrete.nvec", *self.nvec, most=MOST_ACTIONS)


@dataclass(frozen=True, slots=True)
class Box:
    """f32 arrays of `shape`, element i (row-major) between low[i] and high[i]."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        size = math.prod(self.shape)
        if not size == len(self.low) == len(self.high):
            raise BadSpec(
                f"Box.shape = {self.shape}: low has {len(self.low)} and high {len(self.high)} of {size} values"
            )
        if not all(low <= high for low, high in zip(self.low, self.high, strict=True)):  # NaN too
            raise BadSpec(f"Box.low = {self.low}: NaN, or above Box.high = {self.high}")


ActionSpace = Discrete | MultiDiscrete | Box


def action_space_bytes(space: ActionSpace) -> int:
    """Size in bytes of one encoded action: four a component, u32 or f32."""
    return 4 * action_components(space)


def action_components(space: ActionSpace) -> int:
    """Numbers in one action."""
    match space:
        case Discrete():
            return 1
        case MultiDiscrete():
            return len(space.nvec)
        case Box():
            return math.prod(space.shape)


def action_encoding(space: ActionSpace) -> str:
    """The name of the encoding in which actions of this space travel, e.g. "action:u32x4:v1"."""
    match space:
        case Discrete():
            return encodings.ACTION_DISCRETE
        case MultiDiscrete():
            return f"action:u32x{len(space.nvec)}:v1"
        case Box():
            return f"action:f32x{math.prod(space.shape)}:v1"


def mask_words(actions: int) -> int:
    """u64 words of the legal mask of so many discrete actions."""
    return -(-actions // MASK_BITS)


@dataclass(frozen=True)
class AgentSpec:
    """One of several agents who move at once: its own part of every observation, action and mask.

    Attributes:
        name: unique within the game, e.g. "red_scout".
        loadout: agents of one loadout have the same observation and actions, and may share a policy.
        actions: its actions are 0..actions-1, one u32 of the joint action.
        obs_shape: shape of its part of the joint observation.
    """

    name: str
    loadout: str
    actions: int
    obs_shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.name or not self.loadout:
            raise BadSpec(f"AgentSpec.name = {self.name!r}, loadout = {self.loadout!r}: neither may be empty")
        if self.actions < 1 or not self.obs_shape or min(self.obs_shape) < 1:
            raise BadSpec(
                f"AgentSpec.actions = {self.actions}, obs_shape = {self.obs_shape}: give at least 1 of each"
            )
        _check_range("AgentSpec.actions", self.actions, most=MOST_ACTIONS)
        _check_range("AgentSpec.obs_shape", *self.obs_shape)

    @cached_property
    def obs_size(self) -> int:
        """Number of f32 values of its observation."""
        return math.prod(self.obs_shape)


@dataclass(frozen=True)
class GameSpec:
    """What a game is, to everyone who does not know its rules.

    Attributes:
        env_id: the game's name.
        build_id: changes whenever the rules or an encoding do; states of another build are not exchangeable.
        encoding: names of the byte layouts.
        max_horizon: most steps that an episode can have.
        action_space: Discrete, MultiDiscrete or Box.
        preferred_batch: rows a call at which the kernels work well.
        players: number of players, 1 or more.
        state_bytes: S, size of a state row.
        action_bytes: A, size of an action row.
        obs_shape: shape of one observation of f32; its product is O.
        zero_sum: the players' rewards of each step sum to zero (the ones that do not move get the negative).
        perfect_information: positions with equal observations have equal legal actions and movers and, but for chance
            and the horizon, equal consequences.
        stochastic: the same action in the same position may have different outcomes under different seeds.
        hint: what a reset hint may be, in a line for people; empty if the game takes none.
        decodes: older state encodings that `Game.upgrade_states` still understands.
        agents: where several agents move at once, each one in the order of the columns; else empty. A row is then all
            agents' moves: the joint action has a u32 each, the joint observation and mask are theirs one after the
            other, and a step rewards each of them.
        grid: (height, width) of a game that takes visibility queries, else None.
    """

    env_id: str
    build_id: str
    encoding: Encoding
    max_horizon: int
    action_space: ActionSpace
    preferred_batch: int
    players: int
    state_bytes: int
    action_bytes: int
    obs_shape: tuple[int, ...]
    zero_sum: bool
    perfect_information: bool
    stochastic: bool
    hint: str = ""
    decodes: tuple[str, ...] = ()
    agents: tuple[AgentSpec, ...] = ()
    grid: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        for field in ("max_horizon", "preferred_batch", "players", "state_bytes", "action_bytes"):
            most = MOST_PLAYERS if field == "players" else MOST
            _check_range(f"GameSpec.{field}", getattr(self, field), most=most)
        _check_range("GameSpec.obs_shape", *self.obs_shape)
        _check_range("GameSpec.encoding.schema_version", self.encoding.schema_version)
        if not self.env_id or not self.build_id:
            raise BadSpec(
                f"GameSpec.env_id = {self.env_id!r}, build_id = {self.build_id!r}: neither may be empty"
            )
        if self.action_bytes != action_space_bytes(self.action_space):
            raise BadSpec(
                f"GameSpec.action_bytes = {self.action_bytes}: {self.action_space} needs another size"
            )
        if self.grid is not None and min(self.grid) < 1:
            raise BadSpec(f"GameSpec.grid = {self.grid}: give at least 1 by 1")
        _check_range("GameSpec.grid", *(self.grid or ()))
        self._check_encoding()
        self._check_agents()

    def _check_agents(self) -> None:
        if not self.agents:
            return
        names = [agent.name for agent in self.agents]
        if len(set(names)) < len(names):
            raise BadSpec(f"GameSpec.agents = {names}: two have the same name")
        if self.players != len(names):
            raise BadSpec(f"GameSpec.players = {self.players}: there are {len(names)} agents")
        joint = MultiDiscrete(tuple(agent.actions for agent in self.agents))
        if self.action_space != joint:
            raise BadSpec(f"GameSpec.action_space = {self.action_space}: the agents' is {joint}")
        floats = sum(agent.obs_size for agent in self.agents)
        if self.obs_size != floats:
            raise BadSpec(f"GameSpec.obs_shape = {self.obs_shape}: the agents see {floats} values")

    def _check_encoding(self) -> None:
        for kind in ("state", "action", "obs"):
            name = getattr(self.encoding, kind)
            if encodings.parse(name).kind != kind:
                raise BadSpec(f"GameSpec.encoding.{kind} = {name!r}: is the encoding of something else")
        if self.encoding.action != action_encoding(self.action_space):
            raise BadSpec(
                f"GameSpec.encoding.action = {self.encoding.action!r}: {self.action_space} travels as "
                f"{action_encoding(self.action_space)!r}"
            )
        for name in self.decodes:
            if encodings.parse(name).kind != "state" or name == self.encoding.state:
                raise BadSpec(f"GameSpec.decodes = {self.decodes}: {name!r} is not an older state encoding")
        if encodings.obs_size(self.encoding.obs) != self.obs_size:
            raise BadSpec(f"GameSpec.obs_shape = {self.obs_shape}: disagrees with {self.encoding.obs!r}")
        if self.zero_sum and self.players < 2:
            raise BadSpec(f"GameSpec.zero_sum = True: needs two players, not {self.players}")

    @cached_property
    def obs_size(self) -> int:
        """O, number of f32 values in one observation."""
        return math.prod(self.obs_shape)

    @cached_property
    def mask_words(self) -> int:
        """W, u64 words of one legal mask: ceil(n / 64) for Discrete(n), the agents' one after the other where there are
        several, else 0 (no mask: every action of the space is legal)."""
        if self.agents:
            return sum(mask_words(agent.actions) for agent in self.agents)
        return mask_words(self.action_space.n) if isinstance(self.action_space, Discrete) else 0

    @cached_property
    def reward_width(self) -> int:
        """R, rewards of one step: one, to the player who moved; or one for each of several agents."""
        return len(self.agents) or 1

    def agent_obs(self, agent: int) -> slice:
        """Where agent number `agent`'s values lie in the joint observation."""
        start = sum(other.obs_size for other in self.agents[:agent])
        return slice(start, start + self.agents[agent].obs_size)

    def agent_mask(self, agent: int) -> slice:
        """Where agent number `agent`'s words lie in the joint legal mask."""
        start = sum(mask_words(other.actions) for other in self.agents[:agent])
        return slice(start, start + mask_words(self.agents[agent].actions))
