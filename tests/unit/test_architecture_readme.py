"""What the README and docs/ say of the tree is so: the file map, the commands, the links; and no machine's traces."""

from __future__ import annotations

import argparse
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest

from cartridge import command
from markdown import anchors, blocks, documents, links, section, spans
from source_tree import ROOT, files, product_modules

FILE_MAP = section((ROOT / "README.md").read_text(), "File map")
ENTRIES = re.findall(r"^- `([^`]+)` \S.*$", FILE_MAP, re.MULTILINE)
FOLDERS = re.findall(r"^### `([^`]+)/`: \S.*$", FILE_MAP, re.MULTILINE)
RECIPE = re.compile(r"^([a-z][a-z-]*)(?: [^:=\n]*)?:(?!=)[^\n]*\n((?:[ \t]+[^\n]*\n)*)", re.MULTILINE)
RECIPES = dict(RECIPE.findall((ROOT / "Justfile").read_text()))
COMMAND = re.compile(r"(?:\./)?just(?: |$)|cartridge [a-z]|python (?:-m )?[a-z]")
# Where packages come from, and traces of the machine that somebody works on. Loopback addresses are neither.
TRACES = re.compile(
    r"/work/|/root/|/tmp/lab|/home/(?!cartridge/)[a-z]|https?://(?!127\.0\.0\.1|\{)"
    r"|\b(?:pypi|pythonhosted|golang|maven|maven\.apache|docker|ghcr|quay)\.(?:org|io|com)\b"
)


def differences(listed: list[str], there: list[str]) -> tuple[list[str], list[str]]:
    """What is listed and not there (or twice), and what is there and not listed."""
    return sorted(Counter(listed) - Counter(there)), sorted(Counter(there) - Counter(listed))


def test_the_file_map_has_every_module_once() -> None:
    headings = [f"{folder}/__init__.py" for folder in FOLDERS if (ROOT / folder / "__init__.py").exists()]
    listed = [path for path in ENTRIES if path.endswith(".py")] + headings
    assert differences(listed, [str(path) for path in product_modules()]) == ([], [])


def test_the_file_map_has_the_top_of_the_tree() -> None:
    top = {path.parts[0] + "/" * (len(path.parts) > 1) for path in files()}
    listed = [path for path in ENTRIES if path.rstrip("/").count("/") == 0]
    in_headings = {f"{folder.partition('/')[0]}/" for folder in FOLDERS}
    assert differences(listed, sorted(top - in_headings)) == ([], [])


def test_modules_stand_under_their_folder() -> None:
    for part in re.split(r"^### ", FILE_MAP, flags=re.MULTILINE)[1:-1]:
        folder = part.partition("/`")[0].lstrip("`")
        listed = re.findall(r"^- `([^`]+)`", part, re.MULTILINE)
        assert [path for path in listed if str(Path(path).parent) != folder] == []


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def trouble(line: str, *, whole: bool) -> str:
    """What is wrong with a command line in a document, or nothing. One that is not `whole` may lack its arguments."""
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        words.pop(0)
    program, arguments = words[0], words[1:]
    if program == "python":
        return trouble_of_script(arguments)
    if program != "cartridge":
        recipe = arguments[0] if arguments else ""
        if recipe.startswith("--") or not arguments:
            return ""
        if recipe not in RECIPES:
            return f"the Justfile has no recipe {recipe}"
        forwarded = re.search(r"@cartridge (\w+)", RECIPES[recipe])
        if forwarded is None:
            return trouble_of_recipe(recipe, arguments[1:])
        arguments = [forwarded[1], *arguments[1:]]
    return trouble_of_arguments(arguments, whole=whole)


def trouble_of_arguments(arguments: list[str], *, whole: bool) -> str:
    parser, rest = command._parser(), arguments
    while rest and rest[0] in subcommands(parser):
        parser, rest = subcommands(parser)[rest[0]], rest[1:]
    if not rest and not whole and parser.prog != "cartridge":
        return ""
    try:
        command._parser().parse_args(arguments)
    except SystemExit as done:
        return "" if done.code == 0 else f"cartridge does not understand {' '.join(arguments)}"
    return ""


