"""Settings that suit a game, where they differ from those of every run. Pure.

In: a game's name. Out: settings by name, for what a person left open.
Invariant: a preset is possible: a test submits each; for games that are not here `GENERAL` serves.
"""

from __future__ import annotations

from typing import Any

GENERAL: dict[str, Any] = {
    "stop_when": "",
    "exploration": 0.1,
    "discount": 0.99,
    "learning_rate": 1e-3,
    "target_period": 250,
    "publish_period": 100,
    "samples_ahead": 131_072,
}

_PRESETS: dict[str, dict[str, Any]] = {
    "tictactoe": {},  # the defaults of `Wish` are for it
    "connect4": GENERAL | {"discount": 1.0, "exploration": 0.25, "hidden": (128, 128)},
    "gridworld": GENERAL | {"stop_when": "return>=1", "exploration": 0.3, "min_window_rows": 4_096},
    "cartpole": GENERAL
    | {"stop_when": "return>=195", "discount": 0.98, "exploration": 0.2, "target_period": 500},
}


def of(env_id: str) -> dict[str, Any]:
    """The settings that suit a game."""
    return dict(_PRESETS.get(env_id, GENERAL))
