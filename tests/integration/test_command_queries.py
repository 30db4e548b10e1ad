"""What a person asks of a stack: SQL over the sealed shards, an episode from the topic, strength from a checkpoint."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pytest

from actor.policy import Policy
from cartridge.command import main
from cartridge.sql import open_views
from cartridge.stack.servers import Servers
from engine.client import EngineClient
from engine.server import EngineServer
from games import registry
from learner import evaluate
from learner.network import Mlp, seeded, to_safetensors
from log_oracle import announced, check_exactly_once, decoded, messages
from played_runs import TURNS, play, rows_of, run_of, seal_everything
from stage import Stage, open_stage
from streams import checkpoint
from streams.checkpoint import Manifest
from streams.records import WeightsPublished

ROWS = rows_of(TURNS)


@dataclass(frozen=True)
class Played:
    """A stage on which one run was played, sealed and checkpointed; another was played and is in no shard yet."""

    stage: Stage
    network: Mlp


def write_checkpoint(stage: Stage, network: Mlp, *, run: str, version: int) -> WeightsPublished:
    spec = registry.get("tictactoe").spec
    files = {checkpoint.MODEL: to_safetensors(network.state_dict()), checkpoint.OPTIMIZER: b"x"}
    manifest = Manifest(
        run=run,
        version=version,
        env_id=spec.env_id,
        build_id=spec.build_id,
        schema_version=1,
        encodings={},
        network=network.description(),
        algorithm="dqn",
        settings={},
        seed=5,
        random_state={},
        gradient_steps=50 * version,
        samples=1000 * version,
        inserted_rows=300 * version,
        log_positions={},
        evaluation={"strength": 0.25, "loss": 0.125},
        verdict="",
        made_us=1_760_000_000_000_000,
        sha256={name: checkpoint.sha256_of(body) for name, body in files.items()},
    )
    return WeightsPublished(
        run=run,
        version=version,
        checkpoint=checkpoint.prefix_of(run, version),
        manifest_sha256=checkpoint.write(stage.store(), files, manifest),
        gradient_steps=50 * version,
        samples=0,
        inserted_rows=0,
        allowed_rows=10**9,
        evaluation={},
        verdict="",
        final=False,
        published_us=0,
    )


@pytest.fixture(scope="module")
def played(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    network = seeded([29, 16, 9], seed=2)
    with open_stage(servers, tmp_path_factory.mktemp("played")) as stage:
        stage.say("runs", run_of("mine"), run_of("unsealed"))
        first, second = (write_checkpoint(stage, network, run="mine", version=version) for version in (0, 1))
        stage.say("weights", first, second)
        with EngineServer("127.0.0.1", 0) as engine, EngineClient(engine.address) as client:
            play(stage, client, second, network)
            seal_everything(stage)
            play(stage, client, write_checkpoint(stage, network, run="unsealed", version=0), network)
        # what a crash left: nobody announced it
        orphan = announced(stage)[0]["object"]
        stage.store().put(orphan.replace("run=mine", "run=orphan"), stage.store().get(orphan))
        yield Played(stage, network)


@pytest.fixture
def views(played: Played) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_views(played.stage.settings) as connection:
        yield connection


def answer(connection: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = connection.execute(query).to_arrow_table().to_pylist()
    return found


def say(
    played: Played, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str, str]:
    """The command's exit code, output and errors."""
    for name, value in played.stage.environment().items():
        monkeypatch.setenv(name, value)
    capsys.readouterr()
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_transitions_are_exactly_the_announced_ones(views: duckdb.DuckDBPyConnection) -> None:
    found = answer(
        views,
        "SELECT run, env_id, count(*) AS n, count(DISTINCT (log_partition, log_offset, log_row)) AS places"
        " FROM transitions GROUP BY ALL",
    )
    assert found == [{"run": "mine", "env_id": "tictactoe", "n": ROWS, "places": ROWS}]


def test_every_row_has_its_successor_as_the_game_has_it(views: duckdb.DuckDBPyConnection) -> None:
    game = registry.get("tictactoe")
    table = views.execute(
        "SELECT state, action, next_state, next_obs, next_legal_mask, next_player, terminated FROM transitions"
    ).to_arrow_table()
    column = {name: table.column(name).to_pylist() for name in table.column_names}
    states = np.frombuffer(b"".join(column["state"]), np.uint8).reshape(ROWS, -1)
    actions = np.array(column["action"], "<u4").view(np.uint8).reshape(ROWS, 4)
    after = game.step(states, actions).positions
    assert b"".join(column["next_state"]) == after.states.tobytes()
    assert np.array_equal(np.array(column["next_obs"], np.float32), after.obs)
    assert column["next_legal_mask"] == after.legal_masks[:, 0].tolist()
    assert column["next_player"] == after.players.tolist()
    assert sum(column["terminated"]) > 50


