"""What the machine's cache holds of the native stack: the record that passes from the installation to the servers.

In: nothing. Out: `Installed`. Invariant: each path in it was complete when the record was made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Installed:
    """Where the programs are."""

    java: Path
    kafka_jars: tuple[Path, ...]  # in a fixed order: the class archive depends on it
    class_archive: Path | None  # makes Java start in half the time
    minio: Path
    prometheus: Path | None  # None: there is none on the PATH, the stack runs without it
