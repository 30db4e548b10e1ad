"""A game's spec in Gymnasium's words, and actions and masks between the two.

Enters: a spec, legal masks, actions as agents give them. Leaves: Gymnasium spaces, int8 masks, encoded actions.
Invariant: an action that is encoded is in the action space; whether it is legal is the mask's to say.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt

from games.batch import unpack_masks
from games.encodings import action_layout, encode_actions
from games.errors import IllegalAction, NotOffered
from games.spec import Box, Discrete, GameSpec, MultiDiscrete

U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]

_WORD, _BIT, _ONE = np.uint64(6), np.uint64(63), np.uint64(1)


def observation_space(shape: tuple[int, ...]) -> gymnasium.spaces.Space[npt.NDArray[np.float32]]:
    """A Box of f32 of that shape; specs tell no bounds."""
    space: gymnasium.spaces.Space[Any] = gymnasium.spaces.Box(-np.inf, np.inf, shape, np.float32)
    return space


def masked_observation_space(shape: tuple[int, ...], actions: int) -> gymnasium.spaces.Dict:
    """What PettingZoo's classic games give: the observation, and which actions are legal."""
    mask = gymnasium.spaces.Box(0, 1, (actions,), np.int8)
    return gymnasium.spaces.Dict({"observation": observation_space(shape), "action_mask": mask})


def action_space(spec: GameSpec) -> gymnasium.spaces.Space[Any]:
    """Discrete, MultiDiscrete or Box, as the spec says."""
    match spec.action_space:
        case Discrete(n=n):
            return gymnasium.spaces.Discrete(n)
        case MultiDiscrete(nvec=nvec):
            return gymnasium.spaces.MultiDiscrete(list(nvec))
        case Box(low=low, high=high, shape=shape):
            bounds = [np.array(bound, np.float32).reshape(shape) for bound in (low, high)]
            return gymnasium.spaces.Box(bounds[0], bounds[1], shape, np.float32)


def masked_actions(spec: GameSpec) -> int:
    """How many actions the legal mask of a game without agents covers: n of a Discrete space, else 0, no mask."""
    return spec.action_space.n if isinstance(spec.action_space, Discrete) else 0


def int8_masks(legal_masks: U64, actions: int) -> npt.NDArray[np.int8]:
    """Legal masks u64[N, W] as int8[N, actions] of 0 and 1, what `Space.sample` takes; the caller's own."""
    return unpack_masks(legal_masks, actions).view(np.int8)


def action_masks(spec: GameSpec, legal_masks: U64) -> npt.NDArray[np.bool_]:
    """Legal actions as sb3-contrib's MaskablePPO asks for them: bool[N, n], or bool[N, sum of nvec] of a
    MultiDiscrete, where every action is legal.

    Raises:
        NotOffered: actions are continuous.
    """
    match spec.action_space:
        case Discrete(n=n):
            return unpack_masks(legal_masks, n)
        case MultiDiscrete(nvec=nvec):
            return np.ones((len(legal_masks), sum(nvec)), np.bool_)
        case Box():
            raise NotOffered(f"env_id {spec.env_id!r}: continuous actions have no mask; every one is legal")


def hint_bytes(hint: bytes | str) -> bytes:
    """A reset hint that may be given as text."""
    return hint.encode() if isinstance(hint, str) else hint


def illegal_rows(legal_masks: U64, encoded: U8) -> npt.NDArray[np.bool_]:
    """Which rows' mask u64[N, W] does not have their action u8[N, 4] of a Discrete space, bool[N]."""
    if len(encoded) == 1:  # Python's numbers are quicker than arrays of one
        chosen = int.from_bytes(encoded.data, "little")
        return np.array([int(legal_masks[0, chosen >> 6]) >> (chosen & 63) & 1 == 0])
    action = encoded.view("<u4").astype(np.uint64)
    words = legal_masks
    if legal_masks.shape[1] > 1:
        words = np.take_along_axis(legal_masks, (action >> _WORD).view(np.int64), axis=1)
    illegal: npt.NDArray[np.bool_] = (words >> (action & _BIT) & _ONE)[:, 0] == 0
    return illegal


class ActionCoder:
    """Actions of one game, as agents give them, as the game takes them."""

    def __init__(self, spec: GameSpec) -> None:
        self._name = spec.encoding.action
        self._components = action_layout(self._name)[1]
        self._space = spec.action_space
        self._whole = not isinstance(self._space, Box)
        nvec = self._space.nvec if isinstance(self._space, MultiDiscrete) else ()
        self._one_number = self._space.n if isinstance(self._space, Discrete) else 0
        if isinstance(self._space, Box):
            self._low, self._high = np.array((self._space.low, self._space.high), np.float32)
        self._limits = np.array((self._space.n,) if isinstance(self._space, Discrete) else nvec, np.uint64)

    def encode(self, actions: Any, rows: int) -> U8:
        """Actions of so many rows.

        Args:
            actions: [N] of a Discrete space, [N, K] of a MultiDiscrete, [N, *shape] of a Box.
            rows: N.

        Returns:
            u8[N, A].

        Raises:
            ValueError: they are of another shape, or not numbers of that kind.
            IllegalAction: one is outside the action space; names the first such row. Numbers of a Box are clipped
                to it instead, as Gymnasium's Pendulum does; NaN stays, for the game to refuse.
        """
        numbers = np.asarray(actions)
        if numbers.ndim == 0 or len(numbers) != rows or numbers.size != rows * self._components:
            raise ValueError(
                f"actions: shape {numbers.shape}; give {rows} rows, each an action of {self._space}"
            )
        if self._one_number and rows == 1 and numbers.dtype.kind in "iu":
            action = numbers.item()
            if 0 <= action < self._one_number:
                return np.frombuffer(action.to_bytes(4, "little"), np.uint8).reshape(1, 4)
        numbers = numbers.reshape(rows, self._components)
        if numbers.dtype.kind not in ("iu" if self._whole else "iuf"):
            raise ValueError(f"actions: {numbers.dtype}; give numbers of {self._space}")
        if not self._whole:
            return encode_actions(self._name, np.clip(numbers, self._low, self._high))
        # A negative number is a large one of the other kind.
        beyond = numbers.astype(np.int64).view(np.uint64) >= self._limits
        if beyond.any():
            row = int(np.flatnonzero(beyond.any(axis=1))[0])
            action = np.array(numbers[row], np.int64)
            raise IllegalAction(row, action.tobytes(), f"{action.tolist()} is outside {self._space}")
        return numbers.astype("<u4").view(np.uint8)
