"""How an environment shows a position: text, or pixels.

Enters: a render mode, state bytes. Leaves: text, or pixels of red, green and blue.
Invariant: what is shown depends on the state alone.
"""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt

from engine.adapters.source import Source

RENDER_FPS = 4  # positions a second that a person can follow


class Picture:
    """One render mode of one game. Where the game is an engine's, the engine draws it.

    Args:
        source: of the game.
        mode: one of `modes`, or None to show nothing.

    Raises:
        ValueError: there is no such mode.
    """

    def __init__(self, source: Source, mode: str | None) -> None:
        self.mode = mode
        self._source = source
        self.modes = ["ansi", "rgb_array"]
        if mode is not None and mode not in self.modes:
            raise ValueError(
                f"render_mode = {mode!r}: {source.spec.env_id} has {', '.join(self.modes)}; or leave it out"
            )

    def show(self, state: bytes) -> str | npt.NDArray[np.uint8] | None:
        """One state of S bytes as text, or as u8[height, width, 3]; None without a mode."""
        if self.mode is None:
            return None
        if self.mode == "ansi":
            return self._source.render(state)
        from PIL import Image

        with Image.open(io.BytesIO(self._source.picture(state))) as picture:
            return np.array(picture.convert("RGB"))
