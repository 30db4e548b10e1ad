"""How programs of the Go proxy are compiled and buf is called, as far as it goes without the proxy."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from cartridge.errors import CartridgeError
from cartridge.stack import buf, install
from cartridge.stack.go_programs import BUF, MINIO, GoProgram, compile_program, go_of
from cartridge.stack.progress import Part, Progress
from cartridge.stack.shell import CommandFailed, Commands

PROGRAM = GoProgram(
    name="tool", package="example/tool/cmd/tool", version="v1.2.3", oldest_go=(1, 26), compiled_packages=2
)
# Writes down how it was called, and makes the program unless it is told to fail.
GO = f"""#!{sys.executable}
import json, os, pathlib, sys
names = ("GOBIN", "GOPATH", "GOCACHE", "CGO_ENABLED", "GOTOOLCHAIN", "GOFLAGS", "GOROOT")
call = {{"arguments": sys.argv[1:], **{{name: os.environ.get(name) for name in names}}}}
pathlib.Path(__file__).with_name("call.json").write_text(json.dumps(call))
pathlib.Path(os.environ["GOPATH"]).mkdir(parents=True, exist_ok=True)
print("go: downloading example/module v1.0.0")
print("example/package", flush=True)
if os.environ.get("FAIL"):
    sys.exit("no network")
(pathlib.Path(os.environ["GOBIN"]) / "tool").touch()
"""


@pytest.fixture
def part() -> Part:
    return Part(Progress(Console(file=io.StringIO())), "a part")


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A tools folder with a Go that writes down how it was called."""
    go = tmp_path / "tools" / "go" / "bin" / "go"
    go.parent.mkdir(parents=True)
    go.write_text(GO)
    go.chmod(0o755)
    return tmp_path / "tools"


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    folder = tmp_path / "cache" / "tool.part"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("version", "fits"), [("go1.26.8", True), ("go2.0", True), ("go1.25.9", False), ("devel", False)]
)
def test_a_go_on_the_path_serves_where_pypi_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, fits: bool
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    advice = "Go 1.26 or newer is neither .*: install one .*golang-go"
    with pytest.raises(CartridgeError, match=advice):
        go_of(tmp_path, oldest=(1, 26))
    (tmp_path / "go").write_text(f"#!/bin/sh\necho go version {version} linux/amd64\n")
    (tmp_path / "go").chmod(0o755)
    if fits:
        assert go_of(tmp_path, oldest=(1, 26)) == tmp_path / "go"
    else:
        with pytest.raises(CartridgeError, match=advice):
            go_of(tmp_path, oldest=(1, 26))


def test_a_program_is_compiled_at_its_version_and_nothing_else_is_left(
    tools: Path, staging: Path, part: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOROOT", "/elsewhere")
    monkeypatch.setenv("GOFLAGS", "-p=1")
    compile_program(staging, Commands(), part, program=PROGRAM, tools=tools)
    assert (staging / "tool").exists()
    assert [path.name for path in staging.parent.iterdir()] == ["tool.part"]
    call = json.loads((tools / "go" / "bin" / "call.json").read_text())
    assert call["arguments"][-1] == "example/tool/cmd/tool@v1.2.3"
    assert (call["CGO_ENABLED"], call["GOTOOLCHAIN"], call["GOROOT"]) == ("0", "local", None)
    assert call["GOFLAGS"] == "-p=1 -modcacherw"
    assert call["GOBIN"] == str(staging)
    assert part.fraction == 0.5


def test_a_compilation_that_failed_keeps_what_it_has(
    tools: Path, staging: Path, part: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAIL", "1")
    with pytest.raises(CommandFailed, match="no network"):
        compile_program(staging, Commands(), part, program=PROGRAM, tools=tools)
    assert (staging.parent / "build-tool" / "path").exists()
    monkeypatch.delenv("FAIL")
    compile_program(staging, Commands(), part, program=PROGRAM, tools=tools)
    assert not (staging.parent / "build-tool").exists()


def test_versions_are_in_the_names_of_the_folders(tmp_path: Path) -> None:
    folders = install.Folders.of(tmp_path)
    assert folders.buf == tmp_path / f"buf-{BUF.version}"
    assert folders.minio == tmp_path / f"minio-{MINIO.version}"
    assert folders.buf not in folders.missing()  # the stack does without


def test_buf_is_called_with_what_was_asked_and_looks_nowhere_else(
    tmp_path: Path,
) -> None:
    program = install.Folders.of(tmp_path).buf / "buf"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$@"\necho "$BUF_CACHE_DIR"\nexit 100\n')
    program.chmod(0o755)
    (program.parent / ".complete").touch()
    done = subprocess.run(
        [sys.executable, "-m", "cartridge.stack.buf", "lint", "proto"],
        env={"PATH": "", "CARTRIDGE_CACHE": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (100, "")
    assert done.stdout == f"lint proto\n{tmp_path}/buf-cache\n"


def test_a_buf_that_cannot_be_installed_is_an_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CARTRIDGE_CACHE", str(tmp_path / "file" / "cache"))
    assert buf.main(["lint", "proto"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith(f"error: CARTRIDGE_CACHE is {tmp_path}/file/cache, which cannot be written")
