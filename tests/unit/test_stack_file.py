"""What the supervisor writes down, and what is believed of it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from cartridge.errors import UsageError
from cartridge.stack.processes import Identity
from cartridge.stack.stack_file import (
    ProcessStatus,
    Status,
    clean_stale,
    read_status,
    running_status,
    stack_path,
    status_path,
    write_json,
    write_status,
)

GONE = Identity(pid=os.getpid(), started="another boot/1")


def mine() -> Identity:
    identity = Identity.of(os.getpid())
    assert identity is not None
    return identity


def process(**changes: object) -> ProcessStatus:
    plain = ProcessStatus(name="kafka", address="127.0.0.1:9092", log="/x/kafka.log", state="ready")
    return replace(plain, **changes)  # type: ignore[arg-type]


def status(supervisor: Identity, *processes: ProcessStatus) -> Status:
    return Status(supervisor=supervisor, phase="ready", servers="native", processes=processes)


def test_a_status_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = status(
        mine(), process(identity=mine(), restarts=2, message="x"), process(name="minio", state="backoff")
    )
    write_status(tmp_path, written)
    assert read_status(tmp_path) == written
    assert running_status(tmp_path) == written
    assert not written.ready()
    assert status(mine(), process()).ready()


def test_there_may_be_none(tmp_path: Path) -> None:
    assert read_status(tmp_path) is None
    assert read_status(tmp_path / "missing") is None
    assert clean_stale(tmp_path) == []


@pytest.mark.parametrize("text", ["", "{", '{"phase": "ready"}', '{"supervisor": {"pid": 1}}', "[]"])
def test_a_damaged_file_is_named(tmp_path: Path, text: str) -> None:
    status_path(tmp_path).write_text(text)
    with pytest.raises(UsageError, match=rf"{status_path(tmp_path)} .*remove it"):
        read_status(tmp_path)


def test_after_a_reboot_no_number_is_believed_and_no_stranger_killed(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as stranger:
        reused = Identity(pid=stranger.pid, started="another boot/1")
        write_status(tmp_path, status(GONE, process(identity=reused)))
        stack_path(tmp_path).write_text("{}")
        assert running_status(tmp_path) is None
        assert clean_stale(tmp_path) == []
        assert stranger.poll() is None
        stranger.kill()
    left = read_status(tmp_path)
    assert left is not None
    assert (left.phase, left.processes[0].state, left.processes[0].identity) == ("stopped", "stopped", None)
    assert not stack_path(tmp_path).exists()


def test_what_a_killed_supervisor_left_running_is_ended(tmp_path: Path) -> None:
    left = subprocess.Popen(["sleep", "60"])
    write_status(tmp_path, status(GONE, process(identity=Identity.of(left.pid)), process(name="minio")))
    assert clean_stale(tmp_path) == ["kafka"]
    assert left.wait(10) != 0


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": 1}, mode=0o600)
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert json.loads(path.read_text()) == {"a": 1}
