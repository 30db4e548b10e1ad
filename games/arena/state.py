"""The typed state of the arena and its byte layout, `state:packed_u8:v1`.

Enters: state bytes. Leaves: a typed view on them. Invariant: offsets never change; a new layout gets a new version.

| offset | bytes | content                                                                                        |
|--------|-------|------------------------------------------------------------------------------------------------|
| 0      | 8     | seed of the episode, little-endian                                                             |
| 8      | 8     | counter: the first ChaCha20 block that nothing was drawn from, little-endian                   |
| 16     | 1     | number of the map, see `games.arena.arenas`                                                    |
| 17     | 1     | status: 0 goes on, 1 red has won, 2 blue has won, 3 both teams are out, 4 the horizon is there |
| 18     | 1     | steps played, 0 to 100                                                                         |
| 19     | 1     | the flag's cell                                                                                |
| 20     | 4     | cells of red scout, red guard, blue scout, blue guard; 255 for who is out                      |
| 24     | 4     | health of the same; 0 for who is out                                                           |

Cells are numbered row by row from the top left, 0 to 120.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

SIDE = 11  # height and width of every map
AGENTS = ("red_scout", "red_guard", "blue_scout", "blue_guard")
STATE_BYTES = 28

GOES_ON, RED_WON, BLUE_WON, BOTH_OUT, HORIZON_REACHED = range(5)

STATE = np.dtype(
    {
        "names": ["seed", "counter", "map", "status", "steps", "flag", "cells", "health"],
        "formats": ["<u8", "<u8", "u1", "u1", "u1", "u1", ("u1", (4,)), ("u1", (4,))],
        "offsets": [0, 8, 16, 17, 18, 19, 20, 24],
        "itemsize": STATE_BYTES,
    }
)


def typed(states: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """A view of u8[N, 28] as STATE[N]; no copy."""
    return states.view(STATE).reshape(-1)
