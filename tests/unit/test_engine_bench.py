"""The engine's benchmark runs, and measures what it says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench import engine as benchmark
from bench.calls import draw, play
from bench.peers import contest
from games import registry

ROOT = Path(__file__).resolve().parent.parent.parent


def bench(*arguments: str) -> str:
    command = [sys.executable, str(ROOT / "bench" / "engine.py"), "--seconds", "0.05", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def test_json_has_a_line_for_every_call_and_batch() -> None:
    results = json.loads(bench("--json", "--batches", "1", "64"))
    assert [(result["call"], result["batch"]) for result in results] == [
        ("kernel", 1),
        ("kernel", 64),
        ("unary", 1),
        ("batch", 1),
        ("batch", 64),
        ("stream", 1),
        ("stream", 64),
    ]
    for result in results:
        assert result["game"] == "tictactoe"
        assert result["steps_per_s"] > 0
        assert result["client_us_per_step"] > 0
        assert result["engine_us_per_step"] >= (0 if result["call"] == "kernel" else 0.01)


def test_the_table_has_the_same_columns() -> None:
    head, row = bench("--calls", "stream", "--batches", "32").splitlines()
    assert head.split() == ["game", "call", "batch", "steps/s", "client", "µs/step", "engine", "µs/step"]
    assert row.split()[:3] == ["tictactoe", "stream", "32"]


def test_every_kind_of_action_goes_through_every_call() -> None:
    games = ("arena", "mastermind", "pendulum")  # several agents, several choices, continuous
    results = json.loads(bench("--json", "--game", *games, "--batches", "1", "8"))
    assert len(results) == 7 * len(games)
    assert {result["game"] for result in results} == set(games)
    assert min(result["steps_per_s"] for result in results) > 0


@pytest.mark.parametrize("name", registry.names())
def test_samples_are_positions_of_play_with_legal_actions(name: str) -> None:
    game = registry.get(name)
    played = play(game)
    last = game.step(played.states[-50:], played.actions[-50:])
    assert (last.terminated | last.truncated)[-1] == 1  # play goes to the end
    sample = draw(played, 300)
    assert len(sample) == 300
    game.step(sample.states, sample.actions)  # refuses what is not legal
    assert len(np.unique(sample.states, axis=0)) > 50


def test_a_game_that_no_peer_has_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["--peers", "--game", "arena"]) == 2
    assert capsys.readouterr().err == (
        f"error: --game arena: no peer has it; give {', '.join(contest.GAMES)}, or leave --peers out\n"
    )
