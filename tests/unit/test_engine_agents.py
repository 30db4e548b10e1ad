"""What only some games have goes through the engine whole: agents and their rewards, hints, older states, sight."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import grpc
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from engine import capabilities, layout
from engine.client import EngineClient
from engine.errors import EngineRefused
from engine.layout import Layout
from engine.metrics import EngineMetrics
from engine.server import EngineServer
from engine.stubs import engine_pb2 as pb
from games import registry
from games.contract import encode_actions
from games.spec import Box, Encoding, GameSpec
from toy_games import Lanes

GAME = Lanes()
SPEC = GAME.spec
TICTACTOE = registry.get("tictactoe").spec
ID = pb.EngineId(env_id="lanes")


@pytest.fixture(scope="module")
def client() -> Iterator[EngineClient]:
    registry.register("lanes", Lanes)
    try:
        with (
            EngineServer("127.0.0.1", 0, engine_metrics=EngineMetrics(CollectorRegistry())) as server,
            EngineClient(server.address) as connected,
        ):
            yield connected
    finally:
        registry.unregister("lanes")


def moves(rows: list[list[int]]) -> Any:
    return encode_actions(SPEC.encoding.action, np.array(rows))


@pytest.mark.parametrize(
    "spec",
    [
        SPEC,
        TICTACTOE,
        replace(
            TICTACTOE,
            encoding=Encoding("state:f64:v3", "action:f32x2:v1", "obs:f32x6:v2", 7),
            action_space=Box((-1.5, -2.0), (1.0, float("inf")), (2, 1)),
            action_bytes=8,
            obs_shape=(1, 2, 3),
            players=1,
            zero_sum=False,
            stochastic=True,
            hint="one word, or more",
            decodes=("state:f32:v1", "state:f32:v2"),
            grid=(70, 3),
        ),
    ],
    ids=["agents", "plain", "box"],
)
def test_every_property_of_a_spec_comes_back(spec: GameSpec) -> None:
    message = pb.Capabilities.FromString(capabilities.to_message(spec).SerializeToString())
    back = capabilities.from_message(message)
    assert {field.name: getattr(back, field.name) for field in fields(spec)} == {
        field.name: getattr(spec, field.name) for field in fields(spec)
    }
    assert (message.mask_words, message.reward_width) == (spec.mask_words, spec.reward_width)


def test_every_property_of_a_spec_is_declared() -> None:
    told = {field.name for field in pb.Capabilities.DESCRIPTOR.fields}
    elsewhere = {"env_id": "id", "build_id": "id", "encoding": "enc", "action_space": "discrete_n"}
    assert {elsewhere.get(field.name, field.name) for field in fields(GameSpec)} <= told
    assert {field.name for field in pb.AgentSpec.DESCRIPTOR.fields} == {
        field.name for field in fields(type(SPEC.agents[0]))
    }


@pytest.mark.parametrize(("field", "value"), [("reward_width", 1), ("mask_words", 1)])
def test_capabilities_that_contradict_themselves_are_refused(field: str, value: int) -> None:
    message = capabilities.to_message(SPEC)
    setattr(message, field, value)
    with pytest.raises(EngineRefused, match=rf"'lanes': {field} = 1, its actions need 2"):
        capabilities.from_message(message)
    message = capabilities.to_message(SPEC)
    message.agents[0].name = "runner"
    with pytest.raises(EngineRefused, match="two have the same name"):
        capabilities.from_message(message)


def test_a_batch_has_a_reward_for_every_agent(client: EngineClient) -> None:
    assert client.capabilities("lanes") == SPEC
    rng = np.random.default_rng(4)
    position: Any = client.reset_batch("lanes", np.arange(50, dtype=np.uint64), b"7")
    with client.open_stream("lanes") as stream:
        for _ in range(11):
            actions = moves(np.stack((rng.integers(0, 2, 50), rng.integers(0, 3, 50)), axis=1).tolist())
            plain = GAME.step(position.states, actions)
            seeds = np.arange(50, dtype=np.uint64)
            stream.send(position.states, actions, seeds, reset_hint=b"7")
            unbroken = client.step_batch("lanes", position.states, actions)
            position = stream.receive()
            for reply in (position, unbroken):
                assert reply.rewards.shape == (50, 2)
                assert reply.rewards.tobytes() == plain.rewards.tobytes()
                assert reply.terminated.tobytes() == plain.terminated.tobytes()
            assert unbroken.states.tobytes() == plain.positions.states.tobytes()
            assert (position.states[:, 0] == 7).all()
            ended = plain.terminated | plain.truncated
            assert position.final_states.tobytes() == plain.positions.states[ended == 1].tobytes()


def test_a_row_of_rewards_stays_flat_where_one_player_moves() -> None:
    columns = {column.number: column for column in Layout.of(TICTACTOE, 3).columns}
    assert columns[layout.REWARDS].shape == (3,)
    columns = {column.number: column for column in Layout.of(SPEC, 3).columns}
    assert columns[layout.REWARDS].shape == (3, 2)


def test_one_step_tells_every_agents_reward(client: EngineClient) -> None:
    step = client.unary("Step", pb.StepRequest, pb.StepResponse)
    met = step(pb.StepRequest(id=ID, state=bytes([5, 1, 3, 0]), action=moves([[1, 0]]).tobytes()))
    assert (list(met.rewards), met.reward, met.done, met.truncated) == ([1.0, 0.5], 1.0, True, False)
    late = step(pb.StepRequest(id=ID, state=bytes([5, 0, 4, 11]), action=moves([[1, 1]]).tobytes()))
    assert (list(late.rewards), late.reward, late.truncated) == ([0.0, -0.25], 0.0, True)


def test_rows_that_are_reset_start_as_the_hint_says(client: EngineClient) -> None:
    states = np.array([[8, 3, 4, 0], [8, 0, 7, 0]], np.uint8)
    actions = moves([[1, 0], [1, 0]])
    seeds = np.array([1, 1], np.uint64)
    # Row 0: the two pass each other (no end); so they are put next but one instead.
    states[0] = [8, 3, 5, 0]
    hinted = client.step_batch("lanes", states, actions, reset_seeds=seeds, reset_hint=b"9")
    assert hinted.states.tolist() == [[9, 0, 7, 0], [8, 1, 6, 1]]
    assert client.step_batch("lanes", states, actions, reset_seeds=seeds).states[0].tolist() == [5, 0, 3, 0]


@pytest.mark.parametrize("ends", [True, False])
def test_a_hint_that_is_not_understood_is_refused_whether_or_not_a_row_ends(
    client: EngineClient, ends: bool
) -> None:
    states = np.array([[5, 1, 3, 0] if ends else [5, 0, 4, 0]], np.uint8)
    seeds = np.zeros(1, np.uint64)
    client.step_batch("lanes", states, moves([[1, 0]]), reset_seeds=seeds, reset_hint=b"4")
    for _ in range(2):
        with pytest.raises(EngineRefused, match="hint = 0x3939: give the number of cells") as error:
            client.step_batch("lanes", states, moves([[1, 0]]), reset_seeds=seeds, reset_hint=b"99")
        assert error.value.status is grpc.StatusCode.INVALID_ARGUMENT


def test_a_hint_without_seeds_or_over_the_limit_is_refused(client: EngineClient) -> None:
    states, actions, seeds = np.array([[5, 0, 4, 0]], np.uint8), moves([[1, 0]]), np.zeros(1, np.uint64)
    with pytest.raises(EngineRefused, match="reset_hint = 0x34: no row is reset without reset_seeds"):
        client.step_batch("lanes", states, actions, reset_hint=b"4")
    with pytest.raises(EngineRefused, match="reset_hint: 4097 bytes is over the limit of 4096") as error:
        client.step_batch("lanes", states, actions, reset_seeds=seeds, reset_hint=b"4" * 4097)
    assert error.value.status is grpc.StatusCode.RESOURCE_EXHAUSTED
