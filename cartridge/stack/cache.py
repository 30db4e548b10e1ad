"""The machine's cache folder: servers are installed there once, whole or not at all.

In: a name that says everything that the contents depend on, and a function that fills a folder.
Out: that folder. Invariant: a folder under its final name is complete, because it is filled under another name,
stamped, and renamed; two processes that want the same one wait for each other and only one fills it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cartridge.errors import UsageError

STAMP = ".complete"


def cache_folder(environment: Mapping[str, str] | None = None) -> Path:
    """CARTRIDGE_CACHE, else XDG's cache folder, else ~/.cache/cartridge."""
    environment = os.environ if environment is None else environment
    if "CARTRIDGE_CACHE" in environment:
        return Path(environment["CARTRIDGE_CACHE"]).absolute()
    if "XDG_CACHE_HOME" in environment:
        return Path(environment["XDG_CACHE_HOME"]).absolute() / "cartridge"
    return Path.home() / ".cache" / "cartridge"


def digest(*parts: bytes) -> str:
    """Twelve hexadecimal digits for a folder's name, of all that its contents depend on."""
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def complete(folder: Path) -> bool:
    """Whether this folder was filled to the end."""
    return (folder / STAMP).exists()


def fill_once(folder: Path, fill: Callable[[Path], None]) -> Path:
    """`folder`, filled by `fill(staging)` if it is not complete yet. Whatever `fill` raises leaves nothing behind.

    Raises UsageError when the cache folder cannot be written.
    """
    if complete(folder):
        return folder
    with lock(folder.with_name(folder.name + ".lock")):
        if complete(folder):  # another process did it while this one waited
            return folder
        for left in folder.parent.glob(f"{folder.name}.part-*"):  # of a process that was killed
            shutil.rmtree(left, ignore_errors=True)
        staging = Path(tempfile.mkdtemp(prefix=f"{folder.name}.part-", dir=folder.parent))
        try:
            fill(staging)
            (staging / STAMP).touch()
            shutil.rmtree(folder, ignore_errors=True)
            staging.rename(folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return folder


@contextmanager
def lock(path: Path, *, variable: str = "CARTRIDGE_CACHE") -> Iterator[None]:
    """Holds a lock between processes; the system lets go of it when the holder dies.

    Raises UsageError naming the variable that sets the folder, when that cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("a")
    except OSError as error:
        raise UsageError(
            f"{variable} is {path.parent}, which cannot be written ({error.strerror}): set it to another folder"
        ) from error
    with handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
