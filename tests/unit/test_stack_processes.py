"""Processes: leashed to their parent, recognised for certain, stopped for certain."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from cartridge.stack.processes import Child, Identity, wait_gone

ENVIRONMENT = {"PATH": os.environ["PATH"]}


def child(tmp_path: Path, *command: str) -> Child:
    return Child("child", command, environment=ENVIRONMENT, log=tmp_path / "logs" / "child.log")


def wait_for(text: str, log: Path) -> None:
    deadline = time.monotonic() + 20
    while not (log.exists() and text in log.read_text()):
        assert time.monotonic() < deadline, f"{log} never said {text!r}"
        time.sleep(0.01)


def test_an_identity_is_one_process_and_no_other() -> None:
    mine = Identity.of(os.getpid())
    assert mine is not None
    assert mine.alive()
    assert Identity.of(0) is None
    stranger = Identity(pid=os.getpid(), started="another boot/1")
    assert not stranger.alive()


def test_a_stranger_with_the_same_pid_is_never_signalled(tmp_path: Path) -> None:
    running = child(tmp_path, "sleep", "60")
    stranger = Identity(pid=running.pid, started="another boot/1")
    stranger.stop(grace_s=0.1)
    assert not stranger.signal(signal.SIGKILL)
    assert running.exit_code() is None
    running.kill()


def test_a_zombie_counts_as_gone() -> None:
    process = subprocess.Popen(["true"])
    identity = Identity.of(process.pid)
    if identity is not None:  # None: it had ended already
        assert wait_gone(identity, timeout_s=10)
    assert process.wait() == 0


def test_output_goes_to_the_log_and_the_exit_code_is_kept(tmp_path: Path) -> None:
    done = child(tmp_path, "sh", "-c", "echo one; echo two >&2; exit 3")
    assert done._process.wait(10) == 3
    assert done.log.read_text() == "one\ntwo\n"
    assert done.last_line() == "two"


def test_the_last_line_is_of_this_start_and_prefers_an_error(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "child.log"
    log.parent.mkdir()
    log.write_text("error: of the start before\n")
    silent = child(tmp_path, "true")
    silent._process.wait(10)
    assert silent.last_line() == "it said nothing"
    thrown = child(tmp_path, "printf", r"java.io.IOException: No space\n\tat a.B.c(B.java:1)\n\t... 3 more\n")
    thrown._process.wait(10)
    assert thrown.last_line() == "java.io.IOException: No space"
    failed = child(tmp_path, "sh", "-c", "echo 'error: port 1 is in use'; echo bye")
    failed._process.wait(10)
    assert failed.last_line() == "error: port 1 is in use"


def test_a_command_that_does_not_exist_says_so(tmp_path: Path) -> None:
    missing = child(tmp_path, "no-such-program")
    assert missing._process.wait(10) == 127
    assert missing.last_line() == "error: no-such-program cannot be started: No such file or directory"


def test_one_that_ignores_sigterm_is_killed_with_its_children(tmp_path: Path) -> None:
    deaf = "trap '' TERM; while :; do sleep 1; done"
    script = f'trap "" TERM; sh -c "{deaf}" & echo ready; {deaf}'
    stubborn = child(tmp_path, "sh", "-c", script)
    wait_for("ready", stubborn.log)
    began = time.monotonic()
    stubborn.stop(grace_s=0.3)
    assert 0.25 < time.monotonic() - began < 5
    assert stubborn.exit_code() == -signal.SIGKILL
    listed = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    states = [line.split()[1] for line in listed.splitlines() if line.split()[0] == str(stubborn.pid)]
    assert all(state.startswith("Z") for state in states)  # a zombie is for init to collect


def test_a_child_does_not_outlive_a_parent_that_was_killed(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import os, pathlib, sys, time
        from cartridge.stack.processes import Child
        child = Child("c", ["sleep", "60"], environment=dict(os.environ), log=pathlib.Path(sys.argv[1]))
        print(child.pid, child.identity.started, flush=True)
        time.sleep(60)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid, _, started = parent.stdout.readline().strip().partition(" ")
        orphan = Identity(pid=int(pid), started=started)
        assert orphan.alive()
        parent.kill()
    assert wait_gone(orphan, timeout_s=10)
