"""Every game goes the whole way: played, sealed, learnt from, and each logged step taken again by its rules."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from games import registry
from running_stack import Done, Trained
from stack_oracle import Log, check_episodes, check_shards, check_weights, joined, read_log, segment_ends

GAMES = [name for name in registry.names() if name != "tictactoe"]  # which every other test plays
HINTS = {"gridworld": "0703"}
SMALL = (
    "--environments",
    "32",
    "--min-window-rows",
    "512",
    "--batch-size",
    "128",
    "--max-gradient-steps",
    "30",
)
SOON = ("--stop-when", "", "--publish-period", "10")


@pytest.fixture(scope="module")
def played(trained: Trained) -> dict[str, Done]:
    """A short run of every game, all at once on one stack, and what `train` said."""
    started = {
        game: trained.stack.start(
            "train", game, "--run", f"loop-{game}", *SMALL, *SOON, "--hint", HINTS.get(game, "")
        )
        for game in GAMES
    }
    try:
        return {game: Done(0, *process.communicate(timeout=200)) for game, process in started.items()}
    finally:
        for process in started.values():
            process.kill()


@pytest.fixture(scope="module")
def log(trained: Trained, played: dict[str, Done]) -> Log:
    assert played
    return read_log(trained.stack)


@pytest.mark.parametrize("game", GAMES)
def test_its_run_ends_with_a_score(game: str, played: dict[str, Done]) -> None:
    said = played[game]
    assert said.error == ""
    assert re.search(
        r"^done: mean return -?[\d.]+ over 64 episodes played greedily, weights v\d+ after 30 gradient steps",
        said.output,
        re.MULTILINE,
    ), said.output


def test_every_row_of_every_game_is_sealed_once(trained: Trained, log: Log) -> None:
    assert check_shards(trained.stack, log) > 0


@pytest.mark.parametrize("game", GAMES)
def test_its_episodes_and_weights_are_whole(game: str, trained: Trained, log: Log) -> None:
    check_episodes(log, f"loop-{game}")
    check_weights(trained.stack, log, f"loop-{game}")


@pytest.mark.parametrize("game", GAMES)
def test_every_logged_step_taken_again_leads_to_the_same_bytes(game: str, log: Log) -> None:
    source = log.of_run(f"loop-{game}")
    rules = registry.get(game)
    rows = sum(chunk["count"] for chunk in source)
    assert rows >= 512
    states = rows_of(source, "state")
    at = rules.observe(states)
    assert at.obs.tobytes() == joined(source, "obs", "<f4").tobytes()
    assert at.legal_masks.tobytes() == joined(source, "legal_mask", "<u8").tobytes()
    assert at.players.tobytes() == joined(source, "player", "u1").tobytes()
    outcome = rules.step(states, rows_of(source, "action"))
    for column, logged in (
        (outcome.rewards, joined(source, "reward", "<f4")),
        (outcome.terminated, joined(source, "terminated", "u1")),
        (outcome.truncated, joined(source, "truncated", "u1")),
    ):
        assert column.tobytes() == logged.tobytes()
    ends = np.concatenate([segment_ends(chunk) for chunk in source])
    assert outcome.positions.states[ends].tobytes() == b"".join(chunk["successor_state"] for chunk in source)
    inner = np.flatnonzero(~ends)
    assert np.array_equal(outcome.positions.states[inner], states[inner + 1])


def test_a_hint_holds_for_every_episode_of_the_run(log: Log) -> None:
    states = rows_of(log.of_run("loop-gridworld"), "state")
    assert set(map(tuple, states[:, 2:4].tolist())) == {(7, 3)}
    assert len(set(joined(log.of_run("loop-gridworld"), "episode", "<i8").tolist())) > 64


@pytest.mark.parametrize("game", GAMES)
def test_it_can_be_evaluated_and_an_episode_shown_again(
    game: str, trained: Trained, played: dict[str, Done]
) -> None:
    assert played
    done = trained.stack.do("evaluate", f"loop-{game}")
    assert (done.code, done.error) == (0, "")
    assert "over 64 episodes played greedily" in done.output
    [episode] = trained.sql(
        f"SELECT min(episode) AS id FROM transitions WHERE run = 'loop-{game}' AND step = 0"
    )
    done = trained.stack.do("replay", "show", "--run", f"loop-{game}", "--episode", str(episode["id"]))
    assert (done.code, done.error) == (0, "")
    assert re.search(r"^step 0   player \d   weights v\d+   cartridge", done.output, re.MULTILINE)


def rows_of(source: list[dict[str, Any]], name: str) -> npt.NDArray[np.uint8]:
    """A column of fixed-size bytes, a row each."""
    rows = sum(chunk["count"] for chunk in source)
    return joined(source, name, "u1").reshape(rows, -1).copy()
