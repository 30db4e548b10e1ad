"""Weights reach the actor: announced, verified, in time; a checkpoint that is not what was announced never plays."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from actor import metrics
from actor.weights import WeightsFollower
from learner.network import seeded, to_safetensors
from stage import Stage, until
from streams import checkpoint
from streams.checkpoint import Manifest
from streams.records import WeightsPublished

OBS = np.random.default_rng(1).normal(size=(4, 29)).astype(np.float32)


def write(stage: Stage, version: int, *, run: str = "mine", **changes: Any) -> WeightsPublished:
    """Stores version `version`, made from that seed. Returns its announcement, not yet made."""
    network = seeded([29, 16, 9], seed=version)
    files = {checkpoint.MODEL: to_safetensors(network.state_dict()), checkpoint.OPTIMIZER: b"x"}
    manifest = Manifest(
        **{
            "run": run,
            "version": version,
            "env_id": "tictactoe",
            "build_id": "tictactoe-1",
            "schema_version": 1,
            "encodings": {},
            "network": network.description(),
            "algorithm": "dqn",
            "settings": {},
            "seed": 0,
            "random_state": {},
            "gradient_steps": 0,
            "samples": 0,
            "inserted_rows": 0,
            "log_positions": {},
            "evaluation": {},
            "verdict": "",
            "made_us": 0,
            "sha256": {name: checkpoint.sha256_of(body) for name, body in files.items()},
            **changes,
        }
    )
    return WeightsPublished(
        run=run,
        version=version,
        checkpoint=checkpoint.prefix_of(run, version),
        manifest_sha256=checkpoint.write(stage.store(), files, manifest),
        gradient_steps=0,
        samples=0,
        inserted_rows=0,
        allowed_rows=0,
        evaluation={},
        verdict="",
        final=False,
        published_us=time.time_ns() // 1000,
    )


@pytest.fixture
def follower(stage: Stage) -> Iterator[WeightsFollower]:
    followed = WeightsFollower(stage.kafka, stage.store())
    yield followed
    followed.close()
    assert followed.failure is None


def version_of(follower: WeightsFollower, run: str = "mine") -> int:
    """The version that can be played; -1 before the first."""
    newest = follower.newest(run)
    return -1 if newest is None else newest.policy.version


def until_version(follower: WeightsFollower, version: int, run: str = "mine") -> None:
    until(lambda: version_of(follower, run) == version, f"weights v{version} did not come")


def refused() -> float:
    return float(metrics.WEIGHTS_REFUSED._value.get())


def test_announced_weights_are_played(stage: Stage, follower: WeightsFollower) -> None:
    assert version_of(follower) == -1
    for version in (0, 1):
        announced = write(stage, version)
        stage.say("weights", announced)
        until_version(follower, version)
        newest = follower.newest("mine")
        assert newest is not None
        assert newest.weights == announced
        network = seeded([29, 16, 9], seed=version)
        expected = network(torch.from_numpy(OBS)).detach().numpy()
        np.testing.assert_allclose(newest.policy.values(OBS), expected, rtol=1e-4, atol=1e-5)


def test_weights_are_there_at_most_half_a_second_after_their_announcement(
    stage: Stage, follower: WeightsFollower
) -> None:
    took_s = []
    for version in range(5):
        announced = write(stage, version)
        version_of(follower)  # the run is wanted
        started_s = time.monotonic()
        stage.say("weights", announced)
        until_version(follower, version)
        took_s.append(time.monotonic() - started_s)
    # the middle one: a busy machine may hold up one of them
    assert sorted(took_s)[2] < 0.5


def test_who_starts_later_plays_the_newest(stage: Stage) -> None:
    stage.say("weights", write(stage, 0), write(stage, 1), write(stage, 2))
    late = WeightsFollower(stage.kafka, stage.store())
    until_version(late, 2)
    late.close()


TAMPERED = {
    "another model": (checkpoint.MODEL, to_safetensors(seeded([29, 16, 9], seed=99).state_dict())),
    "a bit of the model": (checkpoint.MODEL, None),
    "another manifest": (checkpoint.MANIFEST, b"{}"),
    "a bit of the manifest": (checkpoint.MANIFEST, None),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_a_checkpoint_that_was_changed_is_refused_and_the_old_policy_plays_on(
    stage: Stage, follower: WeightsFollower, what: str
) -> None:
    stage.say("weights", write(stage, 0))
    until_version(follower, 0)
    bad, before = write(stage, 1), refused()
    name, body = TAMPERED[what]
    store, key = stage.store(), f"{bad.checkpoint}/{name}"
    if body is None:
        true = store.get(key)
        body = true[:-1] + bytes([true[-1] ^ 1])
    store.put(key, body)
    stage.say("weights", bad)
    until(lambda: refused() > before, "the changed checkpoint was not refused")
    assert version_of(follower) == 0
    stage.say("weights", write(stage, 2))
    until_version(follower, 2)
    assert refused() == before + 1  # once, not again and again


@pytest.mark.parametrize(
    "change",
    [{"network": {"kind": "conv"}}, {"network": {"kind": "mlp", "activation": "relu"}}, {"sha256": {}}],
    ids=["another kind", "no layers", "no files"],
)
def test_a_manifest_that_cannot_be_played_is_refused_too(
    stage: Stage, follower: WeightsFollower, change: dict[str, Any]
) -> None:
    stage.say("weights", write(stage, 0))
    until_version(follower, 0)
    announced, before = write(stage, 1), refused()
    store = stage.store()
    manifest = replace(checkpoint.read_manifest(store, announced.checkpoint), **change)
    text = json.dumps(vars(manifest)).encode()
    store.put(f"{announced.checkpoint}/{checkpoint.MANIFEST}", text)
    stage.say("weights", replace(announced, manifest_sha256=checkpoint.sha256_of(text)))
    until(lambda: refused() > before, "what cannot be played was not refused")
    assert version_of(follower) == 0
    assert follower.failure is None


def test_a_checkpoint_that_is_not_there_is_refused(stage: Stage, follower: WeightsFollower) -> None:
    stage.say("weights", write(stage, 0))
    until_version(follower, 0)
    before = refused()
    stage.say("weights", replace(write(stage, 1), checkpoint="checkpoints/run=mine/nowhere"))
    until(lambda: refused() > before, "what is not there was not refused")
    assert version_of(follower) == 0


def test_runs_have_weights_of_their_own(stage: Stage, follower: WeightsFollower) -> None:
    stage.say("weights", write(stage, 3, run="one"), write(stage, 5, run="two"))
    until_version(follower, 3, "one")
    until_version(follower, 5, "two")
    assert version_of(follower, "three") == -1


def test_a_final_announcement_ends_the_run(stage: Stage, follower: WeightsFollower) -> None:
    stage.say("weights", write(stage, 0))
    until_version(follower, 0)
    assert not follower.is_final("mine")
    stage.say("weights", replace(write(stage, 1), final=True))
    until(lambda: follower.is_final("mine"), "the run did not end")
    assert not follower.is_final("another")
