"""Compiles every game's kernels into the disk cache, several games at a time.

Enters: nothing, or games' names. Leaves: a warm cache, and a line a game while it goes. Invariant: afterwards no
process of these sources compiles a kernel of these games again; where that is so already, nothing is done.

    python -m games.warm
    python -m games.warm tictactoe arena
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

from games import registry

_FOLDER = Path(__file__).resolve().parent


def is_warm(names: Sequence[str]) -> bool:
    """Whether `warm` has been through with these games since the sources last changed, and the cache is there still."""
    stamp = _stamp(names)
    try:
        digest, *indexes = stamp.read_text().splitlines()
    except (OSError, ValueError):  # none, or an empty one
        return False
    there = bool(indexes) and all((_cache() / index).is_file() for index in indexes)
    return there and digest == _digest()


def warm(names: Sequence[str], *, say: Callable[[str, int, int], None] = lambda *_: None) -> None:
    """Compile what is not in the cache.

    Args:
        names: of games.
        say: called with a game, how many are done and how many there are, as each is done.

    Raises:
        games.errors.UnknownGame: there is no such game.
    """
    if is_warm(names):
        return
    digest = _digest()  # of before: sources that change meanwhile are compiled again
    for done, name in enumerate(_compiled(names), start=1):
        say(name, done, len(names))
    stamp = _stamp(names)
    # In a checkout that may not be written to numba keeps its cache elsewhere, and the next call looks again.
    with suppress(OSError):
        stamp.parent.mkdir(parents=True, exist_ok=True)
        indexes = sorted(str(path.relative_to(_cache())) for path in _cache().rglob("*.nbi"))
        stamp.write_text("".join(f"{line}\n" for line in (digest, *indexes)))


def _compiled(names: Sequence[str]) -> Iterator[str]:
    """Each name as soon as its game is warm."""
    # Spawned, not forked: numba's compiler has threads and locks.
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        works = [pool.submit(_warm_one, name) for name in names]
        for work in as_completed(works):
            yield work.result()


def _warm_one(name: str) -> str:
    registry.get(name).warm()
    return name


def _stamp(names: Sequence[str]) -> Path:
    """The one file, however often they change, that says of what these games' kernels were last compiled, and which
    index files numba then had."""
    folder = _cache() / "__pycache__" if _cache() == _FOLDER else _cache()
    return folder / f"warm-{hashlib.sha256(repr(sorted(names)).encode()).hexdigest()[:16]}"


def _cache() -> Path:
    """The folder in and below which numba keeps kernels of games, in a checkout that may be written to."""
    import numba

    chosen: str = vars(numba.config)["CACHE_DIR"]  # which numba reads from the environment
    return Path(chosen or _FOLDER)


def _digest() -> str:
    """Of the sources of all kernels, and of what makes machine code of them."""
    import numba
    from llvmlite import binding

    made_by = (sys.version, numba.__version__, binding.get_host_cpu_name())
    digest = hashlib.sha256(repr(made_by).encode())
    for path in sorted(_FOLDER.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def main(arguments: list[str] | None = None) -> int:
    """Compile, with a line a game. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Compiles the kernels of games into the disk cache.")
    parser.add_argument("games", nargs="*", metavar="GAME", help="all builtin ones by default")
    names = parser.parse_args(arguments).games or registry.builtin()
    began_s = time.monotonic()

    def say(name: str, done: int, of: int) -> None:
        seconds = time.monotonic() - began_s
        sys.stdout.write(f"kernels of {name} compiled ({done} of {of}, {seconds:.0f} s)\n")
        sys.stdout.flush()

    warm(names, say=say)
    return 0


if __name__ == "__main__":
    sys.exit(main())
