"""Programs that are compiled from the Go proxy's sources: MinIO and buf.

In: the tools folder with its Go, an empty folder. Out: the folder with one program in it.
Invariant: a program is of the pinned version, its sources checked against Go's checksum database; a compilation that
was stopped goes on where it was.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cartridge.errors import CartridgeError
from cartridge.stack.progress import Part
from cartridge.stack.shell import Commands


@dataclass(frozen=True, kw_only=True)
class GoProgram:
    """A main package of a module, at a version."""

    name: str
    package: str
    version: str
    oldest_go: tuple[int, int]  # that its go.mod takes
    compiled_packages: int  # that `go install -v` names while it compiles; only the progress bar uses it

    def folder(self, cache: Path) -> Path:
        """Where it is installed."""
        return cache / f"{self.name}-{self.version}"


MINIO = GoProgram(
    name="minio",
    package="github.com/minio/minio",
    version="v0.0.0-20260212201848-7aac2a2c5b7c",
    oldest_go=(1, 24),
    compiled_packages=1300,
)
BUF = GoProgram(
    name="buf",
    package="github.com/bufbuild/buf/cmd/buf",
    version="v1.73.0",
    oldest_go=(1, 26),
    compiled_packages=880,
)


def go_of(tools: Path, *, oldest: tuple[int, int]) -> Path:
    """The Go of the tools folder, or where PyPI has none for this machine the one on the PATH (`oldest` or newer).

    Raises CartridgeError with what installs one.
    """
    own = tools / "go" / "bin" / "go"
    return own if own.exists() else _go_on_path(oldest)


def _go_on_path(oldest: tuple[int, int]) -> Path:
    found = shutil.which("go")
    said = (
        ""
        if found is None
        else subprocess.run([found, "version"], capture_output=True, text=True, check=False).stdout
    )
    version = re.search(r"\bgo(\d+)\.(\d+)", said)
    if found is None or version is None or (int(version[1]), int(version[2])) < oldest:
        raise CartridgeError(
            f"Go {oldest[0]}.{oldest[1]} or newer is neither on PyPI for this machine nor on the PATH: install one"
            " (apt-get install golang-go) and run it again"
        )
    return Path(found)


def compile_program(folder: Path, commands: Commands, part: Part, *, program: GoProgram, tools: Path) -> None:
    """Fills the folder. What was downloaded and compiled is kept beside it until the program is whole."""
    build = folder.parent / f"build-{program.name}"
    compiled = 0

    def on_line(line: str) -> None:
        nonlocal compiled
        if line.startswith("go: downloading"):
            part.say(f"download {line.split()[2]}", done=0, total=program.compiled_packages)
        else:
            compiled += 1
            part.say(line, done=compiled, total=program.compiled_packages)

    command = [str(go_of(tools, oldest=program.oldest_go)), "install", "-v", "-trimpath", "-ldflags", "-s -w"]
    commands.run(
        [*command, f"{program.package}@{program.version}"],
        environment=_environment(folder, build),
        on_line=on_line,
    )
    shutil.rmtree(build, ignore_errors=True)


def _environment(folder: Path, build: Path) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "GOROOT"} | {
        "GOPATH": str(build / "path"),
        "GOCACHE": str(build / "objects"),
        "GOBIN": str(folder),
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        # -modcacherw: so that the sources can be removed again
        "GOFLAGS": f"{os.environ.get('GOFLAGS', '')} -modcacherw".strip(),
    }
