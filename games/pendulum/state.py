"""The typed state of pendulum and its byte layout, `state:packed_le:v1`.

Enters: state bytes. Leaves: a typed view on them. Invariant: offsets never change; a new layout gets a new version.

| offset | bytes | content                                                                                     |
|--------|-------|---------------------------------------------------------------------------------------------|
| 0      | 8     | theta, f64: radians anticlockwise from upright, not wrapped: whole turns stay in it         |
| 8      | 8     | theta_dot, f64: radians a second, -8 to 8                                                   |
| 16     | 8     | steps, u64: taken since the reset, 0 to 200                                                 |

All little-endian. The episode is truncated when steps are 200. A start has |theta| <= pi, and no step moves it by more
than 0.4, so a state is refused whose |theta| is above 3.15 + 0.401 * steps. A step from any accepted state that goes on
leads to an accepted state.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

STATE_BYTES = 24
OBS_SIZE = 3

STATE = np.dtype({"names": ["theta", "theta_dot", "steps"], "formats": ["<f8", "<f8", "<u8"]})


def typed(states: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """A view of u8[N, 24] as STATE[N]; no copy."""
    return states.view(STATE).reshape(-1)
