"""Makes `.venv` from requirements.lock with a bare Python: the only module that runs outside the environment.

In: requirements.lock, a Python 3.11+ with pip or ensurepip. Out: `.venv`, with `just`, `uv` and `cartridge` in it.
Invariant: `.venv/.made-for` is written last and removed first, so an environment that has it is whole; two that
make it at once wait for each other. Standard library only; each package is checked against its locked hash.
"""

import fcntl
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STAMP = ".made-for"
LOCK_COPY = ".requirements.lock"


class BootstrapError(Exception):
    """The environment cannot be made; the message says what to do."""


def main(root: Path = ROOT) -> int:
    """Makes the environment of `root` unless it is there. The exit code: 0, 1 on failure, 130 on Ctrl-C."""
    try:
        with Path(__file__).open() as guard:  # a lock that needs no file of its own
            try:
                fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("another ./just is making the Python environment; waiting for it")
                fcntl.flock(guard, fcntl.LOCK_EX)
            if not is_whole(root):
                make(root)
    except BootstrapError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("stopped; the Python environment is not complete, the next ./just makes it")
        return 130
    return 0


def is_whole(root: Path) -> bool:
    """Whether `.venv` was made to its end, here, from this very lock (what ./just looks at as well)."""
    venv, lock = root / ".venv", root / "requirements.lock"
    try:
        same = (venv / LOCK_COPY).read_bytes() == lock.read_bytes()
        return same and (venv / STAMP).read_text() == f"{root}\n" and (venv / "bin" / "just").exists()
    except OSError:
        return False


def make(root: Path) -> None:
    """Makes the environment, or brings a whole one of an older lock up to date."""
    began = time.monotonic()
    venv, lock = root / ".venv", root / "requirements.lock"
    stamp = venv / STAMP
    up_to_date_before = stamp.exists() and stamp.read_text() == f"{root}\n" and _works(venv)
    stamp.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="cartridge-uv-") as folder:
        if up_to_date_before:
            say("requirements.lock has changed: updating the Python environment")
            uv = shutil.copy(venv / "bin" / "uv", folder)  # it is replaced while it runs
        else:
            say(f"making the Python environment in {venv}, once (Python {sys.version.split()[0]})")
            uv = str(get_uv(lock, Path(folder)))
            run(
                [uv, "venv", "--quiet", "--clear", "--no-project", "--python", sys.executable, str(venv)],
                "made",
            )
        sync = [uv, "pip", "sync", "--python", str(venv / "bin" / "python"), "--require-hashes", str(lock)]
        run(sync, "filled: check the network and the disk, then run it again")
    install_project(root)
    shutil.copyfile(lock, venv / LOCK_COPY)
    stamp.write_text(f"{root}\n")
    say(f"the Python environment is ready ({time.monotonic() - began:.0f} s)")


def get_uv(lock: Path, folder: Path) -> Path:
    """uv, at the version and hashes of the lock, by this Python's pip or, where it has none, a bundled one."""
    requirement = folder / "uv.txt"
    requirement.write_text(locked_requirement(lock.read_text(), "uv"))
    python = sys.executable
    if importlib.util.find_spec("pip") is None:
        if importlib.util.find_spec("ensurepip") is None:
            raise BootstrapError(
                f"{python} has neither pip nor ensurepip: `apt-get install python3-venv`, then run it again"
            )
        run(
            [python, "-m", "venv", str(folder / "venv")],
            "made: `apt-get install python3-venv`, then run it again",
        )
        python = str(folder / "venv" / "bin" / "python")
    pip = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--require-hashes",
    ]
    run([*pip, "--target", str(folder / "uv"), "-r", str(requirement)], "started: uv could not be fetched")
    return folder / "uv" / "bin" / "uv"


def locked_requirement(lock: str, name: str) -> str:
    """One package's lines of a lock: its version and its hashes. Raises BootstrapError when it is not locked."""
    found = re.search(rf"^{re.escape(name)}==\S+(?: \\\n +--hash=\S+)+", lock, re.MULTILINE)
    if found is None:
        raise BootstrapError(f"requirements.lock has no {name} with hashes: take the committed one")
    return found.group() + "\n"


def install_project(root: Path) -> None:
    """Puts the checkout on the path, as an editable installation does, and `cartridge` among the commands."""
    venv = root / ".venv"
    site = next((venv / "lib").glob("python3.*/site-packages"))
    (site / "cartridge.pth").write_text(f"{root}\n")
    command = venv / "bin" / "cartridge"
    command.write_text(
        f"#!{venv}/bin/python\nimport sys\n\nfrom cartridge.command import main\n\nsys.exit(main())\n"
    )
    command.chmod(0o755)


def run(command: Sequence[str], otherwise: str) -> None:
    """Runs a command with its output shown. Raises BootstrapError: the environment cannot be `otherwise`."""
    try:
        code = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PIP_ROOT_USER_ACTION": "ignore"},
        ).returncode
    except OSError as error:
        raise BootstrapError(f"{command[0]} cannot be started ({error.strerror})") from error
    if code != 0:
        raise BootstrapError(f"the Python environment cannot be {otherwise} (see above; exit code {code})")


def say(text: str) -> None:
    """A line for a person, on standard error so that a recipe's output stays its own."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def _works(venv: Path) -> bool:
    try:
        version = subprocess.run(
            [str(venv / "bin" / "python"), "-c", "import sys; print(sys.version)"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout.strip()
    except OSError:
        return False
    return version == sys.version and (venv / "bin" / "uv").exists()


if __name__ == "__main__":
    sys.exit(main())
