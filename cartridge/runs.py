"""Runs: how they are submitted, found and followed.

In: what a person wants. Out: RunSpec records on cartridge.runs; what became of a run.
Invariant: an impossible wish is refused before anything is written.
"""

from __future__ import annotations

from rich.console import Console

from cartridge import progress
from cartridge.errors import CartridgeError, UsageError
from cartridge.settings import Settings
from cartridge.wish import Wish, spec_of
from streams import kafka, topics, views, warehouse
from streams.records import RunSpec, RunStatus, ShardSealed, WeightsPublished


def submit(settings: Settings, spec: RunSpec) -> None:
    """Puts `spec` on cartridge.runs. Raises BrokerUnavailable, UsageError when the name is taken by another spec."""
    if any(known.run == spec.run for known in all_runs(settings)) and spec.wanted == "RUNNING":
        raise UsageError(
            f"run is {spec.run!r}: there is a run of this name already; choose another with --run"
        )
    write(settings, spec)


def write(settings: Settings, spec: RunSpec) -> None:
    """Makes `spec` the newest of its run. Raises BrokerUnavailable."""
    client = kafka.producer(settings.kafka, linger_ms=0)
    kafka.produce_record(client, topics.RUNS, spec.run, spec)
    kafka.flush(client, settings.kafka)


def all_runs(settings: Settings) -> list[RunSpec]:
    """The newest spec of each run, oldest run first."""
    topics.ensure(settings.kafka, timeout_s=5)
    newest = {spec.run: spec for spec in kafka.read_all(settings.kafka, topics.RUNS, RunSpec)}
    return list(newest.values())


def find(settings: Settings, run: str) -> RunSpec:
    """The newest spec of `run`. Raises UsageError listing what there is."""
    known = {spec.run: spec for spec in all_runs(settings)}
    if run not in known:
        last = ", ".join(list(known)[-5:]) or "none yet: `./just train tictactoe`"
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
    shards = views.current(kafka.read_all(settings.kafka, topics.SHARDS, ShardSealed))
    return [shard for shard in shards if run is None or shard.run == run]


def begin(settings: Settings, wish: Wish, console: Console) -> RunSpec:
    """Submits a run and names it. Raises UsageError when it is impossible, BrokerUnavailable."""
    spec = spec_of(wish)
    topics.ensure(settings.kafka, timeout_s=5)
    _check_where(settings, spec)
    submit(settings, spec)
    console.print(f"run {spec.run} is submitted", highlight=False, soft_wrap=True)
    return spec


def _check_where(settings: Settings, spec: RunSpec) -> None:
    """Raises UsageError when the run's condition is none; the learner would fail the run for it."""
    if not spec.where:
        return
    from learner import shard_reader
    from learner.errors import BadRun

    try:
        shard_reader.check_where(warehouse.connect(settings), spec.where)
    except BadRun as error:
        raise UsageError(str(error)) from error


def demonstrate(settings: Settings, console: Console) -> int:
    """The demonstration of `up`: goes on with a tic-tac-toe run that is not over, or submits one."""
    finished = {run for run, weights in newest_weights(settings).items() if weights.final}
    failed = {run for (run, _), status in newest_status(settings).items() if status.state == "FAILED"}
    for spec in reversed(all_runs(settings)):
        unfinished = spec.wanted == "RUNNING" and spec.run not in finished | failed
        if spec.env_id == "tictactoe" and spec.stop_when == "unbeatable" and unfinished:
            console.print(f"going on with run {spec.run}", highlight=False)
            return follow(settings, spec, console)
    return follow(settings, begin(settings, Wish.of("tictactoe"), console), console)


def follow(settings: Settings, spec: RunSpec, console: Console) -> int:
    """Shows a run until it is over, and says what came of it. Returns the exit code: 0 if it reached what it should.

    Raises CartridgeError when it failed or was stopped.
    """
    view = progress.follow(settings, spec.run, console)
    if view.failure:
        raise CartridgeError(f"run {spec.run} failed: {view.failure}")
    weights = view.weights
    if view.stopped and not (weights is not None and weights.final):
        raise CartridgeError(f"run {spec.run} was stopped: `./just runs start {spec.run}` lets it go on")
    if weights is None:
        raise CartridgeError(f"run {spec.run} ended without weights: see `./just status`")
    reached = spec.stop_when in ("", weights.verdict)
    for line in [*_verdict_lines(spec, weights, reached=reached), "", *_next_lines(spec)]:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    return 0 if reached else 1


def _verdict_lines(spec: RunSpec, weights: WeightsPublished, *, reached: bool) -> list[str]:
    figures = weights.evaluation
    place = (
        f"weights v{weights.version} after {weights.gradient_steps:,} gradient steps, {weights.checkpoint}"
    )
    score = ""
    if "return_mean" in figures:
        score = f"mean return {figures['return_mean']:.2f} over {figures['episodes']:.0f} episodes played greedily, "
    if not reached:
        return [f"not {spec.stop_when} yet: {score}{place}"]
    if weights.verdict != "unbeatable":
        return [f"done: {score}{place}"]
    lines = ["The learned policy is unbeatable: against every possible sequence of replies it loses no line."]
    for seat, name in (("first", "as first player"), ("second", "as second player")):
        counts = [f"{figures[f'{outcome}_as_{seat}']:.0f} {outcome}" for outcome in ("lost", "drawn", "won")]
        lines.append(f"  {name:<17} {figures[f'lines_as_{seat}']:.0f} lines: {', '.join(counts)}")
    return [*lines, f"  {place}"]


def _next_lines(spec: RunSpec) -> list[str]:
    run = spec.run
    outcome = "avg((last_reward = 0)::INT) AS drawn"
    if spec.stop_when != "unbeatable":
        outcome = "avg(total_reward) AS mean_total_reward"
    query = (
        "SELECT last_weights_version // 10 * 10 AS since_version, count(*) AS episodes, avg(length) AS mean_length,"
        f" {outcome} FROM episodes WHERE run = '{run}' GROUP BY 1 ORDER BY 1"
    )
    return [
        "What to do next:",
        f"  ./just evaluate {run}",
        f'  ./just sql "{query}"',
        f"  ./just replay show --run {run} --episode last",
        f"  ./just games play {spec.env_id} --against {run}",
        "  ./just status    # every address and log",
        "  ./just down      # stops everything and keeps the data",
    ]
