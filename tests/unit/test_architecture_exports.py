"""What a module offers in __all__ is there, and is what the other packages take from it."""

from __future__ import annotations

import ast
import importlib

import pytest

from source_tree import ROOT, module_name, product_modules, tree_of


def exported(tree: ast.Module) -> list[str] | None:
    """The names in a module's __all__, or None."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(statement.value)
            return names
    return None


def taken(module: str) -> set[str]:
    """The names that other packages import from `module`."""
    package = module.partition(".")[0]
    return {
        alias.name
        for path in product_modules(ROOT)
        if path.parts[0] != package
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom) and node.module == module
        for alias in node.names
    }


EXPORTS = {module_name(path): names for path in product_modules() if (names := exported(tree_of(path)))}


@pytest.mark.parametrize("module", EXPORTS)
def test_what_is_offered_is_there(module: str) -> None:
    loaded = importlib.import_module(module)
    assert [name for name in EXPORTS[module] if not hasattr(loaded, name)] == []
    assert EXPORTS[module] == sorted(set(EXPORTS[module]))


@pytest.mark.parametrize("module", EXPORTS)
def test_what_others_take_is_offered(module: str) -> None:
    assert taken(module) - set(EXPORTS[module]) == set()


def test_the_face_of_games_and_of_the_engine_is_offered() -> None:
    assert {"games.contract", "engine.client"} <= EXPORTS.keys()
