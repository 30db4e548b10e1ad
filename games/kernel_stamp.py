"""What a kernel's machine code was made of: the sources that can change it, as one digest.

Enters: a module's name. Leaves: a digest of its file and of every file of its own package, or of games, that it
imports, directly or not. Invariant: two equal digests mean equal sources, wherever and whenever the files were written.

Numba's disk cache watches the file of a kernel only, by its time and size. A kernel of another file that it calls, or a
constant that it takes from there, is part of the machine code as well.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from functools import cache
from pathlib import Path


@cache
def digest_of(module: str) -> str:
    """The digest of a module that has been imported, by its name.

    Args:
        module: as in sys.modules.

    Raises:
        KeyError: no such module was imported, or it has no file.
    """
    found = hashlib.sha256()
    for name in sorted(_closure(module)):
        found.update(_source(name))
    return found.hexdigest()


def _closure(module: str) -> set[str]:
    """The module and all that it imports of its own package and of games."""
    packages = {module.partition(".")[0], "games"}
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        waiting += [other for other in _imports(name) if other.partition(".")[0] in packages]
    return seen


@cache
def _imports(module: str) -> frozenset[str]:
    """The imported modules that a module names; absolute imports, as everywhere in this project."""
    named: set[str] = set()
    for node in ast.walk(ast.parse(_source(module))):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, node)
            named |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return frozenset(name for name in named if _file(name) is not None)


def _absolute(module: str, node: ast.ImportFrom) -> str:
    """What `from X import …` names, also with dots before X."""
    if not node.level:
        return node.module or ""
    found = sys.modules[module]
    package = module if hasattr(found, "__path__") else module.rpartition(".")[0]
    for _ in range(node.level - 1):
        package = package.rpartition(".")[0]
    return f"{package}.{node.module}" if node.module else package


def _file(module: str) -> Path | None:
    file = getattr(sys.modules.get(module), "__file__", None)
    return Path(file) if file and file.endswith(".py") else None


@cache
def _source(module: str) -> bytes:
    file = _file(module)
    if file is None:
        raise KeyError(f"module {module!r} has no source")
    return file.read_bytes()
