"""Every process of the stack is killed during a run, and the store is full for a while: nothing is lost or repeated.

The run ends by its number of gradient steps, which is far beyond the last kill: while a part is away the learner
gets no rows, and without rows it takes no steps.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from minio import MinioAdmin
from minio.credentials.providers import StaticProvider

from log_oracle import messages
from running_stack import Stack, started, wait_until
from stack_oracle import Log, check_episodes, check_limits, check_shards, check_weights, read_log, record

RUN = "killed"
KILLED = ("engine", "actor-0", "compactor", "learner", "kafka", "minio")
GRADIENT_STEPS = 4_500
# More than the learner may hold without having inserted it, so that all parts must have worked for it.
PROGRESS_ROWS = 20_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with started(tmp_path_factory.mktemp("kills") / ".cartridge") as stack:
        yield stack


def inserted_rows(stack: Stack) -> int:
    """How many rows the learner had inserted when it last announced weights of the run."""
    announced = [record(message, "WeightsPublished") for message in messages(stack.stage(), "weights")]
    return max((weights["inserted_rows"] for weights in announced), default=0)


def wait_for_progress(stack: Stack, since: int, after: str) -> None:
    """Waits until the run has come on by PROGRESS_ROWS beyond `since`; it must not be over by then."""
    wait_until(
        lambda: inserted_rows(stack) >= since + PROGRESS_ROWS,
        f"the run does not go on after {after}",
        timeout_s=60,
    )
    assert not any(
        record(message, "WeightsPublished")["final"] for message in messages(stack.stage(), "weights")
    ), f"the run was over before {after} was through: give it more GRADIENT_STEPS"


@contextmanager
def full_store(stack: Stack) -> Iterator[None]:
    """For the time of the block MinIO takes no object: its bucket may hold one byte."""
    settings = stack.settings()
    admin = MinioAdmin(
        endpoint=settings.s3_endpoint,
        credentials=StaticProvider(settings.s3_access_key, settings.s3_secret_key),
        secure=False,
    )
    admin.bucket_quota_set(settings.bucket, 1)
    try:
        yield
    finally:
        admin.bucket_quota_clear(settings.bucket)


def test_a_run_outlives_every_kill_and_a_full_store(
    stack: Stack, record_property: Callable[[str, object], None]
) -> None:
    with stack.running(
        *("train", "tictactoe", "--run", RUN, "--seed", "5"),
        *("--stop-when", "", "--max-gradient-steps", str(GRADIENT_STEPS)),
    ) as train:
        wait_for_progress(stack, 0, "its start")
        for name in KILLED:
            began = time.monotonic()
            stack.kill(name)
            record_property(f"{name} ready again after s", round(time.monotonic() - began, 2))
            wait_for_progress(stack, inserted_rows(stack), f"the kill of {name}")
            record_property(f"{name} through after s", round(time.monotonic() - began, 2))
        with full_store(stack):
            wait_for_refusals(stack)
        wait_for_progress(stack, inserted_rows(stack), "a full store")
        output, error = train.communicate(timeout=120)
    assert (train.returncode, error) == (0, ""), output
    assert f"after {GRADIENT_STEPS:,} gradient steps, checkpoints/run={RUN}/" in output
    restarts = {process.name: process.restarts for process in stack.status().processes}
    # A service may have ended itself, and been started again, while a server was away.
    assert all(restarts[name] >= 1 for name in KILLED)
    assert (restarts["engine"], restarts["kafka"], restarts["minio"]) == (1, 1, 1)

    log = read_log(stack)
    assert check_shards(stack, log) > len(KILLED) * PROGRESS_ROWS
    assert check_episodes(log, RUN) > 1000
    check_lives(log)
    check_weights(stack, log, RUN)
    check_limits(log, RUN)
    check_learner_resumed(stack.home / "logs" / "learner.log", log)


def wait_for_refusals(stack: Stack) -> None:
    """Waits until both writers have been refused an object by the store, and have tried again."""
    for name, port in (
        ("compactor_store_retries_total", stack.ports.compactor_metrics),
        ("learner_store_retries_total", stack.ports.learner_metrics),
    ):
        before = stack.metrics(port)[name, ""]
        wait_until(
            lambda name=name, port=port, before=before: stack.metrics(port)[name, ""] >= before + 2,  # type: ignore[misc]
            f"{name} does not count what the store refused",
            timeout_s=30,
        )


def check_lives(log: Log) -> None:
    """The actor that was killed played again under the next incarnation; the other one played on."""
    lives = {(chunk["actor"], chunk["incarnation"]) for chunk in log.of_run(RUN)}
    assert lives >= {(0, 0), (0, 1), (1, 0)}
    ended = np.concatenate([np.frombuffer(chunk["episode"], "<i8") for chunk in log.episodes])
    assert len(np.unique(ended)) == len(ended), "an episode ended twice"
    last = {status["component"]: status for status in log.statuses if status["run"] == RUN}
    assert {name: status["state"] for name, status in last.items()} == dict.fromkeys(
        ("learner", "actor-0", "actor-1"), "FINISHED"
    )


def check_learner_resumed(path: Path, log: Log) -> None:
    """After its kill the learner went on from weights that were announced."""
    events = [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]
    resumed = [event for event in events if event["event"] == "resumed" and event["run"] == RUN]
    assert resumed
    versions = [weights["version"] for weights in log.weights_of(RUN)]
    assert all(0 < event["weights_version"] < versions[-1] for event in resumed)
