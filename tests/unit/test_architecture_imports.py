"""Dependencies run one way (docs/architecture.md, docs/adr/0008), read from the syntax of every module."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from source_tree import ROOT, files, imports, module_name, product_modules, tree_of

FOUNDATION = (
    "cartridge.errors",
    "cartridge.logs",
    "cartridge.objects",
    "cartridge.settings",
    "cartridge.telemetry",
)
# What stands on the records, for services that write and read topics.
RECORDS = (
    "streams.checkpoint",
    "streams.codec",
    "streams.errors",
    "streams.kafka",
    "streams.records",
    "streams.status",
    "streams.topics",
)
EVERYTHING = ("actor", "cartridge", "engine", "games", "learner", "streams")

# Who may import what outside of itself: a module, or a package with all that is in it. The longest name that a module
# begins with is its owner.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "games": (),
    "proto": (),
    "engine": (*FOUNDATION, "games"),
    "streams": FOUNDATION,
    "actor": (
        *FOUNDATION,
        *RECORDS,
        "engine.client",
        "engine.errors",
        "engine.memory",
        "games.choices",
        "games.contract",
        "games.errors",
        "games.kernel",
    ),
    "learner": (
        *FOUNDATION,
        *RECORDS,
        "streams.views",
        "streams.warehouse",
        "games.batch",
        "games.choices",
        "games.contract",
        "games.errors",
        "games.kernel",
        "games.registry",
    ),
    **dict.fromkeys(FOUNDATION, FOUNDATION),
    # The demonstration of `up` is the one thing that the stack calls instead of starting it.
    "cartridge.stack": (*FOUNDATION, "cartridge.runs", "games.registry", "games.warm"),
    "cartridge": EVERYTHING,
    "bench": EVERYTHING,
}
NETWORK = {"confluent_kafka", "duckdb", "grpc", "http", "minio", "requests", "socket", "urllib", "urllib3"}
SERVICES = ("actor.service", "engine.server", "streams.service", "cartridge.command")


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def owner(module: str) -> str:
    """The entry of the table that `module` belongs to."""
    owners = [name for name in MAY_IMPORT if within(module, name)]
    assert owners, f"{module} belongs to no entry of MAY_IMPORT: say there what it may import"
    return max(owners, key=len)


def forbidden(root: Path) -> list[str]:
    """Each import of the tree that the table does not allow."""
    found = []
    for path in product_modules(root):
        mine = owner(module_name(path))
        for imported in imports(path, root=root):
            package = imported.module.partition(".")[0]
            ours = package in {name.partition(".")[0] for name in MAY_IMPORT} | {"tests"}
            if not ours or owner_of_import(imported.module) == mine:
                continue
            if not any(within(imported.module, allowed) for allowed in MAY_IMPORT[mine]):
                found.append(f"{path}:{imported.line} imports {imported.module}: {mine} may not")
    return found


def owner_of_import(module: str) -> str:
    return "tests" if within(module, "tests") else owner(module)


def reached(module: str, root: Path, *, at_import: bool) -> dict[str, str]:
    """Every module that `module` reaches by imports, with the one that imports it.

    `at_import`: only by those that happen when it is imported.
    """
    paths = {module_name(path): path for path in product_modules(root)}
    found: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        for imported in imports(paths[name], root=root) if name in paths else ():
            if (imported.at_import or not at_import) and imported.module not in found:
                found[imported.module] = name
                waiting.append(imported.module)
    return found


def impure(root: Path) -> list[str]:
    """Each module that calls itself pure and reaches the network."""
    found = []
    for path in product_modules(root):
        docstring = ast.get_docstring(tree_of(path, root=root)) or ""
        if "Pure" in docstring.replace(",", " ").replace(".", " ").split():
            chain = reached(module_name(path), root, at_import=False)
            found += [
                f"{path} is pure, but {by} imports {name}"
                for name, by in chain.items()
                if name.partition(".")[0] in NETWORK
            ]
    return found


def test_every_import_is_allowed() -> None:
    assert forbidden(ROOT) == []


def test_what_calls_itself_pure_reaches_no_network() -> None:
    assert impure(ROOT) == []


def test_torch_is_the_learners() -> None:
    users = {
        path.parts[0]
        for path in product_modules()
        for imported in imports(path)
        if within(imported.module, "torch")
    }
    assert users == {"learner"}


@pytest.mark.parametrize("service", SERVICES)
def test_torch_is_not_loaded_where_nobody_learns(service: str) -> None:
    chain = reached(service, ROOT, at_import=True)
    assert not [f"{by} imports {name}" for name, by in chain.items() if within(name, "torch")]


def test_the_table_speaks_of_modules_that_there_are() -> None:
    there = {module_name(path) for path in files() if path.suffix == ".py"} | {"proto", "bench"}
    named = set(MAY_IMPORT).union(*MAY_IMPORT.values())
    assert not [name for name in named if not any(within(module, name) for module in there)]


PLANTED = [
    ("games/a.py", "from streams import records\n", "streams.records"),
    ("engine/a.py", "def late() -> None:\n    from learner import trainer\n", "learner.trainer"),
    ("actor/a.py", "import streams.compactor\n", "streams.compactor"),
    ("actor/a.py", "import importlib\n\nimportlib.import_module('learner.trainer')\n", "learner.trainer"),
    ("learner/a.py", "if TYPE_CHECKING:\n    from engine.client import EngineClient\n", "engine.client"),
    ("streams/a.py", "from cartridge.runs import submit\n", "cartridge.runs"),
    ("cartridge/errors.py", "from cartridge import runs\n", "cartridge.runs"),
    ("cartridge/stack/a.py", "import streams.topics\n", "streams.topics"),
    ("cartridge/a.py", "from tests import stage\n", "tests"),
]


def plant(root: Path, name: str, text: str) -> None:
    """A tree with the modules that the cases speak of, all empty, and one with `text`."""
    there = ["learner/trainer.py", "streams/compactor.py", "streams/records.py", "streams/topics.py"]
    for path in [*there, "engine/client.py", "cartridge/runs.py", name]:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    (root / ".gitignore").write_text("__pycache__/\n")
    (root / name).write_text(text)


@pytest.mark.parametrize(("name", "text", "module"), PLANTED)
def test_a_planted_import_is_found(tmp_path: Path, name: str, text: str, module: str) -> None:
    plant(tmp_path, name, text)
    found = forbidden(tmp_path)
    assert len(found) == 1
    assert found[0].startswith(f"{name}:")
    assert f"imports {module}: " in found[0]


def test_an_allowed_import_is_not_found(tmp_path: Path) -> None:
    plant(tmp_path, "actor/a.py", "from engine.client import EngineClient\nfrom streams import records\n")
    assert forbidden(tmp_path) == []


def test_a_planted_way_to_the_network_is_found(tmp_path: Path) -> None:
    plant(tmp_path, "learner/pure.py", '"""Sums. Pure.\n"""\nfrom streams.records import Record\n')
    (tmp_path / "streams/records.py").write_text("def read() -> None:\n    import duckdb\n")
    assert impure(tmp_path) == ["learner/pure.py is pure, but streams.records imports duckdb"]
