"""The Python environment that the peers are in, made in the machine's cache when it is first asked for.

Enters: requirements.lock beside this file; a program and its arguments. Leaves: the environment's Python; what the
program says. Invariant: every package is one of the lock, by its hash; the environment is whole or not there; this
project is on the path of whatever runs in it.

    python -m bench.peers.environment bench/sb3.py --help        (`just peers`)
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from cartridge.errors import CartridgeError
from cartridge.stack.artifacts import uv_program
from cartridge.stack.cache import cache_folder, complete, digest
from cartridge.stack.install import Installation
from cartridge.stack.progress import Part, Progress
from cartridge.stack.shell import CommandFailed, Commands

ROOT = Path(__file__).resolve().parents[2]
LOCK = Path(__file__).with_name("requirements.lock")


def peers_python(progress: Progress, *, cache: Path | None = None) -> Path:
    """The Python of the peers' environment, which is made if it is missing.

    Raises CartridgeError with the reason when it cannot be made.
    """
    cache = cache_folder() if cache is None else cache
    folder = cache / f"peers-{digest(LOCK.read_bytes(), sys.version.encode())}"
    if not complete(folder):
        progress.line("installing the peers, once for this machine:")
        Installation(progress).fill(folder, "peers: JAX, pgx, OpenSpiel, EnvPool, torch", _fill)
    return folder / "bin" / "python"


def peers_variables() -> dict[str, str]:
    """The environment variables of a program that runs there."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def _fill(folder: Path, commands: Commands, part: Part) -> None:
    uv = uv_program()
    # relocatable, as the folder gets its name when it is whole
    making = (uv, "venv", "--quiet", "--relocatable", "--no-project", "--allow-existing")
    commands.run([*making, "--python", sys.executable, str(folder)], on_line=part.say)
    part.say("3 GB of packages, where torch is not there yet")
    filling = (uv, "pip", "sync", "--python", str(folder / "bin" / "python"), "--require-hashes")
    try:
        commands.run([*filling, "--only-binary", ":all:", str(LOCK)], on_line=part.say)
    except CommandFailed as error:
        raise CartridgeError(f"the peers cannot be fetched from PyPI: {error}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Becomes that Python; returns only when it could not be made, with the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        with Progress(Console(stderr=True)) as progress:
            python = str(peers_python(progress))
        os.execve(python, [python, *arguments], peers_variables())
    except CartridgeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
