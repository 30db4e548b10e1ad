"""`cartridge games`: tables, and a game against a person who types at a pipe."""

from __future__ import annotations

import argparse
import io
import json
import os
import pty
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from broken_games import Endless
from cartridge import games_command, games_play
from cartridge.errors import CartridgeError, UsageError
from cartridge.settings import Settings
from engine.server import EngineServer
from games import registry
from games.batch import unpack_masks
from games.conformance import CHECKS
from games.contract import GameSpec, decode_discrete, encode_discrete
from sound_games import Walkers

ROOT = Path(__file__).resolve().parent.parent.parent


def run(
    *arguments: str,
    typed: str = "",
    monkeypatch: pytest.MonkeyPatch | None = None,
    settings: Settings | None = None,
) -> int:
    if monkeypatch is not None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    parser = argparse.ArgumentParser()
    games_command.add_parser(parser.add_subparsers())
    parsed = parser.parse_args(["games", *arguments])
    return int(parsed.handler(parsed, settings or Settings()))


@pytest.mark.parametrize("arguments", [(), ("list",)])
def test_list_is_a_table_of_all_games(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["GAME", "PLAYERS", "ACTIONS", "LONGEST", "OBSERVATION", "KIND"]
    assert [row.split()[0] for row in rows] == list(registry.names())
    line = next(row for row in rows if row.startswith("tictactoe"))
    assert line.split(maxsplit=6) == [
        *("tictactoe", "2", "9", "discrete", "9", "obs:f32x29:v1"),
        "zero-sum, perfect information, deterministic",
    ]


def test_list_says_which_plugins_are_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "broken", lambda: {"chess": "plugin chess:Chess: ImportError: no board"})
    assert run("list") == 0
    assert (
        capsys.readouterr().out.splitlines()[-1]
        == "chess is refused: plugin chess:Chess: ImportError: no board"
    )


def test_list_asks_the_engine_that_is_running(capsys: pytest.CaptureFixture[str]) -> None:
    with EngineServer("127.0.0.1", 0) as engine:
        catalog = engine.service.catalog
        catalog.verdict(registry.get("tictactoe"), RuntimeError("the board\nfell off"), "StepBatch")
        assert run("list", "--engine", settings=Settings(engine=engine.address)) == 0
    *rows, last = capsys.readouterr().out.splitlines()
    assert "tictactoe" in {row.split()[0] for row in rows}
    assert last == "tictactoe is refused: RuntimeError: the board fell off, in StepBatch"


def test_show_tells_a_games_encodings_and_start(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "tictactoe") == 0
    out = capsys.readouterr().out
    assert "state           state:packed_u8:v1, 11 bytes\n" in out
    assert "reset hint      takes none\n" in out
    assert out.endswith("  a b c\n1 . . .\n2 . . .\n3 . . .\nX to move\n")


@pytest.mark.parametrize("env_id", registry.names())
def test_show_gives_every_game_as_json_and_draws_it(
    env_id: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    svg, png = tmp_path / "start.svg", tmp_path / "start.png"
    assert run("show", env_id, "--json", "--svg", str(svg), "--png", str(png), "--cell", "8") == 0
    told = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    spec = registry.get(env_id).spec
    assert (told["env_id"], told["players"], told["mask_words"]) == (env_id, spec.players, spec.mask_words)
    assert [agent["name"] for agent in told["agents"]] == [agent.name for agent in spec.agents]
    assert svg.read_text().startswith("<svg ")
    assert png.read_bytes().startswith(b"\x89PNG\r\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "chess"), r"game 'chess': there is none; choose one of .*tictactoe"),
        (("play", "chess"), r"game 'chess': there is none; choose one of .*tictactoe"),
        (("check", "chess"), r"game 'chess': there is none; choose one of .*tictactoe"),
        (("play", "tictactoe", "--player", "3"), "--player 3: tictactoe has players 1 to 2"),
        (("play", "tictactoe", "--seed", "-1"), "--seed -1: it must be 0 to"),
        (("play", "tictactoe", "--hint", "xy"), "--hint 'xy': give bytes in hexadecimal digits"),
        (("play", "tictactoe", "--hint", "00"), "--hint 00: hint = 0x00: tictactoe has one start only"),
        (("play", "tictactoe", "--agent", "red"), "--agent red: in tictactoe nobody moves at once"),
        (
            ("play", "arena", "--agent", "pink"),
            "--agent pink: arena has agents red_scout, red_guard, blue_scout,",
        ),
        (("play", "cartpole", "--against", "run-7"), "--against run-7: cartpole has one player"),
        (("show", "tictactoe", "--cell", "0"), "RenderSpec.cell_px = 0: give 4 to 256 pixels"),
        (("show", "tictactoe", "--as", "3"), "--as 3: tictactoe has players 1 to 2"),
        (("show", "tictactoe", "--svg", "/nowhere/a.svg"), "/nowhere/a.svg: cannot be written"),
        (("check", "tictactoe", "--reference", "nowhere:step"), "--reference nowhere:step: No module named"),
        (("check", "tictactoe", "--reference", "json"), "--reference json: .*; give MODULE:FUNCTION"),
        (("check", "gridworld", "--older", "v1=xy"), "--older 'xy': give bytes in hexadecimal digits"),
        (("check", "tictactoe", "--rows", "1"), "--rows 1 --steps 1000 --seed 1: give at least 2, 1 and 0"),
    ],
)
def test_bad_input_is_a_usage_error_of_one_line(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        run(*arguments)
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)


