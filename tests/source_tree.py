"""The source tree as data: which files there are, what each module imports.

In: the root of a tree. Out: paths, module names, imports with their lines.
Invariant: nothing of the tree is imported or run; ignored files are not there.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_STUBS = Path("engine/stubs")


@dataclass(frozen=True)
class Import:
    """One module imported somewhere in a file."""

    module: str  # such as streams.kafka, or numpy
    line: int
    at_import: bool  # in the module's own body: it happens when the module is imported


def files(root: Path = ROOT) -> list[Path]:
    """Every file that is not ignored, relative to `root`, sorted."""
    ignored = [".git", *(root / ".gitignore").read_text().split()]
    return sorted(path.relative_to(root) for path in _walk(root, [name.rstrip("/") for name in ignored]))


def product_modules(root: Path = ROOT) -> list[Path]:
    """Every module that a person wrote, outside of tests, relative to `root`."""
    return [
        path
        for path in files(root)
        if path.suffix == ".py" and path.parts[0] != "tests" and not path.is_relative_to(_STUBS)
    ]


def module_name(path: Path) -> str:
    """What a relative path is imported as."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def tree_of(path: Path, *, root: Path = ROOT) -> ast.Module:
    """The syntax tree of a relative path."""
    return ast.parse((root / path).read_text(), filename=str(path))


@functools.cache
def imports(path: Path, *, root: Path = ROOT) -> tuple[Import, ...]:
    """Everything that the module at a relative path imports, anywhere in it and under any condition."""
    module = tree_of(path, root=root)
    outermost = {id(node) for statement in module.body for node in _executed(statement)}
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Call):
            names = _imported(node, root)
            found += [Import(name, node.lineno, id(node) in outermost) for name in names]
    return tuple(found)


def _walk(folder: Path, ignored: list[str]) -> Iterator[Path]:
    for path in folder.iterdir():
        if any(fnmatch(path.name, pattern) for pattern in ignored):
            continue
        if path.is_dir():
            yield from _walk(path, ignored)
        else:
            yield path


def _executed(statement: ast.stmt) -> Iterator[ast.AST]:
    """What runs when the module is imported: no bodies of functions, nothing for the type checker only."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return
    if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
        return
    yield from ast.walk(statement)


def _imported(node: ast.Import | ast.ImportFrom | ast.Call, root: Path) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        package = node.module or ""
        folder = root.joinpath(*package.split("."))
        return [
            f"{package}.{alias.name}"
            if (folder / f"{alias.name}.py").exists() or (folder / alias.name / "__init__.py").exists()
            else package
            for alias in node.names
        ]
    called = ast.unparse(node.func)
    if called not in ("importlib.import_module", "import_module", "__import__") or not node.args:
        return []
    name = node.args[0]
    return [name.value] if isinstance(name, ast.Constant) and isinstance(name.value, str) else []
