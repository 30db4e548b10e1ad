"""How a game describes itself: identity, encodings, action space, sizes.

Enters: what a game's author (or an engine's Capabilities message) says. Leaves: a frozen, consistent `GameSpec`.
Invariant: a spec that exists is possible; sizes, encodings and action space never disagree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from games import encodings
from games.errors import BadSpec

MASK_BITS = 64  # legal masks are little-endian u64 words: bit (a % 64) of word a // 64 is action a


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


@dataclass(frozen=True, slots=True)
class MultiDiscrete:
    """A tuple of discrete choices, component i in 0..nvec[i]-1, each one a u32."""

    nvec: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.nvec or min(self.nvec) < 1:
            raise BadSpec(
                f"MultiDiscrete.nvec = {self.nvec}: give at least one component, each of at least one choice"
            )


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
        if any(low > high for low, high in zip(self.low, self.high, strict=True)):
            raise BadSpec(f"Box.low = {self.low}: above Box.high = {self.high}")


ActionSpace = Discrete | MultiDiscrete | Box


def action_space_bytes(space: ActionSpace) -> int:
    """Size in bytes of one encoded action: four a component, u32 or f32."""
    match space:
        case Discrete():
            return encodings.DISCRETE_BYTES
        case MultiDiscrete():
            return 4 * len(space.nvec)
        case Box():
            return 4 * math.prod(space.shape)


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
        perfect_information: the observation determines the state.
        stochastic: the same action in the same position may have different outcomes under different seeds.
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

    def __post_init__(self) -> None:
        for field in ("max_horizon", "preferred_batch", "players", "state_bytes", "action_bytes"):
            if getattr(self, field) < 1:
                raise BadSpec(f"GameSpec.{field} = {getattr(self, field)}: give at least 1")
        if not self.env_id or not self.build_id:
            raise BadSpec(
                f"GameSpec.env_id = {self.env_id!r}, build_id = {self.build_id!r}: neither may be empty"
            )
        if self.action_bytes != action_space_bytes(self.action_space):
            raise BadSpec(
                f"GameSpec.action_bytes = {self.action_bytes}: {self.action_space} needs another size"
            )
        self._check_encoding()

    def _check_encoding(self) -> None:
        for kind in ("state", "action", "obs"):
            name = getattr(self.encoding, kind)
            if encodings.parse(name).kind != kind:
                raise BadSpec(f"GameSpec.encoding.{kind} = {name!r}: is the encoding of something else")
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
        """W, u64 words of one legal mask: ceil(n / 64) for Discrete(n), else 0 (no mask)."""
        if isinstance(self.action_space, Discrete):
            return -(-self.action_space.n // MASK_BITS)
        return 0
