"""The typed state of tic-tac-toe and its byte layout, `state:packed_u8:v1`.

Enters: state bytes. Leaves: a typed view on them. Invariant: offsets never change; a new layout gets a new version.

| offset | bytes | content                                                                          |
|--------|-------|----------------------------------------------------------------------------------|
| 0      | 9     | cells, row-major from the top left: 0 empty, 1 player 0's stone, 2 player 1's    |
| 9      | 1     | player to move, 0 or 1; after the end still the one who would be next            |
| 10     | 1     | status: 0 goes on, 1 player 0 has won, 2 player 1 has won, 3 drawn               |
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

CELLS = 9
STATE_BYTES = 11
OBS_SIZE = 29

GOES_ON, WON_BY_0, WON_BY_1, DRAWN = range(4)

STATE = np.dtype({"names": ["cells", "player", "status"], "formats": [("u1", (CELLS,)), "u1", "u1"]})


def typed(states: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """A view of u8[N, 11] as STATE[N]; no copy."""
    return states.view(STATE).reshape(-1)
