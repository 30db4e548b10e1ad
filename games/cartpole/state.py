"""The typed state of cartpole and its byte layout, `state:packed_le:v1`.

Enters: state bytes. Leaves: a typed view on them. Invariant: offsets never change; a new layout gets a new version.

| offset | bytes | content                                                              |
|--------|-------|----------------------------------------------------------------------|
| 0      | 8     | x, f64: metres of the cart to the right of the track's middle        |
| 8      | 8     | x_dot, f64: metres a second                                          |
| 16     | 8     | theta, f64: radians of the pole clockwise from upright               |
| 24     | 8     | theta_dot, f64: radians a second                                     |
| 32     | 8     | steps, u64: taken since the reset, 0 to 500                          |

All little-endian. The episode has terminated if |x| > 2.4 or |theta| > 12 degrees, and else is truncated if steps are
500; a start (steps 0) has all four within 0.2095. Beyond that a state is refused if no play can lead to it: going on,
|x_dot| <= 241 and |theta_dot| <= 22, as more would have left track or angle within the step before; terminated,
|x_dot| <= 242, |theta_dot| <= 23, |x| <= 7.3 and |theta| <= 0.65. A step from any accepted state that goes on leads to
an accepted state.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

STATE_BYTES = 40
OBS_SIZE = 4

STATE = np.dtype(
    {
        "names": ["x", "x_dot", "theta", "theta_dot", "steps"],
        "formats": ["<f8", "<f8", "<f8", "<f8", "<u8"],
    }
)


def typed(states: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """A view of u8[N, 40] as STATE[N]; no copy."""
    return states.view(STATE).reshape(-1)
