"""Games that were really played, in the log and in shards.

In: a stage, an engine, a network. Out: a run's transitions and episodes on the topics; shards of them.
Invariant: the actor, the publisher and the compactor are the product's own.
"""

from __future__ import annotations

from typing import Any

from actor.group import GROUPS, Identity
from actor.play import Player
from actor.policy import Policy
from actor.publisher import Publisher
from actor.weights import Announced
from cartridge.wish import Wish, spec_of
from engine.client import EngineClient
from learner.network import Mlp, to_safetensors
from log_oracle import Offsets
from stage import Stage, until
from streams.compactor import Compactor
from streams.records import RunSpec, WeightsPublished
from streams.shard_buffer import CutPolicy

TURNS = 24
ENVIRONMENTS = 16


def rows_of(turns: int) -> int:
    """Transitions that so many turns make."""
    return GROUPS * ENVIRONMENTS * turns


def run_of(name: str, **changes: Any) -> RunSpec:
    """A run of tic-tac-toe with one small actor."""
    wish: dict[str, Any] = {
        "run": name,
        "seed": 5,
        "environments": ENVIRONMENTS,
        "chunk_steps": 5,
        "actors": 1,
    }
    return spec_of(Wish(env_id="tictactoe", **(wish | changes)))


def play(stage: Stage, client: EngineClient, weights: WeightsPublished, network: Mlp) -> None:
    """TURNS turns of actor 0, in the log when this returns."""
    body = to_safetensors(network.state_dict())
    policy = Policy.from_safetensors(body, network.description(), version=weights.version)
    publisher = Publisher(stage.kafka, stopping=lambda: False)
    player = Player(Identity(run_of(weights.run), 0, 0), client, publisher)
    for _ in range(TURNS):
        player.turn(Announced(weights, policy))
    player.close()
    assert publisher.flush(30) == 0


def seal_everything(stage: Stage) -> None:
    """Compacts what is in the log now."""
    compactor = Compactor(
        bootstrap=stage.kafka, store=stage.store(), member="m0", policy=CutPolicy(age_s=0.05)
    )
    compactor.start()
    with Offsets(stage) as offsets:
        goal = offsets.ends()
        until(lambda: compactor.run_once() or offsets.committed() == goal, "not everything was sealed")
    compactor.close()