def test_check_tells_each_check_and_what_it_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check", "gridworld", "--rows", "8", "--hint", "0307") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("gridworld, build gridworld-")
    assert [line[:24].strip() for line in lines[2:-1]] == list(CHECKS)
    assert next(line for line in lines if line.startswith("random play")).endswith("; no reference given")
    assert lines[-1] == f"gridworld conforms: {len(CHECKS)} checks."


def test_check_compares_with_the_reference_and_takes_the_older_states_that_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "still_rules.py").write_text(
        "def step(state, action):\n    return state, 0.0, False, False\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(CartridgeError, match=r"^gridworld: action .* by the reference"):
        run("check", "gridworld", "--rows", "4", "--reference", "still_rules:step")
    with pytest.raises(
        CartridgeError, match=r"^gridworld: state 0x00000000 of 'state:packed_u8:v1', which its"
    ):
        run("check", "gridworld", "--rows", "4", "--older", "state:packed_u8:v1=00000000")


def test_check_of_a_broken_game_is_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(games_command, "find", lambda _name: Endless())
    with pytest.raises(
        CartridgeError, match=r"^tictactoe: an episode is longer than max_horizon = 3$"
    ) as error:
        run("check", "tictactoe")
    assert error.value.exit_code == 1
    assert capsys.readouterr().out.splitlines()[-1].split() == ["random", "play", "broken"]


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

    def load_policy(settings: Settings, name: str, *, spec: GameSpec) -> games_play.Policy:
        del settings
        assert spec.env_id == "tictactoe"
        asked.append(name)
        return lambda at: encode_discrete(np.array([np.flatnonzero(unpack_masks(at.legal_masks, 9)[0])[-1]]))

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


def test_an_agent_types_its_own_word_and_sees_no_other_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.register("lanes", Walkers)
    try:
        typed = "?\n1 1\n7\n2\n1\n" + "1\n" * 12
        arguments = ("play", "lanes", "--agent", "runner", "--seed", "3")
        assert run(*arguments, typed=typed, monkeypatch=monkeypatch) == 0
    finally:
        registry.unregister("lanes")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "You are agent runner, against random (seed 3). Type a move, ? for help, or quit."
    assert "you may play 0, 1, 2; quit leaves the game" in lines
    assert "move '1 1': you may play 0, 1, 2" in lines
    assert "move '7': you may play 0, 1, 2" in lines
    played = [line for line in lines if line.startswith("all play ")]
    assert [line.split()[-1] for line in played[:2]] == ["2", "1"]
    assert len({line.split()[2] for line in played}) == 2  # the walker's moves are random
    assert re.fullmatch(
        r"(The episode has ended|Time is up) after \d+ steps: your return is \S+ \(walker \S+\)\.", lines[-1]
    )


@pytest.mark.parametrize(
    ("env_id", "moves", "end"),
    [
        ("cartpole", "left\n", r"The episode has ended after \d+ steps: your return is \d+\."),
        ("pendulum", "0.5\n", r"Time is up after 200 steps: your return is -\d+(\.\d+)?\."),
        ("mastermind", "ROYG\n", r"(The episode has ended|Time is up) after 10 steps: your return is \S+\."),
    ],
)
def test_a_person_plays_alone_in_any_action_space(
    env_id: str, moves: str, end: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("play", env_id, "--seed", "4", typed=moves * 500, monkeypatch=monkeypatch) == 0
    assert re.fullmatch(end, capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize("env_id", registry.names())
def test_a_person_who_asks_for_help_is_told_the_moves_of_any_game(
    env_id: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("play", env_id, "--seed", "1", typed="?\nnonsense\n", monkeypatch=monkeypatch) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.search(r"you may play \S.*; quit leaves the game", "\n".join(lines))
    assert lines[-1] == "Left the game."


def test_colours_are_there_when_asked_for_and_not_in_a_pipe(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("play", "tictactoe", typed="quit\n", monkeypatch=monkeypatch) == 0
    assert "\x1b" not in capsys.readouterr().out
    assert run("play", "tictactoe", "--colour", "always", typed="quit\n", monkeypatch=monkeypatch) == 0
    assert "\x1b[38;2;" in capsys.readouterr().out


def test_random_moves_are_legal_and_seeded() -> None:
    game = registry.get("tictactoe")
    start = game.reset(np.zeros(500, np.uint64))
    one, two = (decode_discrete(games_play.random_policy(game, 3)(start)) for _ in range(2))
    assert one.tolist() == two.tolist()
    assert set(one.tolist()) == set(range(9))
    start.legal_masks[:] = 1 << 6
    assert set(decode_discrete(games_play.random_policy(game, 4)(start)).tolist()) == {6}


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
