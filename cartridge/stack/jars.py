"""Fetches exactly the jars of a jgo lock: a script, run with jgo's own folder on the path.

In: the lock, a folder. Out: the folder with each jar in it, compared with its locked sha256; a line a jar.
Invariant: nothing is resolved again, so the jars are the lock's or there are none.

    PYTHONPATH=TOOLS python jars.py kafka.lock.toml FOLDER
"""

from __future__ import annotations

import hashlib
import importlib
import shutil
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

_AT_ONCE = 8  # downloads; the work is waiting


def main(lock: Path, folder: Path) -> int:
    """Fetches all; 1 with one line when a jar cannot be had or is another."""
    jars = tomllib.loads(lock.read_text())["dependencies"]
    with tempfile.TemporaryDirectory(dir=folder) as cache, ThreadPoolExecutor(_AT_ONCE) as pool:
        context = _context(Path(cache))
        for failure in pool.map(lambda jar: _fetch(context, jar, folder), jars):
            if failure:
                _say(f"error: {failure}")
                return 1
    return 0


def _context(cache: Path) -> Any:
    # By name: it is in the tools' folder, not in the environment that the types are checked in.
    return importlib.import_module("jgo.maven").MavenContext(repo_cache=cache)


def _fetch(context: Any, jar: dict[str, Any], folder: Path) -> str:
    """Why it failed, or nothing."""
    name = f"{jar['artifactId']}-{jar['version']}.jar"
    try:
        component = context.project(jar["groupId"], jar["artifactId"]).at_version(jar["version"])
        found: Path = component.artifact(jar.get("classifier", ""), jar["packaging"]).resolve()
    except Exception as error:  # noqa: BLE001  (jgo's and its HTTP client's own kinds)
        return f"{name} cannot be downloaded: {error}"
    digest = hashlib.sha256(found.read_bytes()).hexdigest()
    if digest != jar["sha256"]:
        return f"{name} has sha256 {digest}, but {jar['sha256']} is locked: it is not used"
    shutil.move(found, folder / name)
    _say(name)
    return ""


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
