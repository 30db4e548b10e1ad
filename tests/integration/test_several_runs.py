"""Runs beside each other, runs that are stopped and go on, and runs whose follower has gone."""

from __future__ import annotations

import re
import signal
import subprocess
from pathlib import Path

from cartridge.stack.ports import is_free
from log_oracle import messages
from running_stack import CARTRIDGE, Done, Stack, Trained, make, wait_until
from said_by_train import check_plain_lines, check_unbeatable, run_of
from stack_oracle import (
    check_episodes,
    check_limits,
    check_shards,
    check_weights,
    objects_of,
    read_log,
    record,
)


def test_two_runs_at_once_do_not_mix(trained: Trained) -> None:
    stack = trained.stack
    commands = [
        ["sh", "-c", "./just train tictactoe --seed 7"],
        [str(CARTRIDGE), "train", "tictactoe", "--seed", "8", "--run", "eight"],
    ]
    both = [stack.spawn(command, stdin=subprocess.DEVNULL) for command in commands]
    done = [Done(0, *process.communicate(timeout=200)) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    for one in done:
        check_unbeatable(one)
    runs = [run_of(one) for one in done]
    assert runs[1] == "eight"
    log = read_log(stack)
    check_shards(stack, log)  # it holds each shard's rows against the messages of the shard's run
    for run in runs:
        assert check_episodes(log, run) > 1000
        check_weights(stack, log, run)
        check_limits(log, run)
        rows = sum(chunk["count"] for chunk in log.of_run(run))
        assert rows == sum(shard["rows"] for shard in log.shards if shard["run"] == run)
        [answer] = trained.sql(
            f"SELECT count(*) AS rows, min(actor) AS first, max(actor) AS last FROM transitions WHERE run = '{run}'"
        )
        assert answer == {"rows": rows, "first": 0, "last": 1}
        assert objects_of(stack, f"shards/run={run}/") == {
            shard["object"] for shard in log.shards if shard["run"] == run
        }
        assert len(objects_of(stack, f"checkpoints/run={run}/")) == 3 * len(log.weights_of(run))


def test_a_run_outlives_its_follower_is_stopped_and_goes_on(trained: Trained) -> None:
    stack = trained.stack
    options = ("--run", "paused", "--stop-when", "", "--max-gradient-steps", "600")
    with stack.running("train", "tictactoe", *options) as train:
        wait_for_weights(stack, "paused", version=2)
        train.send_signal(signal.SIGINT)
        output, error = train.communicate(timeout=30)
    assert (train.returncode, error) == (130, "")
    assert output.startswith("run paused is submitted\n")
    assert output.endswith(
        "\nrun paused goes on; `./just runs` shows it, `./just runs stop paused` ends it\n"
    )
    seen = newest_version(stack, "paused")
    wait_for_weights(stack, "paused", version=seen + 1)
    done = stack.shell("./just runs stop paused")
    assert (done.code, done.error) == (0, "")
    wait_until(lambda: states(stack, "paused") == {"STOPPED"}, "the run is not stopped", timeout_s=30)
    assert state_of(stack, "paused") == "stopped"
    stopped_at = newest_version(stack, "paused")
    assert stopped_at < 12, "it was over before it was stopped"
    done = stack.shell("./just runs start paused")
    assert (done.code, done.error) == (0, "")
    wait_until(lambda: state_of(stack, "paused") == "finished", "the run does not go on", timeout_s=60)
    log = read_log(stack)
    check_shards(stack, log)
    check_episodes(log, "paused")
    check_weights(stack, log, "paused")
    assert log.weights_of("paused")[-1]["gradient_steps"] == 600


def test_the_follower_of_a_run_that_is_stopped_says_so(trained: Trained) -> None:
    stack = trained.stack
    options = ("--run", "ended", "--stop-when", "", "--max-gradient-steps", "100000")
    with stack.running("train", "tictactoe", *options) as train:
        wait_for_weights(stack, "ended", version=1)
        assert stack.do("runs", "stop", "ended").code == 0
        output, error = train.communicate(timeout=30)
    assert train.returncode == 1
    assert error == "error: run ended was stopped: `./just runs start ended` lets it go on\n"
    check_plain_lines(Done(1, output, error))


def test_an_up_that_is_interrupted_in_its_run_stops_all_and_the_next_goes_on_with_it(tmp_path: Path) -> None:
    """The next one is left by its stack, which another command takes down: it says so, and may be left too."""
    stack = make(tmp_path / "home")
    with stack.running("up") as up:
        run = run_that_is(stack, up, r"run (\S+) is submitted", beyond=-1)
        before = newest_version(stack, run)
        up.send_signal(signal.SIGINT)
        check_stopped(stack, up, "stopping what was started ...\nstopped; the data is kept\n")
    with stack.running("up") as up:
        assert run_that_is(stack, up, r"going on with run (\S+)", beyond=before) == run
        assert stack.do("down").code == 0
        unheard = next(line for line in up.stdout or () if "nothing was heard of the run for" in line)
        assert unheard.rstrip().endswith("see `./just status`")
        assert "  transitions/s 0; " in unheard
        up.send_signal(signal.SIGINT)
        check_stopped(stack, up, "stopped; the data is kept\n")


def run_that_is(stack: Stack, up: subprocess.Popen[str], said: str, *, beyond: int) -> str:
    """The run that `up` names in a line like `said`, once it has newer weights than `beyond`."""
    lines = (re.fullmatch(said, line.strip()) for line in up.stdout or ())
    run = next(found[1] for found in lines if found is not None)
    wait_for_weights(stack, run, version=beyond + 1)
    return run


def check_stopped(stack: Stack, up: subprocess.Popen[str], said: str) -> None:
    """`up` ends as one that was interrupted, and nothing of the stack is left running."""
    output, error = up.communicate(timeout=60)
    assert (up.returncode, error) == (130, "")
    assert output.endswith(said)
    assert stack.status().phase == "stopped"
    assert all(is_free(port) for _, port in stack.ports.items())


def announced_versions(stack: Stack, run: str) -> list[int]:
    """The weights versions of a run, oldest first."""
    announced = [record(message, "WeightsPublished") for message in messages(stack.stage(), "weights")]
    return [weights["version"] for weights in announced if weights["run"] == run]


def newest_version(stack: Stack, run: str) -> int:
    """The newest weights version of a run, -1 if there is none."""
    return max(announced_versions(stack, run), default=-1)


def wait_for_weights(stack: Stack, run: str, *, version: int) -> None:
    """Waits until the run has announced `version`."""
    wait_until(
        lambda: newest_version(stack, run) >= version, f"run {run} has no weights {version}", timeout_s=60
    )


def states(stack: Stack, run: str) -> set[str]:
    """What the components of a run said last."""
    heartbeats = [record(message, "RunStatus") for message in messages(stack.stage(), "run-status")]
    return set({beat["component"]: beat["state"] for beat in heartbeats if beat["run"] == run}.values())


def state_of(stack: Stack, run: str) -> str:
    """What `cartridge runs` says of a run."""
    lines = [line.split() for line in stack.do("runs").output.splitlines()]
    return next(cells[2] for cells in lines if cells[0] == run)
