"""Encodings by name: what `obs:f32x29:v1` or `action:discrete:v1` means in bytes.

Enters: an encoding's name, or actions as integers. Leaves: its parsed form, numpy dtypes and sizes, action bytes.
Invariant: every number is little-endian and of fixed size, so that a column of N rows is N * size bytes and one view.

    >>> parse("obs:f32x29:v1")
    EncodingName(kind='obs', layout='f32x29', version=1)
    >>> obs_size("obs:f32x29:v1")
    29
    >>> encode_discrete(np.array([4]))
    array([[4, 0, 0, 0]], dtype=uint8)
    >>> decode_actions("action:f32x2:v1", encode_actions("action:f32x2:v1", np.array([[0.5, -1]])))
    array([[ 0.5, -1. ]], dtype=float32)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from games.errors import BadEncoding

Kind = Literal["state", "action", "obs"]

_NAME = re.compile(r"(state|action|obs):([a-z][a-z0-9_]*):v([1-9][0-9]*)")
_OBS_LAYOUT = re.compile(r"f32x([1-9][0-9]*)")
_ACTION_LAYOUT = re.compile(r"(discrete)|([uf])32x([1-9][0-9]*)")

ACTION_DISCRETE = "action:discrete:v1"
DISCRETE_BYTES = 4  # u32, little-endian
_U4, _F4 = np.dtype("<u4"), np.dtype("<f4")
_U32_MAX = 2**32 - 1


@dataclass(frozen=True, slots=True)
class EncodingName:
    """The three parts of an encoding's name, kind:layout:vN."""

    kind: Kind
    layout: str
    version: int


def parse(name: str) -> EncodingName:
    """Split an encoding's name.

    Raises:
        BadEncoding: the name is not of the form kind:layout:vN.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise BadEncoding(
            f"encoding {name!r}: not of the form state|action|obs:layout:vN, e.g. 'state:packed_u8:v1'"
        )
    kind, layout, version = match.groups()
    return EncodingName(cast(Kind, kind), layout, int(version))


def obs_size(name: str) -> int:
    """Number of f32 values in one observation of encoding `obs:f32xO:vN`.

    Raises:
        BadEncoding: not an observation encoding of that layout.
    """
    parsed = parse(name)
    match = _OBS_LAYOUT.fullmatch(parsed.layout)
    if parsed.kind != "obs" or match is None:
        raise BadEncoding(f"encoding {name!r}: not an observation of 32-bit floats, e.g. 'obs:f32x29:v1'")
    return int(match.group(1))


def encode_discrete(actions: npt.NDArray[np.integer]) -> npt.NDArray[np.uint8]:
    """Actions as `action:discrete:v1`.

    Args:
        actions: integers of any width, [N], each in 0..2**32-1.

    Returns:
        u8[N, 4], C-contiguous: each action as a little-endian u32.

    Raises:
        BadEncoding: an action does not fit.
    """
    if actions.size and (int(actions.min()) < 0 or int(actions.max()) > _U32_MAX):
        row = int(np.flatnonzero((actions < 0) | (actions > _U32_MAX))[0])
        raise BadEncoding(
            f"actions[{row}] = {int(actions[row])}: does not fit {ACTION_DISCRETE} (0..{_U32_MAX})"
        )
    return np.ascontiguousarray(actions, dtype="<u4").view(np.uint8).reshape(-1, DISCRETE_BYTES)


def decode_discrete(actions: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """The inverse of `encode_discrete`: u8[N, 4] to u32[N], a view where the memory allows one.

    Raises:
        BadEncoding: rows are not 4 bytes.
    """
    _check_rows("actions", actions, ACTION_DISCRETE, DISCRETE_BYTES)
    return np.ascontiguousarray(actions).reshape(-1).view("<u4")


def action_layout(name: str) -> tuple[np.dtype[Any], int]:
    """What one number of an action is, and how many there are: (<u4, 1) for `action:discrete:v1`, (<u4, K) for
    `action:u32xK:v1`, (<f4, K) for `action:f32xK:v1`.

    Raises:
        BadEncoding: not an action encoding of such a layout.
    """
    parsed = parse(name)
    match = _ACTION_LAYOUT.fullmatch(parsed.layout)
    if parsed.kind != "action" or match is None:
        raise BadEncoding(
            f"encoding {name!r}: not an action of 32-bit numbers, e.g. 'action:discrete:v1' or 'action:f32x1:v1'"
        )
    discrete, kind, components = match.groups()
    return (_U4, 1) if discrete else (_F4 if kind == "f" else _U4, int(components))


def encode_actions(name: str, actions: npt.NDArray[np.number]) -> npt.NDArray[np.uint8]:
    """Actions as encoding `name`.

    Args:
        name: e.g. "action:u32x4:v1".
        actions: numbers [N] or [N, K].

    Returns:
        u8[N, 4 * K], C-contiguous.

    Raises:
        BadEncoding: an action does not fit, or there are not K of them a row.
    """
    dtype, components = action_layout(name)
    rows = actions.reshape(len(actions), -1) if actions.size else actions.reshape(0, components)
    if rows.shape[1] != components:
        raise BadEncoding(f"actions: {rows.shape[1]} numbers a row; {name} has {components}")
    if dtype == _U4:
        if rows.dtype.kind not in "iu":
            raise BadEncoding(f"actions: {rows.dtype}; {name} has whole numbers")
        whole = cast(npt.NDArray[np.integer], rows.reshape(-1))
        return encode_discrete(whole).reshape(-1, 4 * components)
    return np.ascontiguousarray(rows, dtype).view(np.uint8)


def decode_actions(name: str, actions: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """The inverse of `encode_actions`: u8[N, 4 * K] to u32[N], u32[N, K] or f32[N, K].

    Raises:
        BadEncoding: rows are of another size.
    """
    dtype, components = action_layout(name)
    _check_rows("actions", actions, name, 4 * components)
    numbers: npt.NDArray[Any] = np.ascontiguousarray(actions).reshape(-1).view(dtype)
    return numbers if parse(name).layout == "discrete" else numbers.reshape(len(actions), components)


def decode_obs(name: str, obs: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Observations u8[N, 4 * O] of encoding `obs:f32xO:vN` as f32[N, O].

    Raises:
        BadEncoding: not such an encoding, or rows are of another size.
    """
    floats = obs_size(name)
    _check_rows("obs", obs, name, 4 * floats)
    return np.ascontiguousarray(obs).reshape(-1).view(_F4).reshape(len(obs), floats)


def _check_rows(field: str, column: npt.NDArray[np.uint8], name: str, row_bytes: int) -> None:
    if column.dtype != np.uint8 or column.ndim != 2 or column.shape[1] != row_bytes:
        raise BadEncoding(
            f"{field}: {column.dtype}{list(column.shape)} is not {name}; give u8[N, {row_bytes}]"
        )
