"""docs/add-a-game.md, followed as it stands: its package is built and installed, checked, tested and played."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from games.conformance import CHECKS
from markdown import rows, section
from source_tree import ROOT

GUIDE = (ROOT / "docs" / "add-a-game.md").read_text()
# A line that begins with a file's name in backquotes, and the indented block after it.
FILE = re.compile(r"^`(nim/[a-z_.]+)`[^\n]*:\n\n((?:(?:    [^\n]*)?\n)+)", re.MULTILINE)

# A path to the package in a command: after an option that takes one, a variable or `pytest`.
PLACE = re.compile(r"(?:--editable |PYTHONPATH=|pytest )(\S+)")


def written_files() -> dict[str, str]:
    return {name: textwrap.dedent(text).strip() + "\n" for name, text in FILE.findall(GUIDE)}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the guide's package lies, installed in `site` beside it."""
    folder = tmp_path_factory.mktemp("guide")
    for name, text in written_files().items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    options = ["--no-deps", "--no-build-isolation", "--offline", "--quiet"]
    uv = [sys.executable, "-m", "uv", "pip", "install", "--python", sys.executable]
    subprocess.run([*uv, *options, "--target", str(folder / "site"), str(folder / "nim")], check=True)
    return folder


def run(installed: Path, *command: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """A command in Cartridge's folder, in a process that has the package on its path."""
    path = f"PYTHONPATH={installed / 'site'}:{installed / 'nim'}:{ROOT}"
    return subprocess.run(
        ["env", path, sys.executable, *command],
        cwd=ROOT,
        input=typed,
        capture_output=True,
        text=True,
        check=False,
    )


def cartridge(installed: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    question = "import sys; from cartridge.command import main; sys.exit(main(sys.argv[1:]))"
    return run(installed, "-c", question, *arguments, typed=typed)


def test_the_guide_has_the_files_of_a_package() -> None:
    assert sorted(written_files()) == ["nim/nim_game.py", "nim/pyproject.toml", "nim/test_nim.py"]


def test_nothing_of_the_guides_package_lies_in_the_checkout() -> None:
    """The architecture tests would take it for Cartridge's own."""
    assert "beside Cartridge's own folder and not in it" in " ".join(section(GUIDE, "The package").split())
    commands = section(GUIDE, "Install, check, play")
    assert "In Cartridge's folder" in commands
    places = PLACE.findall(commands)
    assert places == ["../nim", "../nim", "../nim/test_nim.py"]
    assert not (ROOT / "nim").exists()


def test_the_installed_game_is_listed_and_shown(installed: Path) -> None:
    listed = cartridge(installed, "games", "list")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "nim" in {line.split()[0] for line in listed.stdout.splitlines()}
    shown = cartridge(installed, "games", "show", "nim")
    assert shown.stdout.endswith("|||||||||||| 12 left\nplayer 1 to move\n")


def test_the_game_passes_the_checks_in_other_processes_too(installed: Path) -> None:
    checked = cartridge(installed, "games", "check", "nim", "--hint", "05", "--hint", "1e")
    assert (checked.returncode, checked.stderr) == (0, "")
    lines = checked.stdout.splitlines()
    assert lines[-1] == f"nim conforms: {len(CHECKS)} checks."
    assert lines[-2].split() == ["other", "processes", "2"]


def test_the_game_equals_its_reference(installed: Path) -> None:
    checked = cartridge(installed, "games", "check", "nim", "--reference", "test_nim:step")
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_games_own_test_passes(installed: Path) -> None:
    tested = run(
        installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(installed / "nim" / "test_nim.py")
    )
    assert tested.returncode == 0, tested.stdout
    assert "1 passed" in tested.stdout


def test_the_game_is_played(installed: Path) -> None:
    played = cartridge(installed, "games", "play", "nim", "--seed", "1", "--hint", "03", typed="4\n3\n")
    assert (played.returncode, played.stderr) == (0, "")
    assert "move '4': not a number of matches; type 1, 2 or 3" in played.stdout
    assert played.stdout.endswith(" no matches left\n player 1 has won\nYou win.\n")


def test_a_game_that_differs_between_processes_is_found(installed: Path) -> None:
    # Hashes of text are drawn anew for each process.
    module = installed / "site" / "nim_game.py"
    sound = module.read_text()
    try:
        module.write_text(sound.replace("out.info[:] = left", "out.info[:] = left + hash('nim') % 1000"))
        checked = cartridge(installed, "games", "check", "nim")
    finally:
        module.write_text(sound)
    assert checked.returncode == 1
    assert re.fullmatch(
        r"error: nim: process \d \(PYTHONHASHSEED=\d\) gives other bytes than this one\n", checked.stderr
    )


def test_the_guides_table_has_every_check() -> None:
    assert [row[0] for row in rows(section(GUIDE, "What the checks mean"))] == list(CHECKS)