def test_an_episode_goes_on_from_message_to_message(views: duckdb.DuckDBPyConnection) -> None:
    (found,) = answer(
        views,
        """SELECT count(*) AS pairs, count(*) FILTER (a.next_state = b.state AND a.next_obs = b.obs) AS same
        FROM transitions a JOIN transitions b ON a.run = b.run AND a.episode = b.episode AND b.step = a.step + 1""",
    )
    assert found["same"] == found["pairs"] > ROWS / 2


def test_episodes_are_those_that_the_actor_told_of(played: Played, views: duckdb.DuckDBPyConnection) -> None:
    told: dict[int, int] = {}
    for message in messages(played.stage, "episodes"):
        chunk = decoded(message.value or b"", "EpisodeChunk")
        if chunk["run"] == "mine":
            lengths = np.frombuffer(chunk["length"], "<i4").tolist()
            told.update(zip(np.frombuffer(chunk["episode"], "<i8").tolist(), lengths, strict=True))
    found = answer(views, "SELECT episode, length, actor FROM episodes WHERE terminated")
    assert {row["episode"]: row["length"] for row in found} == told
    assert {row["actor"] for row in found} == {0}


def test_shards_are_those_announced(played: Played, views: duckdb.DuckDBPyConnection) -> None:
    found = answer(views, "SELECT shard, rows, bytes, sha256, object FROM shards ORDER BY shard")
    expected = sorted(announced(played.stage), key=lambda shard: str(shard["shard"]))
    assert found == [
        {name: shard[name] for name in ("shard", "rows", "bytes", "sha256", "object")} for shard in expected
    ]


def test_checkpoints_are_those_of_the_store(played: Played, views: duckdb.DuckDBPyConnection) -> None:
    found = answer(
        views,
        "SELECT run, version, gradient_steps, strength, loss, checkpoint, model_sha256"
        " FROM checkpoints ORDER BY version",
    )
    digest = checkpoint.sha256_of(to_safetensors(played.network.state_dict()))
    assert found == [
        {
            "run": "mine",
            "version": version,
            "gradient_steps": 50 * version,
            "strength": 0.25,
            "loss": 0.125,
            "checkpoint": f"checkpoints/run=mine/{version:010d}",
            "model_sha256": digest,
        }
        for version in (0, 1)
    ]


def test_legal_actions_are_listed(views: duckdb.DuckDBPyConnection) -> None:
    found = answer(
        views,
        "SELECT legal_actions(261::UBIGINT) AS few, legal_actions((1::UBIGINT << 63)) AS last,"
        " legal_actions(0::UBIGINT) AS none",
    )
    assert found == [{"few": [0, 2, 8], "last": [63], "none": []}]
    (found,) = (
        answer(
            views,
            "SELECT count(*) AS n FROM transitions WHERE NOT list_contains(legal_actions(legal_mask), action)",
        ),
    )
    assert found == [{"n": 0}]


