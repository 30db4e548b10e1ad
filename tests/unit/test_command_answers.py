"""What the command says to a person: answers on standard output, errors as one line and an exit code."""

from __future__ import annotations

import csv
import functools
import io
import json
import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from cartridge import runs, sql
from cartridge.command import main
from cartridge.errors import CartridgeError, UsageError
from cartridge.settings import Settings
from cartridge.wish import Wish, spec_of
from streams import replay, topics, views


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No stack of this machine is heard of, no port is waited for long, and services leave no trace in this process."""
    root = logging.getLogger("cartridge")
    logged = root.handlers[:], root.level, root.propagate
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    monkeypatch.setenv("CARTRIDGE_HOME", str(tmp_path))
    monkeypatch.setenv("CARTRIDGE_KAFKA", "127.0.0.1:1")
    monkeypatch.setattr(topics, "ensure", functools.partial(topics.ensure, timeout_s=0.3))
    yield
    root.handlers[:], root.level, root.propagate = logged
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def warehouse(monkeypatch: pytest.MonkeyPatch) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW transitions AS {views.transitions([], 'bucket')}")
        monkeypatch.setattr(sql, "open_views", lambda _settings: connection)
        yield connection


@pytest.fixture
def run_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one run, called mine, of which nothing was logged."""
    spec = spec_of(Wish(env_id="tictactoe", run="mine"))

    def find(_settings: Settings, run: str) -> object:
        if run != "mine":
            raise UsageError(f"run is {run!r}: there is no such run; the newest are mine")
        return spec

    monkeypatch.setattr(runs, "find", find)
    monkeypatch.setattr(replay, "last_episode", lambda _kafka, _run: None)


