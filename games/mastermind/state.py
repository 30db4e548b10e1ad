"""The typed state of mastermind and its byte layout, `state:packed_u8:v1`.

Enters: state bytes. Leaves: a typed view on them. Invariant: offsets never change; a new layout gets a new version.

| offset | bytes | content                                                                                  |
|--------|-------|------------------------------------------------------------------------------------------|
| 0      | 4     | the secret, a colour 0-5 a peg                                                           |
| 4      | 1     | guesses made, 0-10                                                                       |
| 5      | 1     | status: 0 goes on, 1 cracked, 2 the tenth guess was wrong                                |
| 6      | 60    | ten turns of 6 bytes: the guess (4 colours), black and white keys; 0 where none was made |

A black key is a peg of the right colour in the right place, a white one a further peg of a right colour. Nothing is
random after the reset, so the seed is not kept.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

PEGS, COLOURS, TURNS = 4, 6, 10
STATE_BYTES = 66
OBS_SHAPE = (TURNS, PEGS * COLOURS + 2)

GOES_ON, CRACKED, MISSED = range(3)

TURN = np.dtype([("guess", "u1", (PEGS,)), ("black", "u1"), ("white", "u1")])
STATE = np.dtype(
    [("secret", "u1", (PEGS,)), ("guesses", "u1"), ("status", "u1"), ("turns", TURN, (TURNS,))],
)


def typed(states: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """A view of u8[N, 66] as STATE[N]; no copy."""
    return states.view(STATE).reshape(-1)