def trouble_of_recipe(recipe: str, arguments: list[str]) -> str:
    if recipe == "bench" and not (ROOT / "bench" / f"{arguments[0]}.py").exists():
        return f"there is no bench/{arguments[0]}.py"
    if recipe == "test":
        missing = [name for name in arguments if name.islower() and not (ROOT / name.split("::")[0]).exists()]
        return f"there is no {missing[0]}" if missing else ""
    return ""


def trouble_of_script(arguments: list[str]) -> str:
    path = arguments[1].replace(".", "/") if arguments[0] == "-m" else arguments[0]
    there = [path, f"{path}.py", f"{path}/__main__.py"]
    return "" if any((ROOT / name).is_file() for name in there) else f"there is no module {path}"


@pytest.mark.parametrize("document", documents(), ids=str)
def test_commands_in_documents_exist(document: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / document).read_text()
    found = [(line, True) for line in blocks(text)] + [(line, False) for line in spans(text)]
    said = [
        f"{line}: {reason} {capsys.readouterr().err}"
        for line, whole in found
        if COMMAND.match(re.sub(r"^(?:[A-Z_]+=\S* )+", "", line)) and (reason := trouble(line, whole=whole))
    ]
    assert said == []


def test_commands_that_the_product_tells_people_exist() -> None:
    text = "\n".join((ROOT / path).read_text() for path in product_modules())
    recipes = set(re.findall(r"[`\"' ]\./just ([a-z]+)[ `\"]", text)) - {"is", "looks", "makes"}
    assert recipes - RECIPES.keys() == set()
    named = set(re.findall(r"`cartridge ([a-z]+)", text))
    assert named - subcommands(command._parser()).keys() == set()


@pytest.mark.parametrize(
    "line",
    [
        "./just frobnicate",
        "./just train tictactoe --no-such-setting 1",
        "./just bench nothing",
        "CARTRIDGE_PORTS=free ./just start",
        "cartridge replay look --run R",
        "cartridge train tictactoe --seed seven",
        "python bench/nothing.py",
        "./just test tests/nothing",
    ],
)
def test_a_command_that_does_not_exist_is_found(line: str) -> None:
    assert COMMAND.match(line.removeprefix("CARTRIDGE_PORTS=free "))
    assert trouble(line, whole=True)


def test_the_documents_name_commands() -> None:
    lines = [line for document in documents() for line in blocks((ROOT / document).read_text())]
    assert sum(bool(COMMAND.match(line)) for line in lines) >= 10


@pytest.mark.parametrize("document", documents(), ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    for link in links((ROOT / document).read_text()):
        name, _, anchor = link.partition("#")
        target = (ROOT / document.parent / name).resolve() if name else ROOT / document
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target.read_text()), link


def test_decisions_are_listed_in_their_order() -> None:
    folder = ROOT / "docs" / "adr"
    pages = sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert links((folder / "README.md").read_text()) == pages
    for number, page in enumerate(pages, start=1):
        text = (folder / page).read_text()
        assert text.startswith(f"# {number:04d}: ")
        headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert headings == ["Context", "Decision", "Measurement", "Consequence"], page


def test_no_file_has_traces_of_a_machine_or_a_registry() -> None:
    found = []
    for path in files():
        if path.name == Path(__file__).name:
            continue
        try:
            lines = (ROOT / path).read_text().splitlines()
        except UnicodeDecodeError:
            continue
        found += [f"{path}:{at}: {line.strip()}" for at, line in enumerate(lines, 1) if TRACES.search(line)]
    assert found == []


@pytest.mark.parametrize(
    "line", ["see /work/main", "https://example.com", "from pypi.org", "/root/.cache", "/home/me"]
)
def test_a_trace_is_found(line: str) -> None:
    assert TRACES.search(line)