def test_the_command_answers_over_the_same_views(
    played: Played, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    query = "SELECT count(*) AS n FROM transitions"
    assert say(played, monkeypatch, capsys, "sql", query, "--format", "csv") == (0, f"n\n{ROWS}\n", "")


def last_episode(played: Played) -> tuple[int, int]:
    """The id of a finished episode of the sealed run, and its length."""
    chunks = [decoded(message.value or b"", "EpisodeChunk") for message in messages(played.stage, "episodes")]
    newest = [chunk for chunk in chunks if chunk["run"] == "mine"][-1]
    return int(np.frombuffer(newest["episode"], "<i8")[0]), int(np.frombuffer(newest["length"], "<i4")[0])


def test_an_episode_is_shown_board_by_board(
    played: Played, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    episode, length = last_episode(played)
    code, text, _ = say(
        played, monkeypatch, capsys, "replay", "show", "--run", "mine", "--episode", str(episode)
    )
    assert code == 0
    assert f"episode {episode}" in text.splitlines()[0]
    assert text.count("\nstep ") == text.count("  plays ") == length
    assert text.count("weights v1") == length
    assert "\nterminated\n" in text
    chunks = {
        (message.partition, message.offset): decoded(message.value or b"", "TransitionChunk")
        for message in messages(played.stage, "transitions")
    }
    game = registry.get("tictactoe")
    for line in re.finditer(
        r"step (\d+)   player (\d) [^\n]*/(\d+) offset (\d+) row (\d+) [^\n]*\n(.*?)\n  plays (\w\d)   reward (\S+)",
        text,
        re.DOTALL,
    ):
        step, player, partition, offset, row = (int(number) for number in line.groups()[:5])
        chunk = chunks[partition, offset]
        assert np.frombuffer(chunk["episode"], "<i8")[row] == episode
        assert np.frombuffer(chunk["step"], "<i4")[row] == step
        assert chunk["player"][row] == player
        board = game.render_text(chunk["state"][11 * row : 11 * row + 11])
        assert [shown.strip() for shown in line[6].splitlines()] == [
            drawn.strip() for drawn in board.splitlines()
        ]
        assert line[7] == game.action_text(chunk["action"][4 * row : 4 * row + 4])
        assert float(line[8]) == np.frombuffer(chunk["reward"], "<f4")[row]


@pytest.mark.parametrize("run", ["mine", "unsealed"])
def test_the_last_episode_is_found_in_shards_or_in_the_topic(
    played: Played, run: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text, _ = say(played, monkeypatch, capsys, "replay", "show", "--run", run, "--episode", "last")
    assert code == 0
    assert text.startswith(f"run {run} ")
    assert "\nterminated\n" in text


@pytest.mark.parametrize(
    ("run", "episode", "said"),
    [
        ("mine", "12345", "episode is 12345: run mine has none of this id"),
        ("nobodys", "1", "run is 'nobodys': there is no such run; the newest are mine, unsealed"),
        ("mine", "first", "episode is 'first'"),
    ],
)
def test_an_episode_that_is_not_there_is_one_line(
    played: Played,
    run: str,
    episode: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, text, error = say(played, monkeypatch, capsys, "replay", "show", "--run", run, "--episode", episode)
    assert (code, text) == (2, "")
    assert error.startswith(f"error: {said}")
    assert error.count("\n") == 1


def test_strength_is_computed_from_the_checkpoint(
    played: Played, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text, _ = say(played, monkeypatch, capsys, "evaluate", "mine", "--json")
    assert code == 0
    found = json.loads(text)
    body = to_safetensors(played.network.state_dict())
    policy = Policy.from_safetensors(body, played.network.description(), version=1)
    judged = evaluate.verdict(registry.get("tictactoe"), policy.values)
    assert judged is not None
    assert {name: found[name] for name in judged.figures()} == judged.figures()
    assert (found["run"], found["version"], found["verdict"]) == ("mine", 1, "")
    code, text, _ = say(played, monkeypatch, capsys, "evaluate", "mine", "--version", "0")
    assert code == 0
    assert "beatable: strength" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("evaluate", "nobodys"), "run is 'nobodys'"),
        (("evaluate", "unsealed"), "run is 'unsealed': it has no weights yet"),
        (("evaluate", "mine", "--version", "2"), "version is 2: run mine has 0 to 1"),
        (("evaluate", "mine", "--version", "-1"), "version is -1: run mine has 0 to 1"),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(
    played: Played,
    arguments: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, _, error = say(played, monkeypatch, capsys, *arguments)
    assert code == 2
    assert error.startswith(f"error: {said}")
    assert error.count("\n") == 1


def test_a_run_of_a_name_that_is_taken_is_refused(
    played: Played, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = len(messages(played.stage, "runs"))
    code, _, error = say(played, monkeypatch, capsys, "train", "tictactoe", "--run", "mine")
    assert code == 2
    assert "run is 'mine': there is a run of this name already" in error
    assert len(messages(played.stage, "runs")) == before


def test_a_tampered_checkpoint_is_not_evaluated(
    played: Played, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = played.stage
    weights = write_checkpoint(stage, played.network, run="mine", version=2)
    stage.say("runs", run_of("tampered"))
    store, key = stage.store(), f"{weights.checkpoint}/{checkpoint.MODEL}"
    other = WeightsPublished(**{**vars(weights), "run": "tampered"})
    stage.say("weights", other)
    store.put(key, to_safetensors(seeded([29, 16, 9], seed=77).state_dict()))
    code, _, error = say(played, monkeypatch, capsys, "evaluate", "tampered")
    assert code == 1
    assert "has sha256" in error
    assert error.count("\n") == 1


def test_everything_stands_once(played: Played) -> None:
    assert check_exactly_once(played.stage, junk=set()) == ROWS


def test_an_empty_stack_answers_with_nothing(
    servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with (
        open_stage(servers, tmp_path_factory.mktemp("empty")) as stage,
        open_views(stage.settings) as connection,
    ):
        for view in ("transitions", "episodes", "shards", "checkpoints"):
            assert answer(connection, f"SELECT count(*) AS n FROM {view}") == [{"n": 0}]