def refusal(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What the command says when it refuses: one line on standard error, and exit code 2."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    return captured.err.removeprefix("error: ").strip()


@pytest.mark.usefixtures("warehouse")
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELEC 1", "SELEC"),
        ("SELECT no_such_column FROM transitions", "no_such_column"),
        ("SELECT * FROM no_such_view", "no_such_view"),
        ("SELECT 1 +", "syntax error"),
        ("SELECT 'a'::INTEGER", "Could not convert"),
        ("SELECT error('two\nlines')", "two lines"),
    ],
)
def test_a_query_that_fails_is_one_line_with_its_reason(
    query: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refusal(["sql", query], capsys)
    assert line.startswith("query: ")
    assert said in line


@pytest.mark.usefixtures("warehouse")
@pytest.mark.parametrize("query", ["", "  \n "])
def test_an_empty_query_is_refused_with_an_example(query: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(["sql", query], capsys).startswith("query is empty: try `./just sql ")


@pytest.mark.usefixtures("warehouse")
def test_a_query_may_come_through_a_pipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT 40 + 2 AS answer"))
    assert main(["sql", "--format", "csv"]) == 0
    assert capsys.readouterr().out == "answer\n42\n"


ROWS = """SELECT * FROM (VALUES
  (1, 'plain', NULL, '\\x00\\xFF'::BLOB, 0.5::DOUBLE, TIMESTAMPTZ '2026-01-02 03:04:05+00', true, [1, 2]),
  (2, 'a "b", c', 2, NULL, NULL, NULL, NULL, NULL)) AS t(n, text, gap, bytes, real, time, flag, list)"""


@pytest.mark.usefixtures("warehouse")
def test_csv_is_read_back_by_csv(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sql", ROWS, "--format", "csv"]) == 0
    head, first, second = csv.reader(io.StringIO(capsys.readouterr().out))
    assert head == ["n", "text", "gap", "bytes", "real", "time", "flag", "list"]
    assert (first[:3], second[:3]) == (["1", "plain", ""], ["2", 'a "b", c', "2"])
    assert first[3] == "00ff"  # as the other formats show bytes


@pytest.mark.usefixtures("warehouse")
def test_json_is_one_object_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sql", ROWS, "--format", "json"]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["bytes"] == "00ff"
    assert first["time"].startswith("2026-01-02 03:04:05")
    assert (first["real"], first["flag"], first["list"], first["gap"]) == (0.5, True, [1, 2], None)
    assert second["text"] == 'a "b", c'


@pytest.mark.usefixtures("warehouse")
def test_a_table_in_a_pipe_has_every_value_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sql", "SELECT repeat('x', 300) AS long, 1 AS one, [3] AS list"]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["long", "one", "list"]
    assert row.split() == ["x" * 300, "1", "[3]"]


@pytest.mark.usefixtures("warehouse")
def test_text_in_brackets_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    # rich reads [bold] as a style, and [/x] as an error
    assert main(["sql", "SELECT '[bold]' AS a, '[/x]' AS b"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split() == ["[bold]", "[/x]"]


@pytest.mark.usefixtures("warehouse")
def test_without_shards_a_query_is_answered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sql", "SELECT count(*) AS n FROM transitions", "--format", "csv"]) == 0
    assert capsys.readouterr().out == "n\n0\n"


@pytest.mark.usefixtures("run_of")
@pytest.mark.parametrize(
    ("run", "episode", "said"),
    [
        ("mine", "first", "episode is 'first': it must be a whole number or 'last'"),
        ("mine", "1.5", "episode is '1.5': it must be a whole number or 'last'"),
        ("mine", "last", "episode is 'last': no episode of run mine has ended yet"),
        ("other", "1", "run is 'other': there is no such run; the newest are mine"),
    ],
)
def test_an_episode_that_cannot_be_shown_is_one_line(
    run: str, episode: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refusal(["replay", "show", "--run", run, "--episode", episode], capsys) == said


@pytest.mark.parametrize(
    "arguments",
    [
        ["sql", "SELECT 1"],
        ["replay", "show", "--run", "mine", "--episode", "1"],
        ["evaluate", "mine"],
        ["train", "tictactoe"],
        ["compactor"],
        ["actor"],
        ["learner"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_broker_that_is_not_there_is_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(arguments, capsys)
    assert said.startswith("kafka 127.0.0.1:1 does not answer")
    assert said.endswith("CARTRIDGE_KAFKA")


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (["train", "chess"], "chess"),
        (["train", "tictactoe", "--seed", "-1"], "seed is -1"),
        (["train", "tictactoe", "--exploration", "2"], "exploration is 2"),
        (["actor", "--index", "-1"], "--index is -1"),
        (["actor", "--index", "4096"], "--index is 4096"),
    ],
)
def test_an_impossible_wish_is_refused_before_anything_is_asked_of_the_broker(
    arguments: list[str], field: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert field in refusal(arguments, capsys)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["train"],
        ["train", "tictactoe", "--seed", "one"],
        ["train", "tictactoe", "--hidden", "64,x"],
        ["sql", "SELECT 1", "--format", "xml"],
        ["replay", "show", "--run", "mine"],
        ["actor", "--index", "x"],
    ],
    ids=" ".join,
)
def test_a_command_line_that_is_none_ends_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.endswith("--help`\n")
    assert said.count("\n") == 1


def test_a_bad_setting_in_the_environment_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CARTRIDGE_METRICS_PORT", "eighty")
    assert refusal(["sql", "SELECT 1"], capsys).startswith("CARTRIDGE_METRICS_PORT is 'eighty'")


def test_an_interrupted_command_ends_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_settings: Settings) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sql, "open_views", interrupted)
    assert main(["sql", "SELECT 1"]) == 130


def test_a_failure_that_is_not_the_persons_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(_settings: Settings) -> None:
        raise CartridgeError("it did not work")

    monkeypatch.setattr(sql, "open_views", failing)
    assert main(["sql", "SELECT 1"]) == 1
    assert capsys.readouterr().err == "error: it did not work\n"
