"""Installation commands: read as they go, ended together."""

from __future__ import annotations

import io
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from rich.console import Console

from cartridge.errors import CartridgeError
from cartridge.stack.progress import Progress
from cartridge.stack.shell import CommandFailed, Commands


def test_lines_come_as_they_are_written_and_the_last_are_given() -> None:
    lines: list[str] = []
    assert Commands().run(["sh", "-c", "echo one; echo two >&2"], on_line=lines.append) == "one\ntwo"
    assert lines == ["one", "two"]


def test_a_failure_carries_its_code_and_its_last_words() -> None:
    with pytest.raises(CommandFailed, match=r"`sh -c .* exited with 3: no network") as failed:
        Commands().run(["sh", "-c", "echo downloading; echo no network; echo; exit 3"])
    assert failed.value.code == 3
    assert failed.value.lines == ("downloading", "no network", "")


def test_cancel_ends_a_command_with_all_that_it_started() -> None:
    commands = Commands()
    begun = threading.Event()
    groups: list[str] = []

    def on_line(line: str) -> None:
        groups.append(line)
        begun.set()

    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(commands.run, ["sh", "-c", "echo $$; sleep 60 & wait"], on_line=on_line)
        assert begun.wait(20)
        commands.cancel()
        with pytest.raises(CommandFailed):
            work.result(20)
    listed = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    states = [line.split()[1] for line in listed.splitlines() if line.split()[0] == groups[0]]
    assert all(state.startswith("Z") for state in states)
    with pytest.raises(CartridgeError, match="the installation was stopped"):
        commands.run(["true"])


def plain() -> tuple[Progress, io.StringIO]:
    output = io.StringIO()
    return Progress(Console(file=output)), output


def test_in_a_pipe_parts_are_plain_lines() -> None:
    progress, output = plain()
    with progress, progress.part("Kafka 4.2") as part:
        part.say("a.jar", done=1, total=2)
        assert part.percent() == "50%, "
    assert output.getvalue().splitlines() == ["  Kafka 4.2 ...", "  Kafka 4.2: done (0.0 s)"]


def test_a_long_part_says_where_it_is_and_an_ended_one_nothing() -> None:
    progress, output = plain()
    part = progress.begin("MinIO", quiet=True)
    part.began -= 60
    part._line_at -= 60
    part.say("net/http [x]", done=300, total=1200)
    part.say("net/url", done=301, total=1200)
    part.end("done")
    part.say("more", done=1, total=1)
    part.end("failed")
    assert output.getvalue().splitlines() == ["  MinIO: 25%, net/http [x] (60 s)", "  MinIO: done (60.0 s)"]


@pytest.mark.parametrize(("error", "how"), [(RuntimeError, "failed"), (KeyboardInterrupt, "stopped")])
def test_a_part_that_breaks_says_how(error: type[BaseException], how: str) -> None:
    progress, output = plain()
    with progress, pytest.raises(error), progress.part("MinIO"):
        raise error
    assert output.getvalue().splitlines()[-1] == f"  MinIO: {how} (0.0 s)"


def test_on_a_terminal_parts_are_a_table_that_stays() -> None:
    output = io.StringIO()
    with Progress(Console(file=output, force_terminal=True, width=100, color_system=None)) as progress:
        with progress.part("Kafka 4.2") as part:
            part.say("a.jar", done=1, total=2)
        progress.begin("engine", quiet=True).say("starting")
    assert "✓ Kafka 4.2" in output.getvalue()
    assert "engine" in output.getvalue()
