"""From nothing to a policy that cannot be beaten, through every process, as a person does it.

One stack serves all tests of this file: `cartridge up` has made it and trained the demonstration run.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Callable
from contextlib import suppress

import pytest

from running_stack import CARTRIDGE, ROOT, Done, Stack, Trained
from said_by_train import check_unbeatable, next_commands
from stack_oracle import (
    check_episodes,
    check_limits,
    check_shards,
    check_weights,
    read_log,
)

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # what moves the cursor and colours
BOARD = re.compile(r"  1 ([.XO] [.XO] [.XO])\n  2 ([.XO] [.XO] [.XO])\n  3 ([.XO] [.XO] [.XO])")


def test_up_trains_from_nothing_until_the_policy_is_unbeatable(trained: Trained) -> None:
    check_unbeatable(trained.up)
    said = trained.up.output
    assert "everything is ready (" in said
    ports = trained.stack.ports
    for name, port in (("kafka", ports.kafka), ("minio", ports.minio), ("engine", ports.engine)):
        assert re.search(rf"^  {name} +127\.0\.0\.1:{port}$", said, re.MULTILINE)
    assert f"run {trained.run} is submitted\n" in said
    assert f"checkpoints/run={trained.run}/" in said
    commands = " ".join(next_commands(trained.up))
    for command in ("sql", "replay show", "evaluate", "games play", "status", "down"):
        assert f"./just {command}" in commands


def test_evaluate_counts_again_from_the_checkpoint(trained: Trained) -> None:
    done = trained.stack.do("evaluate", trained.run)
    assert (done.code, done.error) == (0, "")
    assert re.search(r"^unbeatable: no line is lost +\(checkpoints/run=", done.output, re.MULTILINE)
    done = trained.stack.do("evaluate", trained.run, "--json")
    figures = json.loads(done.output)
    assert (figures["verdict"], figures["lost_as_first"], figures["lost_as_second"]) == ("unbeatable", 0, 0)
    for seat in ("first", "second"):
        count = f"{figures[f'lines_as_{seat}']:.0f} lines: 0 lost, {figures[f'drawn_as_{seat}']:.0f} drawn"
        assert count in trained.up.output
    untrained = json.loads(trained.stack.do("evaluate", trained.run, "--version", "0", "--json").output)
    assert untrained["lost_as_second"] > 0
    assert untrained["strength"] < 0.9


def test_sql_has_every_row_once(trained: Trained) -> None:
    [counts] = trained.sql(
        "SELECT count(*) AS rows, count(DISTINCT (log_partition, log_offset, log_row)) AS places,"
        " (SELECT sum(rows) FROM shards)::BIGINT AS announced,"
        " (SELECT sum(length) FROM episodes)::BIGINT AS steps FROM transitions"
    )
    assert counts["rows"] == counts["places"] == counts["announced"] == counts["steps"] > 10_000


def test_sql_shows_each_transition_with_its_successor(trained: Trained) -> None:
    [row] = trained.sql(
        f"SELECT * FROM transitions WHERE run = '{trained.run}' AND step = 0 AND NOT terminated LIMIT 1"
    )
    assert row["obs"] == [0.0] * 18 + [1.0] * 9 + [1.0, 0.0]
    cell = row["action"]
    stone = [1.0 if at == cell else 0.0 for at in range(9)]
    assert row["next_obs"] == [0.0] * 9 + stone + [1.0 - value for value in stone] + [0.0, 1.0]
    assert (row["player"], row["next_player"], row["legal_mask"]) == (0, 1, 511)
    assert row["next_legal_mask"] == 511 - 2**cell
    [lacking] = trained.sql("SELECT count(*) AS rows FROM transitions WHERE next_obs IS NULL")
    assert lacking["rows"] == 0


def test_sql_knows_checkpoints_and_episodes(trained: Trained) -> None:
    [last] = trained.sql(
        f"SELECT * EXCLUDE manifest FROM checkpoints WHERE run = '{trained.run}' ORDER BY version DESC LIMIT 1"
    )
    assert (last["verdict"], last["strength"]) == ("unbeatable", 1.0)
    assert f"weights v{last['version']} after {last['gradient_steps']:,} gradient steps" in trained.up.output
    [ended] = trained.sql(
        "SELECT min(length) AS shortest, max(length) AS longest, bool_or(truncated) AS cut FROM episodes"
        " WHERE terminated"
    )
    assert (ended["shortest"], ended["longest"], ended["cut"]) == (5, 9, False)


def test_sql_prints_csv_and_json_and_tables(trained: Trained) -> None:
    query = "SELECT 'a,b' AS text, 7 AS number, NULL AS nothing, '\\x00ff'::BLOB AS bytes"
    done = trained.stack.do("sql", query, "--format", "csv")
    assert list(csv.reader(io.StringIO(done.output))) == [
        ["text", "number", "nothing", "bytes"],
        ["a,b", "7", "", "006666"],
    ]
    assert trained.sql(query) == [{"text": "a,b", "number": 7, "nothing": None, "bytes": "006666"}]
    done = trained.stack.do("sql", query)
    assert [line.split() for line in done.output.splitlines()] == [
        ["text", "number", "nothing", "bytes"],
        ["a,b", "7", "006666"],
    ]


@pytest.mark.parametrize("query", ["selec 1", "SELECT nosuch FROM transitions", "", " "])
def test_sql_that_cannot_be_answered_is_one_line(trained: Trained, query: str) -> None:
    assert "query" in trained.stack.do("sql", query).refusal


def test_replay_shows_an_episode_from_the_topic(trained: Trained) -> None:
    last = trained.stack.do("replay", "show", "--run", trained.run, "--episode", "last")
    assert (last.code, last.error) == (0, "")
    [episode] = re.findall(r"^run \S+ +episode (\d+) ", last.output)
    again = trained.stack.do("replay", "show", "--run", trained.run, "--episode", episode)
    assert again == last
    rows = trained.sql(
        "SELECT step, player, weights_version, log_partition, log_offset, log_row, action, reward FROM"
        f" transitions WHERE run = '{trained.run}' AND episode = {episode} ORDER BY step"
    )
    shown = re.findall(
        r"^step (\d+) +player (\d) +weights v(\d+) +cartridge\.transitions/(\d+) offset (\d+) row (\d+) .*Z\n"
        r"(?: .*\n)+?  plays (\S+) +reward (\S+)$",
        last.output,
        re.MULTILINE,
    )
    assert [tuple(map(int, step[:6])) for step in shown] == [tuple(row.values())[:6] for row in rows]
    assert [step[6] for step in shown] == [
        "abc"[row["action"] % 3] + str(row["action"] // 3 + 1) for row in rows
    ]
    assert [float(step[7]) for step in shown] == [row["reward"] for row in rows]
    boards = ["".join(board).replace(" ", "") for board in BOARD.findall(last.output)]
    assert [9 - board.count(".") for board in boards] == list(range(len(rows) + 1))
    for row, before, after in zip(rows, boards, boards[1:], strict=False):
        cell, stone = row["action"], "XO"[row["player"]]
        assert after == before[:cell] + stone + before[cell + 1 :]


def test_replay_of_what_is_not_there_is_one_line(trained: Trained) -> None:
    def replay(run: str, episode: str) -> Done:
        return trained.stack.do("replay", "show", "--run", run, "--episode", episode)

    assert "run is 'nobody': there is no such run; the newest are " in replay("nobody", "last").refusal
    assert "none of this id" in replay(trained.run, str(1 << 50)).refusal
    assert "must be a whole number or 'last'" in replay(trained.run, "first").refusal


def test_games_are_listed_and_played_in_a_pipe(trained: Trained) -> None:
    done = trained.stack.do("games", "list")
    assert done.code == 0
    assert re.search(r"^tictactoe +2 +9 discrete +9 +obs:f32x29:v1 ", done.output, re.MULTILINE)
    command = f"./just games play tictactoe --against {trained.run} --player 2"
    done = trained.stack.shell(command, typed="z9\nb2\n" + "".join(f"{cell}\n" for cell in range(9)) * 2)
    assert (done.code, done.error) == (0, ""), done
    assert "move 'z9': not a cell" in done.output
    assert not re.search(r"^you (have )?won", done.output, re.IGNORECASE | re.MULTILINE)
    assert BOARD.search(
        done.output.replace("\n1 ", "\n  1 ").replace("\n2 ", "\n  2 ").replace("\n3 ", "\n  3 ")
    )


def test_what_up_proposes_works_as_printed(trained: Trained) -> None:
    for command in next_commands(trained.up):
        if command.startswith("./just down"):  # the fixture's end does that
            continue
        done = trained.stack.shell(command, typed="quit\n")
        assert (done.code, done.error) == (0, ""), (command, done)
        assert done.output.strip(), command


def test_in_a_terminal_the_run_is_drawn_as_it_goes(trained: Trained) -> None:
    shown = in_terminal(
        trained.stack,
        "train",
        "tictactoe",
        "--stop-when",
        "",
        "--max-gradient-steps",
        "150",
        "--run",
        "drawn",
    )
    frames = shown.split("run drawn   ")
    assert len(frames) > 3, "the display was not drawn again and again"
    assert "\x1b[1A" in shown or "\x1b[2K" in shown
    last = CONTROL.sub("", frames[-1])
    for name in (
        "transitions/s",
        "transitions",
        "episodes",
        "shards sealed",
        "rows in the window",
        "gradient steps",
        "samples per insert",
        "loss",
        "weights",
        "strength",
    ):
        assert re.search(rf"^ *{name} +\S", last, re.MULTILINE), name
    assert re.search(r"gradient steps +150\b", last)
    assert "done: weights v3 after 150 gradient steps" in last
    assert "What to do next:" in last


def test_in_a_terminal_sql_is_a_shell(trained: Trained) -> None:
    shown = in_terminal(
        trained.stack,
        "sql",
        typed="SELECT 41 +\n1 AS answer;\nSELECT nosuch;\nSELECT 'on' AS it_goes;\n.quit\n",
    )
    shown = CONTROL.sub("", shown)
    assert "views: transitions, episodes, shards, checkpoints" in shown
    assert re.search(r"answer +\n +42\b", shown)
    assert "error: query: Binder Error" in shown
    assert re.search(r"it_goes +\n +on\b", shown)


def in_terminal(stack: Stack, *arguments: str, typed: str = "") -> str:
    """All that `cartridge ARGUMENTS` writes to a terminal of 40 lines of 140 characters; it must end well."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
    process = subprocess.Popen(
        [str(CARTRIDGE), *arguments],
        env=stack.environment(TERM="xterm-256color"),
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    os.write(ours, typed.encode())
    written = b""
    with suppress(OSError):  # what Linux says when the other side has closed
        while part := os.read(ours, 65_536):
            written += part
    os.close(ours)
    assert process.wait(60) == 0, written
    return written.decode().replace("\r\n", "\n")


def test_how_old_seals_and_weights_are_is_measured(
    trained: Trained, record_property: Callable[[str, object], None]
) -> None:
    ports = trained.stack.ports
    for name, port in (
        ("compactor_seal_age_seconds", ports.compactor_metrics),
        ("actor_weights_lag_seconds", ports.actor_0_metrics),
        ("actor_weights_lag_seconds", ports.actor_1_metrics),
    ):
        samples = trained.stack.metrics(port)
        assert samples[f"{name}_count", ""] > 0
        for share in (0.5, 0.99):
            record_property(f"{name} p{share * 100:g} of :{port}", quantile(samples, name, share))


def quantile(samples: dict[tuple[str, str], float], name: str, share: float) -> float:
    """The quantile of a histogram as Prometheus estimates it: linear within a bucket; the last bound beyond."""
    wanted = share * samples[f"{name}_count", ""]
    low = below = 0.0
    for (sample, labels), count in samples.items():
        if sample != f"{name}_bucket" or labels == 'le="+Inf"':
            continue
        bound = float(labels.removeprefix('le="').removesuffix('"'))
        if count >= wanted:
            return low + (bound - low) * (wanted - below) / (count - below)
        low, below = bound, count
    return low


def test_the_whole_log_is_in_the_shards_once(trained: Trained) -> None:
    log = read_log(trained.stack)
    assert check_shards(trained.stack, log) > 10_000
    assert check_episodes(log, trained.run) > 1000
    check_weights(trained.stack, log, trained.run)
    check_limits(log, trained.run)
