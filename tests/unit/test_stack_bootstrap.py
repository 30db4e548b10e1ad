"""./just and the environment that it makes: what it refuses, what it believes, how fast it is the second time."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import tomllib
from pathlib import Path

import pytest

from cartridge.stack import bootstrap
from cartridge.stack.bootstrap import BootstrapError, is_whole, locked_requirement

ROOT = Path(__file__).resolve().parents[2]
LOCK = """\
a==1 \\
    --hash=sha256:aa
    # via b
uv==2.0 \\
    --hash=sha256:bb \\
    --hash=sha256:cc
    # via -r x
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What ./just needs of a checkout, with a fake environment that is whole."""
    for name in ("just", "requirements.lock", "Justfile", "cartridge/stack/bootstrap.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    venv = tmp_path / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "just").write_text('#!/bin/sh\necho "just $@"\n')
    (venv / "bin" / "just").chmod(0o755)
    (venv / "bin" / "python").symlink_to("/bin/sh")
    shutil.copy(tmp_path / "requirements.lock", venv / bootstrap.LOCK_COPY)
    (venv / bootstrap.STAMP).write_text(f"{tmp_path}\n")
    return tmp_path


def just(
    checkout: Path, *arguments: str, path: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables, "PATH": path or os.environ["PATH"]}
    return subprocess.run(
        [checkout / "just", *arguments], env=environment, capture_output=True, text=True, check=False, cwd="/"
    )


def test_a_whole_environment_is_used_at_once(checkout: Path) -> None:
    assert is_whole(checkout)
    began = time.monotonic()
    done = just(checkout, "up", "--no-run", "a b")
    assert time.monotonic() - began < 0.3
    assert done.stdout == f"just --justfile {checkout}/Justfile up --no-run a b\n"
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.parametrize("missing", [bootstrap.STAMP, bootstrap.LOCK_COPY, "bin/just"])
def test_a_half_made_environment_is_never_believed(checkout: Path, missing: str) -> None:
    (checkout / ".venv" / missing).unlink()
    assert not is_whole(checkout)
    # The bootstrap is begun: this stand-in for Python is all that may come.
    fake = checkout / "python"
    fake.write_text('#!/bin/sh\ncase "$1" in -c) exit 0;; esac\necho "called $*"\nexit 7\n')
    fake.chmod(0o755)
    done = just(checkout, "up", CARTRIDGE_PYTHON=str(fake))
    assert done.stdout == f"called -I {checkout}/cartridge/stack/bootstrap.py\n"
    assert done.returncode == 7


def test_a_changed_lock_or_a_moved_checkout_is_noticed(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    moved = tmp_path_factory.mktemp("moved") / "checkout"
    shutil.copytree(checkout, moved, symlinks=True)
    assert not is_whole(moved)
    with (checkout / "requirements.lock").open("a") as lock:
        lock.write("\n# changed\n")
    assert not is_whole(checkout)


def test_without_a_python_it_says_what_to_install(checkout: Path) -> None:
    (checkout / ".venv" / bootstrap.STAMP).unlink()
    tools = checkout / "tools"
    tools.mkdir()
    for name in ("sh", "dirname", "cat", "cmp"):
        (tools / name).symlink_to(str(shutil.which(name)))
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n")  # an old one
    (tools / "python3").chmod(0o755)
    done = just(checkout, "up", path=str(tools))
    assert done.returncode == 2
    assert done.stderr.startswith("error: no Python 3.11 or newer")
    assert "apt-get install python3 python3-venv" in done.stderr
    done = just(checkout, "up", path=str(tools), CARTRIDGE_PYTHON="/nowhere/python")
    assert "among /nowhere/python:" in done.stderr


def test_uv_is_taken_from_the_lock_with_its_hashes() -> None:
    assert locked_requirement(LOCK, "uv") == "uv==2.0 \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\n"
    for name in ("rust-just", "v", "b"):
        with pytest.raises(BootstrapError, match=f"no {name} with hashes"):
            locked_requirement(LOCK, name)
    locked_requirement((ROOT / "requirements.lock").read_text(), "uv")
    locked_requirement((ROOT / "requirements.lock").read_text(), "rust-just")


def test_a_python_without_pip_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text(LOCK)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(BootstrapError, match="neither pip nor ensurepip: `apt-get install python3-venv`"):
        bootstrap.get_uv(tmp_path / "requirements.lock", tmp_path)


def test_two_at_once_wait_for_each_other(checkout: Path) -> None:
    """The second finds the environment that the first has made, and makes none."""
    (checkout / ".venv" / bootstrap.STAMP).unlink()
    program = (
        "import sys, time, pathlib\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from cartridge.stack import bootstrap\n"
        "root = pathlib.Path(sys.argv[1])\n"
        "def make(root):\n"
        "    print('made', flush=True)\n"
        "    time.sleep(0.5)\n"
        "    (root / '.venv' / bootstrap.STAMP).write_text(f'{root}\\n')\n"
        "bootstrap.make = make\n"
        "sys.exit(bootstrap.main(root))\n"
    )
    command = [str(ROOT / ".venv" / "bin" / "python"), "-c", program, str(checkout)]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    outputs = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(output for output, _ in outputs) == ["", "made\n"]
    assert "waiting for it" in "".join(error for _, error in outputs)


def test_what_just_asks_of_the_lock_is_locked_with_hashes_and_names_no_host() -> None:
    for path in (ROOT / "requirements.lock", *(ROOT / "compose" / "native").glob("*.lock*")):
        text = path.read_text()
        assert "://" not in text, path
        if path.suffix == ".lock":
            lines = text.splitlines()
            for number, line in enumerate(lines):
                if "==" in line and not line.startswith(" "):
                    assert line.endswith("\\"), line
                    assert "--hash=sha256:" in lines[number + 1]


def test_every_requirement_is_locked_and_the_projects_are_required() -> None:
    asked = {line for line in (ROOT / "requirements.in").read_text().splitlines() if line and line[0] != "#"}
    locked = (ROOT / "requirements.lock").read_text()
    for requirement in asked:
        assert f"\n{requirement.partition('==')[0]}==" in f"\n{locked}", requirement
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert set(project) <= asked
