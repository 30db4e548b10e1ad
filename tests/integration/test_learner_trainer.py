"""A run's learning over real shards: what it publishes, when it ends, and that it goes on as if it had not stopped."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from actor.policy import Policy
from cartridge.stack.servers import Servers
from engine.client import EngineClient
from engine.server import EngineServer
from games import registry
from learner import evaluate
from learner.errors import BadRun
from learner.feed import ShardFeed
from learner.network import seeded
from learner.trainer import Trainer
from log_oracle import announced, decoded, messages
from played_runs import TURNS, play, rows_of, run_of, seal_everything
from stage import Stage, open_stage, until
from streams import checkpoint, kafka
from streams.records import RunSpec, WeightsPublished

ROWS = rows_of(TURNS)
GAME = registry.get("tictactoe")


def spec_of_run(name: str, **changes: Any) -> RunSpec:
    """Every row is in the window before the first step, so that learning depends on the seed alone."""
    settings = {
        "batch_size": 32,
        "publish_period": 10,
        "target_period": 7,
        "min_window_rows": ROWS,
        "samples_per_insert": 8.0,
        "max_gradient_steps": 60,
        "stop_when": "",
        "hidden": (16,),
    }
    return run_of(name, **(settings | changes))


@pytest.fixture(scope="module")
def stage(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    network = seeded([29, 16, 9], seed=2)
    first = WeightsPublished(
        run="mine",
        version=0,
        checkpoint="",
        manifest_sha256="",
        gradient_steps=0,
        samples=0,
        inserted_rows=0,
        allowed_rows=10**9,
        evaluation={},
        verdict="",
        final=False,
        published_us=0,
    )
    with open_stage(servers, tmp_path_factory.mktemp("sealed")) as opened:
        with EngineServer("127.0.0.1", 0) as engine, EngineClient(engine.address) as client:
            play(opened, client, first, network)
        seal_everything(opened)
        yield opened


@contextmanager
def training(stage: Stage, spec: RunSpec, *, last: WeightsPublished | None = None) -> Iterator[Trainer]:
    feed = ShardFeed(stage.settings)
    producer = kafka.producer(stage.kafka, linger_ms=0)
    trainer = Trainer(spec, GAME, feed=feed, store=stage.store(), producer=producer, bootstrap=stage.kafka)
    try:
        trainer.start(last)
        yield trainer
    finally:
        trainer.close()
        feed.close()


def published(stage: Stage) -> list[WeightsPublished]:
    """Every announcement so far, oldest first."""
    return [
        WeightsPublished(**decoded(message.value or b"", "WeightsPublished"))
        for message in messages(stage, "weights")
    ]


def learn(trainer: Trainer) -> None:
    """Until the run is over."""

    def over() -> bool:
        trainer.advance(until_s=time.monotonic() + 0.05)
        return trainer.finished

    until(over, "the run did not end")


def models(stage: Stage, weights: list[WeightsPublished]) -> list[bytes]:
    return [stage.store().get(f"{one.checkpoint}/{checkpoint.MODEL}") for one in weights]


def test_a_run_publishes_verified_checkpoints_and_ends_where_it_should(stage: Stage) -> None:
    before = len(published(stage))
    spec = spec_of_run("mine")
    with training(stage, spec) as trainer:
        learn(trainer)
    weights = published(stage)[before:]
    assert [one.version for one in weights] == list(range(7))
    assert [one.gradient_steps for one in weights] == [0, 10, 20, 30, 40, 50, 60]
    assert [one.final for one in weights] == [False] * 6 + [True]
    for one in weights:
        manifest = checkpoint.read_manifest(stage.store(), one.checkpoint, sha256=one.manifest_sha256)
        assert (manifest.run, manifest.version, manifest.seed) == ("mine", one.version, 5)
        assert (manifest.samples, manifest.gradient_steps) == (32 * one.gradient_steps, one.gradient_steps)
        assert one.inserted_rows == manifest.inserted_rows == (ROWS if one.version else 0)
        # how many rows may have been inserted before more are sampled
        assert one.allowed_rows >= ROWS + (one.samples + spec.samples_ahead) // 8
        body = checkpoint.read_file(stage.store(), one.checkpoint, manifest, checkpoint.MODEL)
        policy = Policy.from_safetensors(body, manifest.network, version=one.version)
        judged = evaluate.verdict(GAME, policy.values)
        assert judged is not None
        figures = {name: value for name, value in one.evaluation.items() if name != "loss"}
        assert figures == pytest.approx(judged.figures())
        assert one.verdict == judged.word
    last = {int(name): offset for name, offset in manifest.log_positions.items()}
    assert last == {
        partition: max(shard["last_offset"] for shard in announced(stage) if shard["partition"] == partition)
        for partition in {shard["partition"] for shard in announced(stage)}
    }


def test_a_killed_learner_goes_on_as_if_it_had_not_stopped(stage: Stage) -> None:
    before = len(published(stage))
    with training(stage, spec_of_run("mine")) as straight:
        learn(straight)
    weights = published(stage)[before:]
    expected = models(stage, weights)
    for resume_at in (3, 1):  # the second writes over what the first made
        from_here = len(published(stage))
        with training(stage, spec_of_run("mine"), last=weights[resume_at]) as resumed:
            assert resumed.version == resume_at
            assert resumed.numbers()["gradient_steps_total"] == weights[resume_at].gradient_steps
            learn(resumed)
        again = published(stage)[from_here:]
        assert [one.version for one in again] == list(range(resume_at + 1, 7))
        assert models(stage, again) == expected[resume_at + 1 :]


def test_a_finished_run_is_not_learnt_again(stage: Stage) -> None:
    before = len(published(stage))
    with training(stage, spec_of_run("mine")) as trainer:
        learn(trainer)
    final = published(stage)[-1]
    count = len(published(stage))
    assert count > before
    with training(stage, spec_of_run("mine"), last=final) as trainer:
        assert trainer.finished
        trainer.advance(until_s=time.monotonic() + 0.1)
    assert len(published(stage)) == count


def test_learning_waits_for_the_first_rows_and_says_so(stage: Stage) -> None:
    spec = replace(spec_of_run("mine"), min_window_rows=ROWS + 1)
    with training(stage, spec) as trainer:
        until(
            lambda: (
                not trainer.advance(until_s=time.monotonic() + 0.02)
                and trainer.numbers()["window_rows"] == ROWS
            ),
            "the rows did not come",
        )
        assert trainer.waiting
        assert trainer.numbers()["gradient_steps_total"] == 0


def test_only_the_rows_of_the_condition_are_learnt_from(stage: Stage) -> None:
    with training(stage, spec_of_run("mine", where="step = 0")) as trainer:
        learn(trainer)
        assert trainer.numbers()["inserted_rows_total"] == ROWS  # the limiter counts what the log has
        assert 0 < trainer.numbers()["window_rows"] < ROWS / 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"algorithm": "ppo"}, "algorithm is 'ppo'"),
        ({"samples_ahead": 1}, "samples_ahead is 1"),
        ({"where": "no_such_column"}, "where is 'no_such_column'"),
    ],
)
def test_a_run_that_cannot_be_learnt_is_refused_by_field(
    stage: Stage, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadRun, match=said), training(stage, replace(spec_of_run("mine"), **change)):
        pass


def test_another_network_than_the_checkpoints_is_refused(stage: Stage) -> None:
    before = len(published(stage))
    with training(stage, spec_of_run("mine")) as trainer:
        learn(trainer)
    weights = published(stage)[before:]
    spec = spec_of_run("mine", hidden=(8,))
    feed = ShardFeed(stage.settings)
    trainer = Trainer(
        spec,
        GAME,
        feed=feed,
        store=stage.store(),
        producer=kafka.producer(stage.kafka),
        bootstrap=stage.kafka,
    )
    with pytest.raises(Exception, match=r"layers|hidden|shape|size"):
        trainer.start(weights[2])
    trainer.close()
    feed.close()


def test_weights_are_in_the_log_before_learning_goes_on_from_nothing(stage: Stage) -> None:
    count = len(published(stage))
    with training(stage, spec_of_run("mine")):
        assert len(published(stage)) == count + 1
        assert published(stage)[-1].version == 0
