"""Sustained transitions/s from actors into sealed shards, with everything on this machine and the learner training.

In: a whole stack of its own, in a temporary home on free ports. Out: a table, or JSON with --json.
Invariant: a transition counts when its shard is announced on cartridge.shards, committed; nothing is left running.

    python bench/pipeline.py --seconds 20

The limit beside it is compaction alone: the rows of one of the run's own shards, made into Parquet again on one core.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyarrow import BufferReader
from rich.console import Console
from rich.table import Table

from cartridge import runs
from cartridge.objects import ObjectStore
from cartridge.settings import Settings
from cartridge.stack.down import down
from cartridge.stack.stack_file import read_status
from cartridge.stack.up import bring_up
from cartridge.wish import Wish, spec_of
from streams import kafka, topics
from streams.records import RunSpec, RunStatus, ShardSealed, WeightsPublished
from streams.shard_table import parquet_of

MARK = 400_000  # transitions/s, anchors.md
PROTOTYPE = 418_000  # a plain prototype without a learner, anchors.md
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to measure (default: 20)")
    parser.add_argument("--warm-up", type=float, default=6.0, help="seconds before that (default: 6)")
    parser.add_argument("--environments", type=int, default=4096, help="a batch (default: 4096)")
    parser.add_argument("--chunk-steps", type=int, default=16, help="steps a chunk (default: 16)")
    parser.add_argument("--samples-per-insert", type=float, default=0.1, help="(default: 0.1)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    os.environ["CARTRIDGE_PORTS"] = "free"
    home = Path(tempfile.mkdtemp(prefix="cartridge-bench-"))
    try:
        settings = bring_up(home=home, console=console).settings
        try:
            report = measure(
                settings, _spec(arguments), warm_up_s=arguments.warm_up, seconds=arguments.seconds
            )
        finally:
            down(home=home, console=console, delete_data=False, yes=True)
    finally:
        shutil.rmtree(home)
    if arguments.json:
        sys.stdout.write(json.dumps(report, indent=1) + "\n")
    else:
        _print(report)
    return 0


def _spec(arguments: argparse.Namespace) -> RunSpec:
    batch, period = 512, 50
    return spec_of(
        Wish(
            env_id="tictactoe",
            run="bench-pipeline",
            environments=arguments.environments,
            chunk_steps=arguments.chunk_steps,
            batch_size=batch,
            publish_period=period,
            samples_per_insert=arguments.samples_per_insert,
            samples_ahead=batch * period + 2_400,  # about a second ahead: more would only wait in the log
            window_rows=1_000_000,
            min_window_rows=65_536,
            max_gradient_steps=0,
            stop_when="",
        )
    )


class _Seen:
    """What the log says of the run so far."""

    def __init__(self, settings: Settings, run: str) -> None:
        self._run = run
        self._followers = [
            kafka.Follower(settings.kafka, topic, kind)
            for topic, kind in (
                (topics.SHARDS, ShardSealed),
                (topics.WEIGHTS, WeightsPublished),
                (topics.RUN_STATUS, RunStatus),
            )
        ]
        self.shards: list[ShardSealed] = []
        self.weights: list[WeightsPublished] = []
        self.status: dict[str, RunStatus] = {}

    def watch(self, seconds: float) -> None:
        """Reads the topics for so long."""
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            for follower in self._followers:
                for record in follower.poll(0.05):
                    if record.run == self._run:
                        self._take(record)

    def _take(self, record: ShardSealed | WeightsPublished | RunStatus) -> None:
        if isinstance(record, ShardSealed):
            self.shards.append(record)
        elif isinstance(record, WeightsPublished):
            self.weights.append(record)
        else:
            if record.state == "FAILED":
                raise RuntimeError(f"{record.component} failed: {record.message}")
            self.status[record.component] = record

    def close(self) -> None:
        for follower in self._followers:
            follower.close()


def measure(settings: Settings, spec: RunSpec, *, warm_up_s: float, seconds: float) -> dict[str, Any]:
    """Submits the run, lets it warm up, and reads what the log says of the next `seconds`."""
    topics.ensure(settings.kafka)
    runs.submit(settings, spec)
    seen = _Seen(settings, spec.run)
    while not seen.weights or seen.weights[-1].version < 1:
        seen.watch(0.5)
    seen.watch(warm_up_s)
    cpu_before, began_us = _cpu_s(settings.home), time.time_ns() // 1000
    seen.watch(seconds)
    cpu_after, ended_us = _cpu_s(settings.home), time.time_ns() // 1000
    runs.write(settings, dataclasses.replace(spec, wanted="STOPPED"))
    # what was announced within the window, and as long as the window really was
    shards = [shard for shard in seen.shards if began_us <= shard.sealed_us < ended_us]
    weights = [event for event in seen.weights if began_us <= event.published_us < ended_us]
    seen.close()
    elapsed_s = (ended_us - began_us) / 1e6
    rows = sum(shard.rows for shard in shards)
    ages = sorted((shard.sealed_us - shard.first_time_us) / 1e6 for shard in shards)
    return {
        "transitions_per_s": rows / elapsed_s,
        "mark": MARK,
        "prototype_without_learner": PROTOTYPE,
        "seconds": elapsed_s,
        "rows": rows,
        "shards": len(shards),
        "bytes_per_row": sum(shard.bytes for shard in shards) / rows,
        "seal_age_s": {"median": statistics.median(ages), "max": ages[-1]},
        "gradient_steps_per_s": (weights[-1].gradient_steps - weights[0].gradient_steps) / elapsed_s
        if weights
        else 0,
        "weights_lag_s": max(
            status.numbers["weights_lag_seconds"]
            for name, status in seen.status.items()
            if name.startswith("actor")
        ),
        "cores": {name: (cpu_after[name] - cpu_before[name]) / elapsed_s for name in cpu_after},
        "compaction_alone_rows_per_s": _compaction_alone(settings, max(shards, key=lambda shard: shard.rows)),
    }


def _cpu_s(home: Path) -> dict[str, float]:
    """CPU seconds that each process of the stack has used."""
    status = read_status(home)
    used = {}
    for process in status.processes if status is not None else ():
        if process.identity is not None:
            fields = Path(f"/proc/{process.identity.pid}/stat").read_text().rpartition(")")[2].split()
            used[process.name] = (int(fields[11]) + int(fields[12])) / _TICKS
    return used


def _compaction_alone(settings: Settings, shard: ShardSealed) -> float:
    """Rows/s of making `shard` into Parquet again: the best of three, by CPU time of one thread."""
    table = pq.read_table(BufferReader(ObjectStore.connect(settings).get(shard.object)))
    best_s = float("inf")
    for _ in range(3):
        began_s = time.process_time()
        parquet_of(table, {})
        best_s = min(best_s, time.process_time() - began_s)
    return int(table.num_rows) / best_s


def _print(report: dict[str, Any]) -> None:
    console = Console()
    rate, rows = report["transitions_per_s"], report["rows"]
    table = Table(title="pipeline: actors to sealed shards, learner training", title_justify="left")
    table.add_column("what")
    table.add_column("figure", justify="right")
    for name, value in (
        ("transitions/s, sustained", f"{rate:,.0f}"),
        (f"of the mark, {MARK:,}/s", f"{rate / MARK:.2f} x"),
        (f"of a prototype without a learner, {PROTOTYPE:,}/s", f"{rate / PROTOTYPE:.2f} x"),
        ("compaction alone, rows/s a core", f"{report['compaction_alone_rows_per_s']:,.0f}"),
        ("bytes a row in shards", f"{report['bytes_per_row']:.1f}"),
        ("age when sealed, median", f"{report['seal_age_s']['median']:.2f} s"),
        ("age when sealed, max", f"{report['seal_age_s']['max']:.2f} s"),
        ("gradient steps/s", f"{report['gradient_steps_per_s']:.0f}"),
        ("weights in play after", f"{report['weights_lag_s'] * 1000:.0f} ms"),
    ):
        table.add_row(name, value)
    console.print(table)
    cores = Table(title="where the time goes", title_justify="left")
    for heading in ("process", "cores", "µs a transition"):
        cores.add_column(heading, justify="left" if heading == "process" else "right")
    for name, used in (*report["cores"].items(), ("all", sum(report["cores"].values()))):
        cores.add_row(name, f"{used:.2f}", f"{used * report['seconds'] / rows * 1e6:.2f}")
    console.print(cores)


if __name__ == "__main__":
    sys.exit(main())
