"""The machine's cache: whole folders only, each filled by one."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from cartridge.errors import UsageError
from cartridge.stack.cache import cache_folder, complete, fill_once


def test_where_it_is() -> None:
    assert cache_folder({"CARTRIDGE_CACHE": "/a", "XDG_CACHE_HOME": "/b"}) == Path("/a")
    assert cache_folder({"XDG_CACHE_HOME": "/b"}) == Path("/b/cartridge")
    assert cache_folder({}) == Path.home() / ".cache" / "cartridge"


def test_a_folder_is_filled_once(tmp_path: Path) -> None:
    calls = []

    def fill(folder: Path) -> None:
        calls.append(folder)
        (folder / "program").write_text("x")

    for _ in range(2):
        assert (fill_once(tmp_path / "part-1", fill) / "program").read_text() == "x"
    assert len(calls) == 1


def test_what_fails_leaves_nothing_and_is_tried_again(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise RuntimeError("no network")

    with pytest.raises(RuntimeError, match="no network"):
        fill_once(tmp_path / "part-1", fail)
    assert not (tmp_path / "part-1").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["part-1.lock"]
    assert complete(fill_once(tmp_path / "part-1", lambda folder: (folder / "whole").touch()))


def test_a_folder_without_a_stamp_is_never_taken_for_whole(tmp_path: Path) -> None:
    for name in ("part-1", "part-1.part-killed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").touch()
    made = fill_once(tmp_path / "part-1", lambda folder: (folder / "whole").touch())
    assert sorted(path.name for path in made.iterdir()) == [".complete", "whole"]
    assert not (tmp_path / "part-1.part-killed").exists()


def _fill_counted(folder: Path, counter: str) -> None:
    def fill(staging: Path) -> None:
        with Path(counter).open("a") as file:
            file.write("once\n")
        (staging / "program").touch()

    fill_once(folder, fill)


def test_of_several_processes_one_fills_and_the_others_wait(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    counter = tmp_path / "counter"
    processes = [
        spawn.Process(target=_fill_counted, args=(tmp_path / "part-1", str(counter))) for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert counter.read_text() == "once\n"


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()  # root may write anywhere, but not below a file
    with pytest.raises(UsageError, match=rf"CARTRIDGE_CACHE is {tmp_path}/file, .*set it to another folder"):
        fill_once(tmp_path / "file" / "part-1", os.fspath)  # type: ignore[arg-type]
