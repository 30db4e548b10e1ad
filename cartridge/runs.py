"""Runs: their specs, how they are submitted and found.

In: what a person wants. Out: RunSpec records on cartridge.runs.
Invariant: a spec that is impossible is refused here, by field and value, before anything is written.
"""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass, fields

from cartridge.errors import UsageError
from cartridge.settings import Settings
from games import registry
from games.errors import GameError
from streams import kafka, topics
from streams.records import RunSpec, RunStatus, ShardSealed, WeightsPublished

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
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


def spec_of(wish: Wish) -> RunSpec:
    """The spec of `wish`. Raises UsageError naming the field and its value."""
    try:
        registry.get(wish.env_id)
    except GameError as error:
        raise UsageError(str(error)) from error
    if wish.algorithm not in _ALGORITHMS:
        raise UsageError(f"algorithm is {wish.algorithm!r}: there is {', '.join(_ALGORITHMS)}")
    name = wish.run or f"{wish.env_id}-{time.strftime('%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
    if not _NAME.fullmatch(name):
        raise UsageError(f"run is {name!r}: a name has letters, digits, - and _, at most 63")
    for field, (low, high) in _LIMITS.items():
        value = getattr(wish, field)
        if not low <= value <= high:
            raise UsageError(f"{field} is {value}: it must be {low:g} to {high:g}")
    if not wish.hidden or not all(1 <= width <= 65_536 for width in wish.hidden):
        raise UsageError(f"hidden is {list(wish.hidden)}: it needs at least one width, each 1 to 65536")
    if wish.samples_ahead < wish.publish_period * wish.batch_size:
        raise UsageError(
            f"samples_ahead is {wish.samples_ahead}: it must be at least publish_period * batch_size ="
            f" {wish.publish_period * wish.batch_size}, or actors and learner would wait for each other"
        )
    values = {field.name: getattr(wish, field.name) for field in fields(wish)}
    return RunSpec(
        **{**values, "run": name, "hidden": list(wish.hidden)},
        wanted="RUNNING",
        submitted_us=time.time_ns() // 1000,
    )


def submit(settings: Settings, spec: RunSpec) -> None:
    """Puts `spec` on cartridge.runs. Raises BrokerUnavailable, UsageError when the name is taken by another spec."""
    if any(known.run == spec.run for known in all_runs(settings)) and spec.wanted == "RUNNING":
        raise UsageError(f"run is {spec.run!r}: there is a run of this name already; choose another with --run")
    write(settings, spec)


def write(settings: Settings, spec: RunSpec) -> None:
    """Makes `spec` the newest of its run. Raises BrokerUnavailable."""
    client = kafka.producer(settings.kafka, linger_ms=0)
    kafka.produce_record(client, topics.RUNS, spec.run, spec)
    kafka.flush(client, settings.kafka)


def all_runs(settings: Settings) -> list[RunSpec]:
    """The newest spec of each run, oldest run first."""
    topics.ensure(settings.kafka)
    newest = {spec.run: spec for spec in kafka.read_all(settings.kafka, topics.RUNS, RunSpec)}
    return list(newest.values())


def find(settings: Settings, run: str) -> RunSpec:
    """The newest spec of `run`. Raises UsageError listing what there is."""
    known = {spec.run: spec for spec in all_runs(settings)}
    if run not in known:
        last = ", ".join(list(known)[-5:]) or "none yet: `cartridge train tictactoe`"
        raise UsageError(f"run is {run!r}: there is no such run; the newest are {last}")
    return known[run]


def newest_weights(settings: Settings) -> dict[str, WeightsPublished]:
    """The last announced weights of each run."""
    announced = kafka.read_all(settings.kafka, topics.WEIGHTS, WeightsPublished)
    return {weights.run: weights for weights in announced}


def newest_status(settings: Settings) -> dict[tuple[str, str], RunStatus]:
    """The last heartbeat of each (run, component)."""
    heartbeats = kafka.read_all(settings.kafka, topics.RUN_STATUS, RunStatus)
    return {(status.run, status.component): status for status in heartbeats}


def shards_of(settings: Settings, run: str | None = None) -> list[ShardSealed]:
    """The shards that count, of one run or of all, in the order of their announcement."""
    from streams import views

    shards = views.current(kafka.read_all(settings.kafka, topics.SHARDS, ShardSealed))
    return [shard for shard in shards if run is None or shard.run == run]
