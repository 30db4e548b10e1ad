"""Encodings by name: what `obs:f32x29:v1` or `action:discrete:v1` means in bytes.

Enters: an encoding's name, or actions as integers. Leaves: its parsed form, numpy dtypes and sizes, action bytes.
Invariant: every number is little-endian and of fixed size, so that a column of N rows is N * size bytes and one view.

    >>> parse("obs:f32x29:v1")
    EncodingName(kind='obs', layout='f32x29', version=1)
    >>> obs_size("obs:f32x29:v1")
    29
    >>> encode_discrete(np.array([4]))
    array([[4, 0, 0, 0]], dtype=uint8)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
import numpy.typing as npt

from games.errors import BadEncoding

Kind = Literal["state", "action", "obs"]

_NAME = re.compile(r"(state|action|obs):([a-z][a-z0-9_]*):v([1-9][0-9]*)")
_OBS_LAYOUT = re.compile(r"f32x([1-9][0-9]*)")

ACTION_DISCRETE = "action:discrete:v1"
DISCRETE_BYTES = 4  # u32, little-endian
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
    if actions.dtype != np.uint8 or actions.ndim != 2 or actions.shape[1] != DISCRETE_BYTES:
        raise BadEncoding(
            f"actions: {actions.dtype}{list(actions.shape)} is not {ACTION_DISCRETE}; give u8[N, {DISCRETE_BYTES}]"
        )
    return np.ascontiguousarray(actions).reshape(-1).view("<u4")
