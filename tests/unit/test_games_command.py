"""`cartridge games`: tables, and a game against a person who types at a pipe."""

from __future__ import annotations

import argparse
import io
import os
import pty
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from cartridge import games_command
from cartridge.errors import UsageError
from cartridge.settings import Settings
from games import registry
from games.batch import unpack_masks

ROOT = Path(__file__).resolve().parent.parent.parent


def run(*arguments: str, typed: str = "", monkeypatch: pytest.MonkeyPatch | None = None) -> int:
    if monkeypatch is not None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    parser = argparse.ArgumentParser()
    games_command.add_parser(parser.add_subparsers())
    parsed = parser.parse_args(["games", *arguments])
    return int(parsed.handler(parsed, Settings()))


@pytest.mark.parametrize("arguments", [(), ("list",)])
def test_list_is_a_table_of_all_games(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["GAME", "PLAYERS", "ACTIONS", "LONGEST", "OBSERVATION", "KIND"]
    assert [row.split()[0] for row in rows] == list(registry.names())
    assert (
        "tictactoe  2        9 discrete  9        obs:f32x29:v1  zero-sum, perfect information, deterministic"
        in rows
    )


def test_show_tells_a_games_encodings_and_start(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "tictactoe") == 0
    out = capsys.readouterr().out
    assert "state           state:packed_u8:v1, 11 bytes\n" in out
    assert out.endswith("  a b c\n1 . . .\n2 . . .\n3 . . .\nX to move\n")


@pytest.mark.parametrize("action", ["show", "play"])
def test_an_unknown_game_is_a_usage_error(action: str) -> None:
    with pytest.raises(UsageError, match=r"game 'chess': there is none; choose one of .*tictactoe") as error:
        run(action, "chess")
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--player", "3"), "--player 3: tictactoe has players 1 to 2"),
        (("--seed", "-1"), "--seed -1: it must be 0 to"),
    ],
)
def test_impossible_options_are_usage_errors(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError) as error:
        run("play", "tictactoe", *arguments)
    assert message in str(error.value)


def test_bad_moves_are_asked_for_again_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("play", "tictactoe", "--seed", "1", typed="b2\nB2\nz9\n\nquit\n", monkeypatch=monkeypatch) == 0
    lines = capsys.readouterr().out.splitlines()
    told = [line for line in lines if line.startswith("move ")]
    assert told[0].startswith("move 'B2': cell 4 (b2) is taken; you may play ")
    assert "b2" not in told[0].partition("play ")[2]
    assert told[1:] == [
        f"move {text!r}: not a cell; type a column and a row such as b2, or a number 0-8"
        for text in ("z9", "")
    ]
    assert lines[-1] == "Left the game."


def test_the_end_of_input_leaves_cleanly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("play", "tictactoe", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out.endswith("Left the game.\n")


@pytest.mark.parametrize("player", ["1", "2"])
def test_a_whole_game_ends_with_a_verdict_and_a_seed_repeats_it(
    player: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    outs = []
    for _ in range(2):
        typed = "\n".join(str(cell) for cell in range(9)) + "\n"  # taken cells are asked for again
        arguments = ("play", "tictactoe", "--seed", "5", "--player", player)
        assert run(*arguments, typed=typed, monkeypatch=monkeypatch) == 0
        outs.append(capsys.readouterr().out)
    assert outs[0] == outs[1]
    assert outs[0].splitlines()[-1] in ("You win.", "You lose.", "Nobody wins.")
    assert outs[0].splitlines()[-2] in ("X has won", "O has won", "drawn")


def test_a_trained_opponent_comes_from_the_policies(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def load_policy(settings: Settings, name: str) -> games_command.Policy:
        del settings
        asked.append(name)
        return lambda _obs, legal: np.array([np.flatnonzero(unpack_masks(legal, 9)[0])[-1]])

    policies = types.ModuleType("cartridge.policies")
    policies.load_policy = load_policy  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cartridge.policies", policies)
    monkeypatch.setattr("cartridge.policies", policies, raising=False)
    typed = "a1\nb1\nc1\n"
    assert run("play", "tictactoe", "--against", "run-7", typed=typed, monkeypatch=monkeypatch) == 0
    out = capsys.readouterr().out
    assert asked == ["run-7"]
    assert "player 2 plays c3" in out
    assert out.endswith("X has won\nYou win.\n")


def test_random_moves_are_legal_and_seeded() -> None:
    game = registry.get("tictactoe")
    start = game.reset(np.zeros(500, np.uint64))
    one, two = (games_command.random_policy(game.spec, 3)(start.obs, start.legal_masks) for _ in range(2))
    assert one.tolist() == two.tolist()
    assert set(one.tolist()) == set(range(9))
    last = np.full((20, 1), 1 << 6, np.uint64)
    assert games_command.random_policy(game.spec, 4)(start.obs[:20], last).tolist() == [6] * 20


def test_ctrl_c_at_a_terminal_leaves_cleanly() -> None:
    code = (
        "import argparse, sys; from cartridge import games_command; from cartridge.settings import Settings\n"
        "p = argparse.ArgumentParser(); games_command.add_parser(p.add_subparsers())\n"
        "a = p.parse_args(['games', 'play', 'tictactoe']); sys.exit(a.handler(a, Settings()))"
    )
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=take_terminal,
    ) as process:
        os.close(theirs)
        text = read_until(ours, b"your move> ")
        os.write(ours, b"b2\n")
        text += read_until(ours, b"your move> ")
        os.write(ours, b"\x03")
        assert process.wait() == 130
        text += read_until(ours, b"Left the game.")
    os.close(ours)
    assert b"Traceback" not in text


def take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def read_until(descriptor: int, wanted: bytes) -> bytes:
    text = b""
    while wanted not in text:
        text += os.read(descriptor, 4096)
    return text
