"""Makes the native stack's locks: tools.lock from tools.in, kafka.lock.toml from kafka.toml.

In: compose/native/*.in and *.toml, the registries. Out: the locks, with a hash of every file that will be installed.
Invariant: a lock is replaced whole or not at all, and names no registry's host.

    python -m cartridge.stack.lock        (`just lock`)
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from cartridge.errors import CartridgeError
from cartridge.stack import artifacts
from cartridge.stack.cache import cache_folder, fill_once
from cartridge.stack.install import Folders
from cartridge.stack.progress import Progress
from cartridge.stack.shell import Commands


def lock_tools(commands: Commands) -> None:
    """Resolves tools.in with hashes."""
    source, lock = artifacts.NATIVE / "tools.in", artifacts.TOOLS_LOCK
    uv = str(Path(sys.prefix) / "bin" / "uv")
    shape = ("--universal", "--generate-hashes", "--no-header", "--no-emit-index-url", "--no-annotate")
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / lock.name
        commands.run([uv, "pip", "compile", *shape, "--python-version", "3.11", str(source), "-o", str(made)])
        shutil.move(made, lock)


def lock_kafka(commands: Commands, progress: Progress) -> None:
    """Resolves kafka.toml with jgo and keeps the sha256 of each jar."""
    tools = Folders.of(cache_folder()).tools
    with progress.part("Kafka's jars") as part, tempfile.TemporaryDirectory() as folder:
        fill_once(tools, lambda staging: artifacts.fill_tools(staging, commands, part))
        resolved = artifacts.resolve_kafka(Path(folder), commands, tools=tools, on_line=part.say)
        shutil.copy(resolved / "jgo.lock.toml", artifacts.KAFKA_LOCK)


def main() -> int:
    """Makes both locks."""
    commands = Commands()
    try:
        with Progress(Console(stderr=True)) as progress:
            lock_tools(commands)
            lock_kafka(commands, progress)
    except CartridgeError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        commands.cancel()
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
