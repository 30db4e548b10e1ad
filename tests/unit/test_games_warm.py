"""Kernels are compiled once for their sources, whatever file of them changes, and not again while none does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from llvmlite import binding

from games import warm
from source_tree import ROOT

INNER = """
from games.kernel import kernel

FACTOR = {factor}


@kernel("i64(i64)")
def scaled(value: int) -> int:
    return FACTOR * value
"""
OUTER = """
from games.kernel import kernel
from {package}.inner import scaled


@kernel("i64(i64)")
def shifted(value: int) -> int:
    return scaled(value) + 1
"""
CALL = """
from {package} import outer

print(outer.shifted(10), sum(outer.shifted.compiled.stats.cache_hits.values()))
"""


def call(folder: Path, package: str) -> tuple[int, int]:
    """What the outer kernel makes of 10 in a process of its own, and how many compilations it found in the cache."""
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", CALL.format(package=package)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    result, hits = done.stdout.split()
    return int(result), int(hits)


def write(folder: Path, *, factor: int) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "__init__.py").write_text("")
    (folder / "inner.py").write_text(INNER.format(factor=factor))
    (folder / "outer.py").write_text(OUTER.format(package=folder.name))


def test_a_change_in_the_file_of_an_inner_kernel_reaches_the_outer_one(tmp_path: Path) -> None:
    package = tmp_path / "stamped"
    write(package, factor=2)
    assert call(tmp_path, "stamped") == (21, 0)
    assert call(tmp_path, "stamped") == (21, 1)
    write(package, factor=3)
    assert call(tmp_path, "stamped") == (31, 0)
    assert call(tmp_path, "stamped") == (31, 1)


def test_the_same_sources_written_anew_are_not_compiled_anew(tmp_path: Path) -> None:
    package = tmp_path / "rewritten"
    write(package, factor=2)
    call(tmp_path, "rewritten")
    write(package, factor=2)
    os.utime(package / "outer.py", ns=(1, 1))
    assert call(tmp_path, "rewritten") == (21, 1)


def test_games_are_warm_after_they_were_warmed(tmp_path: Path) -> None:
    kernels = tmp_path / "kernels"

    def warmed() -> str:
        done = subprocess.run(
            [sys.executable, "-m", "games.warm", "tictactoe"],
            env={**os.environ, "NUMBA_CACHE_DIR": str(kernels)},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=100,
        )
        return done.stdout

    assert warmed().startswith("kernels of tictactoe compiled (1 of 1, ")
    assert list(kernels.rglob("*.nbc"))
    assert warmed() == ""
    (stamp,) = kernels.glob("warm-*")
    digest, *indexes = stamp.read_text().splitlines()
    assert sorted(indexes) == sorted(str(path.relative_to(kernels)) for path in kernels.rglob("*.nbi"))

    for index in indexes:  # as somebody who empties the cache: it is compiled anew, and that is said
        (kernels / index).unlink()
    assert warmed().startswith("kernels of tictactoe compiled (1 of 1, ")
    assert all((kernels / index).is_file() for index in indexes)

    stamp.write_text(stamp.read_text().replace(digest, "0" * 64))  # as of older sources: it is written over
    assert warmed().startswith("kernels of tictactoe compiled (1 of 1, ")
    assert list(kernels.glob("warm-*")) == [stamp]
    assert stamp.read_text().startswith(digest)


def test_a_cache_of_another_processor_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "_cache", lambda: tmp_path)
    monkeypatch.setattr(warm, "_compiled", lambda names: iter(names))
    (tmp_path / "step.nbi").touch()
    said: list[str] = []
    for processor in ("znver3", "znver3", "skylake"):
        monkeypatch.setattr(binding, "get_host_cpu_name", lambda name=processor: name)
        warm.warm(["tictactoe"], say=lambda name, *_: said.append(name))
        assert warm.is_warm(["tictactoe"])
    assert said == ["tictactoe"] * 2
