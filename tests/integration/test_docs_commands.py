"""Every command line that README.md and docs/*.md show works as it is written there.

Each is run on a stack, with a run's name in the place of RUN, or is named here with the test that covers it: a command
that is in neither fails.
"""

from __future__ import annotations

import re

import pytest

from markdown import blocks, spans
from running_stack import ROOT, Trained

TESTS = ROOT / "tests"
# command -> the test that runs it
COVERED = {
    "./just": "unit/test_stack_bootstrap.py",
    "./just up": "integration/test_end_to_end.py",
    "CARTRIDGE_PORTS=free ./just up": "unit/test_stack_ports.py",
    "./just down": "integration/conftest.py",
    "./just down --delete-data": "unit/test_stack_down.py",
    "./just train tictactoe --seed 7": "integration/test_several_runs.py",
    "./just sql": "integration/test_end_to_end.py",
    "./just runs stop RUN": "integration/test_several_runs.py",
    "./just runs start RUN": "integration/test_several_runs.py",
    "./just compose --profile services up": "unit/test_compose.py",
    "cartridge compactor --member b": "integration/test_streams_crash.py",
    # the game of docs/add-a-game.md, which its own test installs
    "cartridge games list": "unit/test_games_guide.py",
    "cartridge games show nim": "unit/test_games_guide.py",
    "cartridge games check nim --hint 05 --hint 1e": "unit/test_games_guide.py",
    "PYTHONPATH=../nim cartridge games check nim --reference test_nim:step": "unit/test_games_guide.py",
    "cartridge games play nim": "unit/test_games_guide.py",
    "cartridge train nim": "unit/test_games_guide.py",
    # several gigabytes of other people's libraries: the peers' environment is checked without installing it
    "./just peers bench/sb3.py": "unit/test_bench_peers.py",
    # what runs this very test, and what would run it again
    "./just test": "integration/test_docs_commands.py",
    "./just test tests/unit": "integration/test_docs_commands.py",
}
COMMAND = re.compile(r"(\w+=\S+ )*(\./just|cartridge|just)( .*)?")


def documented() -> dict[str, str]:
    """Each command line of the documents, without its comment, and where it stands first."""
    found: dict[str, str] = {}
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = path.read_text()
        # Between backticks `cartridge sql` is the name of a thing; a command to type begins with ./just there.
        inline = [span for span in spans(text) if "./just" in span or span in COVERED]
        for line in [*blocks(text), *inline]:
            command = re.sub(r"\s+#.*", "", line)
            if COMMAND.fullmatch(command):
                found.setdefault(command, path.name)
    return found


def to_run() -> list[str]:
    """The command lines that are run here."""
    return [command for command in documented() if command not in COVERED]


def test_the_documents_show_commands() -> None:
    commands = documented()
    assert len(commands) > 12
    assert {"./just up", "./just test", "./just status"} <= set(commands)


def test_what_is_said_to_be_covered_is_documented_and_there() -> None:
    assert set(COVERED) <= set(documented())
    for path in COVERED.values():
        assert (TESTS / path).is_file(), path


@pytest.mark.parametrize("command", to_run())
def test_a_documented_command_works(trained: Trained, command: str) -> None:
    typed = command.replace("RUN", trained.run).replace("GAME", "tictactoe")
    done = trained.stack.shell(typed, typed="quit\n")
    assert (done.code, done.error) == (0, ""), done
    assert done.output.strip()
