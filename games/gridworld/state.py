"""The typed state of gridworld and its byte layouts, `state:packed_u8:v2` and the older v1.

Enters: state bytes. Leaves: a typed view on them, or states of v1 as states of v2.
Invariant: offsets never change; a new layout gets a new version, and v1 stays readable.

| offset | bytes | content                                                          |
|--------|-------|------------------------------------------------------------------|
| 0      | 1     | x, the column, 0 on the left                                     |
| 1      | 1     | y, the row, 0 on top                                             |
| 2      | 1     | w, the number of columns, 2-16                                   |
| 3      | 1     | h, the number of rows, 2-16                                      |
| 4      | 2     | steps taken, little-endian, at most 4 * w * h; not in v1          |

The goal is the cell of the highest x and y. An episode has ended if x, y is the goal, or if 4 * w * h steps are taken.
v1 (x, y, w, h) had no horizon; its states are taken up as if no step had been taken yet.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from games.batch import U8, check_column

LEAST, MOST = 2, 16  # columns and rows
USUAL = 5
STEPS_A_CELL = 4
STATE_BYTES = 6
STATE_BYTES_V1 = 4
OBS_SIZE = 4
ACTIONS = ("up", "down", "left", "right")

STATE = np.dtype({"names": ["x", "y", "w", "h", "steps"], "formats": ["u1", "u1", "u1", "u1", "<u2"]})


def typed(states: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """A view of u8[N, 6] as STATE[N]; no copy."""
    return states.view(STATE).reshape(-1)


def from_v1(states: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """u8[N, 4] of `state:packed_u8:v1` as u8[N, 6], unchecked. Raises BadBatch on rows of another size."""
    check_column("states", states, U8, (len(states), STATE_BYTES_V1))
    upgraded = np.zeros((len(states), STATE_BYTES), np.uint8)
    upgraded[:, :STATE_BYTES_V1] = states
    return upgraded
