"""The comparison with peers, with programs that only pretend: turns, ratios, marks, and the environment's making."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

from bench import engine as benchmark
from bench.peers import contest, environment, rounds, verdict
from bench.peers.contest import Contestant, Reached
from bench.peers.rounds import Way
from cartridge.errors import CartridgeError
from cartridge.stack.progress import Progress
from games import registry

# A program that takes steps at a given rate, and writes its turns to a common file.
PRETENDER = """
import sys
from pathlib import Path
from bench.peers.rounds import Way, answer

name, rate = sys.argv[1], float(sys.argv[2])

def run(seconds):
    with Path("turns").open("a") as turns:
        turns.write(name + "\\n")
    return int(rate)

print("a library says hello")
answer([Way("one way", run)])
"""


def pretender(name: str, rate: int, *, cores: int = 2, peer: bool = True) -> Contestant:
    arguments = (name, str(rate))
    return Contestant(name=name, module="pretender", arguments=arguments, cores=cores, peer=peer)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pretender.py").write_text(PRETENDER)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def reached(name: str, *rates: float, cores: int = 2, peer: bool = True) -> Reached:
    return Reached(name=name, way="a way", cores=cores, peer=peer, rounds=rates, ways={"a way": rates[0]})


def test_each_has_its_turn_in_every_round(here: Path) -> None:
    entered = [pretender("cartridge", 10, peer=False), pretender("a peer", 5)]
    said: list[str] = []
    found = contest.compete(
        entered, peers_python=Path(sys.executable), rounds=3, seconds=0.01, say=said.append
    )
    assert [(one.name, one.way, len(one.rounds)) for one in found] == [
        ("cartridge", "one way", 3),
        ("a peer", "one way", 3),
    ]
    turns = (here / "turns").read_text().split("\n")[:-1]
    # A warm-up and a trial each, one after the other; then rounds in turns.
    assert turns == ["cartridge"] * 2 + ["a peer"] * 2 + ["cartridge", "a peer"] * 3
    assert said[-1] == "round 3 of 3"


def test_a_program_that_ends_is_an_error_that_names_it(here: Path) -> None:
    (here / "pretender.py").write_text("raise SystemExit(3)")
    with pytest.raises(
        CartridgeError, match=r"a peer: `python -m pretender a peer 5` ended with 3, see above"
    ):
        contest.compete([pretender("a peer", 5)], peers_python=Path(sys.executable), rounds=1, seconds=0.01)


def test_the_best_way_serves_the_rounds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("0.1\n0.2\n"))
    rounds.answer(
        [Way("slow", lambda _: 10), Way("fast", lambda seconds: int(seconds * 1e9)), Way("none", lambda _: 0)]
    )
    first, *rest = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["way"] == "fast"
    assert list(first["steps_per_s"]) == ["slow", "fast", "none"]
    assert [one["steps"] for one in rest] == [10**8, 2 * 10**8]
    with pytest.raises(ValueError, match="ways: there is none"):
        rounds.answer([])


def test_ratios_are_taken_within_rounds_and_on_as_many_cores() -> None:
    found = verdict.lines(
        "tictactoe",
        [
            reached("cartridge", 10, 20, 30, cores=1, peer=False),
            reached("cartridge", 40, 10, 90, cores=2, peer=False),
            reached("cartridge, kernel alone", 1, 1, 1, cores=1, peer=False),
            reached("pgx", 10, 5, 10),
            reached("OpenSpiel", 1, 1, 1, cores=1),
        ],
    )
    assert [line.steps_per_s for line in found] == [20, 40, 1, 10, 1]
    # 40/10, 10/5 and 90/10, not 40/10: a slow round is slow for both
    assert [line.ratio for line in found] == [None, None, None, 4, 20]
    assert [line.mark for line in found] == [None, None, None, 2, None]
    with pytest.raises(ValueError, match="pgx: Cartridge did not play on 2 cores"):
        verdict.lines("tictactoe", [reached("cartridge", 1, cores=1, peer=False), reached("pgx", 1)])


@pytest.mark.parametrize(("ours", "met"), [(20, False), (21, True)])
def test_a_mark_is_met_above_it(ours: float, met: bool) -> None:
    found = verdict.lines("tictactoe", [reached("cartridge", ours, peer=False), reached("pgx", 10)])
    (judged,) = verdict.verdicts("tictactoe", found)
    assert judged.met == met
    assert str(judged) == f"tictactoe, times pgx: {ours / 10}, the mark is 2.0: {'met' if met else 'missed'}"
    assert (
        verdict.verdicts("connect4", verdict.lines("connect4", [reached("cartridge", 9, peer=False)])) == []
    )


def test_the_stream_s_mark_is_its_median_s() -> None:
    judged = verdict.stream_verdict([5e6, 1e6, 4_500_000])
    assert str(judged) == ("steps/s through the stream at batch 1,024: 4,500,000, the mark is 4,000,000: met")
    assert not verdict.stream_verdict([4_000_000]).met


def test_everyone_who_plays_a_game_is_entered() -> None:
    assert set(contest.GAMES) <= set(registry.names())
    assert {(game, peer) for game, peer in verdict.MARKS} <= {
        (game, one.name) for game in contest.GAMES for one in contest.contestants(game)
    }
    for game in contest.GAMES:
        entered = contest.contestants(game)
        assert {one.cores for one in entered if one.peer} <= {one.cores for one in entered if not one.peer}
        assert sum(one.peer for one in entered) >= 2
        assert {one.command(Path("peers"))[0] for one in entered} == {"peers", sys.executable}


def test_the_whole_comparison(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert here.exists()
    monkeypatch.setattr(benchmark, "peers_python", lambda _: Path(sys.executable))
    entered = [pretender("cartridge", 5000, peer=False), pretender("pgx", 5)]
    monkeypatch.setattr(contest, "contestants", lambda _: entered)
    options = ["--peers", "--game", "tictactoe", "--rounds", "2", "--seconds", "0.05"]
    assert benchmark.main(options) == 0
    said = capsys.readouterr().out
    assert "tictactoe, random play in process" in said
    assert "tictactoe, times pgx:" in said
    assert "through the stream" in said
    assert benchmark.main([*options, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [line["name"] for line in report["games"]["tictactoe"]["lines"]] == ["cartridge", "pgx"]
    assert len(report["games"]["tictactoe"]["rounds"][0]["rounds"]) == 2
    assert len(report["stream"]["steps_per_s"]) == 2
    assert [one["mark"] for one in report["verdict"]] == [2.0, 4_000_000]


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A uv that writes down how it was called; it fails as long as there is a file `offline`."""
    program = tmp_path / "bin" / "uv"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n'
        f"if [ $2 = sync ] && [ -e {tmp_path}/offline ]; then echo 'Failed to fetch pgx'; exit 2; fi\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))  # where uv is looked for first
    return tmp_path


