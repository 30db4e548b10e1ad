"""The typed state of connect four and its byte layout, `state:packed_u8:v1`.

Enters: state bytes. Leaves: a typed view on them. Invariant: offsets never change; a new layout gets a new version.

| offset | bytes | content                                                                          |
|--------|-------|----------------------------------------------------------------------------------|
| 0      | 6     | player 0's stones, a byte a row of the board from the top, bit c is column c     |
| 6      | 6     | player 1's stones, likewise                                                      |
| 12     | 1     | player to move, 0 or 1; after the end still the one who would be next            |
| 13     | 1     | status: 0 goes on, 1 player 0 has won, 2 player 1 has won, 3 drawn               |

Bit 7 of a row's byte is never set. It keeps a line that runs off the right side from going on at the left, so that six
bytes read as one number are a bit set in which the four directions are shifts by 1, 7, 8 and 9.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

ROWS, COLUMNS = 6, 7
CELLS = ROWS * COLUMNS
STATE_BYTES = 14
OBS_SHAPE = (2, ROWS, COLUMNS)

GOES_ON, WON_BY_0, WON_BY_1, DRAWN = range(4)

STATE = np.dtype({"names": ["stones", "player", "status"], "formats": [("u1", (2, ROWS)), "u1", "u1"]})


def typed(states: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """A view of u8[N, 14] as STATE[N]; no copy."""
    return states.view(STATE).reshape(-1)
