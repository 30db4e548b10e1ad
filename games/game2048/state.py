"""The typed state of 2048 and its byte layout, `state:packed_u8:v1`.

Enters: state bytes. Leaves: a typed view on them. Invariant: offsets never change; a new layout gets a new version.

| offset | bytes | content                                                                              |
|--------|-------|--------------------------------------------------------------------------------------|
| 0      | 16    | exponents, row-major from the top left: 0 empty, else the tile is 2 to that power    |
| 16     | 8     | seed of the episode, little-endian                                                   |
| 24     | 8     | the first block of the seed's random stream that is not used yet, little-endian      |

Whether the episode has ended follows from the board: no action changes it. See `games.chacha` for the stream.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

SIDE = 4
CELLS = SIDE * SIDE
STATE_BYTES = 32
PAIRS = 2 * SIDE * (SIDE - 1)  # of neighbours
OBS_SIZE = CELLS + PAIRS
GREATEST_SUM = 2**18 - 4
# The first board has 4 or more, and each move adds 2 or more; `games.game2048.kernels` proves the sum.
MOST_MOVES = (GREATEST_SUM - 4) // 2
ACTIONS = ("left", "up", "right", "down")

STATE = np.dtype({"names": ["exponents", "seed", "counter"], "formats": [("u1", (SIDE, SIDE)), "<u8", "<u8"]})


def typed(states: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """A view of u8[N, 32] as STATE[N]; no copy."""
    return states.view(STATE).reshape(-1)