def test_the_environment_is_made_once_and_whole(uv: Path) -> None:
    output = io.StringIO()
    cache = uv / "cache"
    (uv / "offline").touch()
    with pytest.raises(CartridgeError, match=r"the peers cannot be fetched from PyPI: .*Failed to fetch pgx"):
        environment.peers_python(Progress(Console(file=output)), cache=cache)
    assert [path.suffix for path in cache.iterdir()] == [".lock"]
    (uv / "offline").unlink()
    for _ in range(2):
        python = environment.peers_python(Progress(Console(file=output)), cache=cache)
        assert python.relative_to(cache).parts[1:] == ("bin", "python")
        assert (python.parent.parent / ".complete").exists()
    calls = (uv / "calls").read_text().splitlines()
    assert [call.split()[0] for call in calls] == ["venv", "pip", "venv", "pip"]
    assert "--require-hashes" in calls[-1]
    assert calls[-1].endswith("bench/peers/requirements.lock")
    assert environment.peers_variables()["PYTHONPATH"] == str(environment.ROOT)


def test_a_cache_that_cannot_be_written_is_an_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CARTRIDGE_CACHE", str(tmp_path / "file"))
    assert environment.main(["-c", "pass"]) != 0
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: CARTRIDGE_CACHE is ")


def test_the_lock_agrees_with_the_project_s_own() -> None:
    own, peers = (
        dict(
            line.split(" ")[0].split("==")
            for line in lock.read_text().splitlines()
            if "==" in line and line[0] != " "
        )
        for lock in (environment.ROOT / "requirements.lock", environment.LOCK)
    )
    shared = own.keys() & peers.keys()
    assert {"grpcio", "numba", "numpy", "protobuf", "torch", "gymnasium", "pettingzoo"} <= shared
    assert {name for name in shared if own[name] != peers[name]} == set()
