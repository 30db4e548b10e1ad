"""The house's form as far as a test can see it: lengths, docstrings, nothing at import, who reads the environment."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from source_tree import ROOT, files, product_modules, tree_of

LONGEST = 400  # lines
NO_NOUN = {"base", "common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}
# Declarations without a way through them, and `python -m`.
NO_STAGE = {"__init__.py", "__main__.py", "errors.py", "metrics.py"}
ENTERS, LEAVES, INVARIANT = re.compile(r"\b(?:In|Enters):"), re.compile(r"\b(?:Out|Leaves):"), "Invariant"
DECLARATIONS = (
    ast.AnnAssign,
    ast.Assign,
    ast.ClassDef,
    ast.FunctionDef,
    ast.Import,
    ast.ImportFrom,
)
CONDITIONS = r"^(?:TYPE_CHECKING|__name__ == '__main__')$"
HEAVY = ("torch", "numba", "duckdb", "pyarrow", "grpc")


def long_files() -> list[str]:
    written = [path for path in files() if path.suffix == ".py" and "stubs" not in path.parts]
    lengths = {path: len((ROOT / path).read_text().splitlines()) for path in written}
    return [f"{path} has {length} lines" for path, length in lengths.items() if length > LONGEST]


def missing_from_docstring(text: str) -> list[str]:
    """Which of the three a module's docstring does not say."""
    said = {"In": ENTERS.search(text), "Out": LEAVES.search(text), INVARIANT: INVARIANT in text}
    return [name for name, found in said.items() if not found]


def done_at_import(module: ast.Module) -> list[int]:
    """Lines of statements in a module's body that are no declaration."""
    return [
        statement.lineno
        for statement in module.body
        if not isinstance(statement, DECLARATIONS)
        and not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        and not (isinstance(statement, ast.If) and re.search(CONDITIONS, ast.unparse(statement.test)))
    ]


def test_no_file_is_longer_than_one_concept() -> None:
    assert long_files() == []


def test_files_are_named_after_nouns_of_the_dataflow() -> None:
    assert [str(path) for path in product_modules() if path.stem in NO_NOUN] == []


def test_a_module_says_what_enters_what_leaves_and_what_holds() -> None:
    silent = {
        str(path): missing
        for path in product_modules()
        if path.name not in NO_STAGE
        and (missing := missing_from_docstring(ast.get_docstring(tree_of(path)) or ""))
    }
    assert silent == {}


def test_every_module_that_holds_anything_has_a_docstring() -> None:
    trees = {path: tree_of(path) for path in product_modules()}
    assert [str(path) for path, tree in trees.items() if tree.body and not ast.get_docstring(tree)] == []


def test_nothing_happens_at_import() -> None:
    found = {str(path): done_at_import(tree_of(path)) for path in product_modules()}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "text", ["print(1)\n", "for x in (): pass\n", "with open('x') as f: pass\n", "if 1: x = 2\n"]
)
def test_what_happens_at_import_is_found(text: str) -> None:
    assert done_at_import(ast.parse(f'"""A module."""\nimport os\n{text}')) == [3]


def test_what_a_docstring_leaves_out_is_found() -> None:
    assert missing_from_docstring("Sums.\n\nIn: numbers. Invariant: none.") == ["Out"]


def test_the_environment_is_read_in_one_place() -> None:
    readers = {path for path in product_modules() if "os.environ" in (ROOT / path).read_text()}
    allowed = [Path("cartridge/settings.py"), Path("cartridge/stack"), Path("bench")]
    assert [str(path) for path in readers if not any(path.is_relative_to(place) for place in allowed)] == []


def test_packages_hold_nothing_but_their_modules() -> None:
    holding = [
        path for path in product_modules() if path.name == "__init__.py" and len(tree_of(path).body) > 1
    ]
    assert [str(path) for path in holding] == []


def test_the_command_loads_what_it_needs_when_it_needs_it() -> None:
    """`cartridge status` waits for none of these, whatever the other commands need."""
    question = f"import sys, cartridge.command; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", question], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
