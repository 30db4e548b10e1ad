"""What a person may ask of a run. Pure.

In: settings by name. Out: a RunSpec.
Invariant: a spec that is impossible is refused here, by field and value, before anything is written.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from cartridge import presets
from cartridge.errors import UsageError
from games import registry
from games.choices import Choices
from games.contract import Game
from games.errors import GameError
from learner import evaluate
from streams.chunk import RUN_NAME
from streams.records import RunSpec, least_samples_ahead

_ALGORITHMS = ("dqn",)
# Between what limits a setting makes sense; both ends are allowed.
_LIMITS: dict[str, tuple[float, float]] = {
    "seed": (0, 2**63 - 1),
    "actors": (1, 4096),
    "environments": (1, 65_536),
    "chunk_steps": (1, 4096),
    "exploration": (0, 1),
    "learning_rate": (1e-9, 1),
    "batch_size": (1, 1 << 20),
    "discount": (0, 1),
    "target_period": (1, 1 << 31),
    "publish_period": (1, 1 << 31),
    "window_rows": (1, 1 << 31),
    "min_window_rows": (1, 1 << 31),
    "samples_per_insert": (1e-6, 1e6),
    "samples_ahead": (1, 1 << 62),
    "max_gradient_steps": (0, 1 << 62),
}


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a person may ask of a run; the defaults train tic-tac-toe in seconds."""

    env_id: str
    algorithm: str = "dqn"
    run: str = ""  # a name is made when there is none
    seed: int = 0
    actors: int = 2
    environments: int = 128
    chunk_steps: int = 16
    exploration: float = 0.5
    hidden: tuple[int, ...] = (64, 64)
    learning_rate: float = 2e-3
    batch_size: int = 512
    discount: float = 1.0
    target_period: int = 50
    publish_period: int = 50
    window_rows: int = 200_000
    min_window_rows: int = 8_192
    samples_per_insert: float = 4.0
    samples_ahead: int = 65_536
    where: str = ""
    max_gradient_steps: int = 20_000
    stop_when: str = "unbeatable"
    hint: str = ""  # hexadecimal

    @classmethod
    def of(cls, env_id: str, **given: Any) -> Wish:
        """What is given, and what suits the game for the rest."""
        return cls(env_id=env_id, **(presets.of(env_id) | given))


def spec_of(wish: Wish) -> RunSpec:
    """The spec of `wish`. Raises UsageError naming the field and its value."""
    try:
        game = registry.get(wish.env_id)
        Choices(game.spec)  # what cannot be listed cannot be learnt
    except GameError as error:
        raise UsageError(str(error)) from error
    if wish.algorithm not in _ALGORITHMS:
        raise UsageError(f"algorithm is {wish.algorithm!r}: there is {', '.join(_ALGORITHMS)}")
    name = wish.run or f"{wish.env_id}-{time.strftime('%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
    if not RUN_NAME.fullmatch(name):
        raise UsageError(f"run is {name!r}: a name has letters, digits, - and _, at most 63")
    for field, (low, high) in _LIMITS.items():
        value = getattr(wish, field)
        if not low <= value <= high:
            raise UsageError(f"{field} is {value}: it must be {low:,} to {high:,}")
    if not wish.hidden or not all(1 <= width <= 65_536 for width in wish.hidden):
        raise UsageError(f"hidden is {list(wish.hidden)}: it needs at least one width, each 1 to 65536")
    _check_stop(wish, game)
    _check_hint(wish, game)
    if wish.window_rows < wish.min_window_rows:
        raise UsageError(
            f"window_rows is {wish.window_rows}: it must be at least min_window_rows = {wish.min_window_rows}"
        )
    values = {field.name: getattr(wish, field.name) for field in fields(wish)}
    spec = RunSpec(
        **{**values, "run": name, "hidden": list(wish.hidden)},
        wanted="RUNNING",
        submitted_us=time.time_ns() // 1000,
    )
    least = least_samples_ahead(spec, agents=game.spec.reward_width)
    if wish.samples_ahead < least:
        raise UsageError(
            f"samples_ahead is {wish.samples_ahead}: it must be at least {least} for this run, or actors and learner"
            " could wait for each other"
        )
    return spec


def _check_stop(wish: Wish, game: Game) -> None:
    judgeable = evaluate.judgeable(game)
    if not wish.stop_when or (judgeable and wish.stop_when == evaluate.UNBEATABLE):
        return
    if judgeable or evaluate.wanted_return(wish.stop_when) is None:
        known = evaluate.UNBEATABLE if judgeable else "return>=NUMBER, such as return>=475"
        raise UsageError(f"stop_when is {wish.stop_when!r}: for {wish.env_id} there is {known}, or nothing")


def _check_hint(wish: Wish, game: Game) -> None:
    try:
        game.reset(np.zeros(1, np.uint64), bytes.fromhex(wish.hint))
    except ValueError as error:  # of fromhex, or the game's refusal
        takes = game.spec.hint or "takes none"
        raise UsageError(f"hint is {wish.hint!r}: {error}; {wish.env_id}: {takes}") from error
