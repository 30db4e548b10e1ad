"""The compactor is killed -9 at each step of its protocol, and every row still stands exactly once.

All scenarios run beside each other, each on a stage of its own, because most of their time is waiting for the group to
notice that a member is gone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from cartridge.stack.servers import Servers
from chunk_samples import sample_chunk
from log_oracle import Offsets, announced, check_exactly_once, dead_letters
from renamed_topics import renamed
from stage import Stage, new_stage, open_stage, strike, until
from streams import codec, topics

STEPS = ("write", "begin", "produce", "send_offsets", "commit", "committed")
CHILD = Path(__file__).resolve().parents[1] / "compactor_child.py"
JUNK = {(0, 5), (2, 40), (3, 0)}
MESSAGES = 60  # a partition
ROWS = 8 * (4 * MESSAGES - len(JUNK))


@dataclass(frozen=True)
class Crash:
    """What came of one scenario: the killed process, and the stage after a clean one finished."""

    stage: Stage
    killed_with: int
    shards_before: int  # announced when the first process was dead


def log_everything(stage: Stage) -> None:
    """Two runs in four partitions, with junk among them."""
    values = []
    for offset in range(MESSAGES):
        for partition in range(4):
            seed = 4 * offset + partition
            chunk = codec.encode(sample_chunk(seed, run=f"run-{seed % 2}"))
            values.append((partition, b"junk" if (partition, offset) in JUNK else chunk))
    stage.produce("transitions", values)


def start(stage: Stage, member: str, *crash: str) -> subprocess.Popen[bytes]:
    log = (stage.settings.home / f"{member}-{'-'.join(crash) or 'clean'}.log").open("wb")
    with log:
        return subprocess.Popen(
            [sys.executable, str(CHILD), stage.prefix, member, *crash],
            env={**os.environ, **stage.environment()},
            stderr=log,
        )


def finish(stage: Stage, child: subprocess.Popen[bytes], *, timeout_s: float = 60) -> None:
    """Lets `child` work until everything in the log is committed, and stops it as the supervisor does."""
    with Offsets(stage) as offsets:
        goal = offsets.ends()

        def done() -> bool:
            assert child.poll() is None, f"the compactor ended with {child.returncode}"
            return offsets.committed() == goal

        until(done, f"not everything up to {goal} was committed", timeout_s=timeout_s)
    child.send_signal(signal.SIGTERM)
    assert child.wait(10) == 0


def crash_at(stage: Stage, step: str) -> Crash:
    """A first process dies at the second time of `step`; a second one of the same name does the rest."""
    log_everything(stage)
    with start(stage, "m0", step, "2") as first:
        killed_with = first.wait(60)
    before = len(announced(stage))
    with start(stage, "m0") as second:
        finish(stage, second)
    return Crash(stage, killed_with, before)


@pytest.fixture(scope="module")
def crashes(
    servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mapping[str, Future[Crash]]]:
    stages = {step: new_stage(servers, tmp_path_factory.mktemp(step)) for step in STEPS}
    for stage in stages.values():
        with renamed(stage.prefix):
            topics.ensure(stage.kafka)
        stage.store()
    with ThreadPoolExecutor(3) as pool:
        yield {step: pool.submit(crash_at, stages[step], step) for step in STEPS}
    for stage in stages.values():
        strike(stage)


@pytest.mark.parametrize("step", STEPS)
def test_a_compactor_killed_at_a_step_loses_and_repeats_nothing(
    step: str, crashes: Mapping[str, Future[Crash]]
) -> None:
    crash = crashes[step].result(120)
    assert crash.killed_with == -signal.SIGKILL
    assert crash.shards_before > 0  # the first flush stands, the second was cut off
    assert len(announced(crash.stage)) > crash.shards_before
    assert check_exactly_once(crash.stage, junk=JUNK) == ROWS
    assert len(dead_letters(crash.stage)) == len(JUNK)


def log_until_killed(stage: Stage, child: subprocess.Popen[bytes]) -> int:
    """Goes on logging, so that every member has work, until `child` was killed. Returns the rows logged."""
    rows = 0

    def dead() -> bool:
        nonlocal rows
        stage.log_chunks([(seed % 4, sample_chunk(seed)) for seed in range(40)])
        rows += 40 * 8
        return child.poll() is not None

    until(dead, "the compactor was not killed", timeout_s=60)
    assert child.returncode == -signal.SIGKILL
    return rows


def test_one_of_two_compactors_is_killed_and_the_other_does_its_part(
    servers: Servers, tmp_path: Path
) -> None:
    with open_stage(servers, tmp_path) as stage:
        stage.store()
        log_everything(stage)
        with start(stage, "m0", "write", "3") as victim, start(stage, "m1") as survivor:
            more = log_until_killed(stage, victim)
            finish(stage, survivor)
        assert check_exactly_once(stage, junk=JUNK) == ROWS + more


def test_one_of_two_compactors_is_killed_before_its_commit(servers: Servers, tmp_path: Path) -> None:
    # Its open transaction hides what others announce after it, until the same member comes back and it is aborted.
    with open_stage(servers, tmp_path) as stage:
        stage.store()
        log_everything(stage)
        with start(stage, "m0", "commit", "1") as victim, start(stage, "m1") as survivor:
            more = log_until_killed(stage, victim)
            with start(stage, "m0") as again:
                finish(stage, survivor)
                again.send_signal(signal.SIGTERM)
                assert again.wait(10) == 0
        assert check_exactly_once(stage, junk=JUNK) == ROWS + more


def test_sigterm_in_the_middle_of_work_leaves_a_sound_log(servers: Servers, tmp_path: Path) -> None:
    with open_stage(servers, tmp_path) as stage:
        log_everything(stage)
        with start(stage, "m0") as child, Offsets(stage) as offsets:
            until(lambda: any(offsets.committed().values()), "nothing was committed")
            log_everything(stage)
            child.send_signal(signal.SIGTERM)
            assert child.wait(10) == 0
            rows = check_exactly_once(
                stage, junk=JUNK | {(partition, offset + MESSAGES) for partition, offset in JUNK}
            )
            assert rows > 0
        with start(stage, "m0") as child:
            finish(stage, child)
        again = {(partition, offset + MESSAGES) for partition, offset in JUNK}
        assert check_exactly_once(stage, junk=JUNK | again) == 2 * ROWS
