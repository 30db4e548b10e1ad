"""Double DQN against a slow reference: sign, masks, ends, discount; and a checkpoint that goes on where it was."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cartridge.wish import Wish, spec_of
from learner.dqn import Batch, Dqn
from learner.network import Mlp, from_safetensors, seeded
from streams.records import RunSpec

FLOATS = 6


def spec(**changes: Any) -> RunSpec:
    base = spec_of(
        Wish(env_id="tictactoe", run="r", seed=4, hidden=(16,), learning_rate=1e-2, target_period=5)
    )
    return replace(base, **changes)


def batch_of(seed: int, *, rows: int = 64, actions: int = 9) -> Batch:
    """Random transitions of a made-up game; masks allow at least one action, and none after the end."""
    random = np.random.default_rng(seed)
    words = -(-actions // 64)
    batch = Batch(rows, obs_floats=FLOATS, mask_words=words)
    columns = batch.columns
    columns.obs[...] = random.normal(size=(rows, FLOATS))
    columns.next_obs[...] = random.normal(size=(rows, FLOATS))
    columns.action[...] = random.integers(0, actions, rows)
    columns.reward[...] = random.choice([-1, 0, 1], rows)
    columns.terminated[...] = random.random(rows) < 0.3
    columns.same_player[...] = random.random(rows) < 0.4
    for row in range(rows):
        legal = set(random.integers(0, actions, 4).tolist())
        for word in range(words):
            bits = sum(1 << (action % 64) for action in legal if action // 64 == word)
            columns.next_mask[row, word] = 0 if columns.terminated[row] else bits
    return batch


def values_of(network: Mlp, obs: Any) -> list[float]:
    """One row's action values, in double precision and plain Python."""
    hidden = [float(value) for value in obs]
    tensors = network.state_dict()
    layers = len(tensors) // 2
    for number in range(layers):
        weight = tensors[f"layers.{number}.weight"].double().tolist()
        bias = tensors[f"layers.{number}.bias"].double().tolist()
        hidden = [
            sum(w * h for w, h in zip(row, hidden, strict=True)) + b
            for row, b in zip(weight, bias, strict=True)
        ]
        if number + 1 < layers:
            hidden = [max(value, 0.0) for value in hidden]
    return hidden


def reference_target(
    batch: Batch, row: int, online: Mlp, target: Mlp, *, discount: float, actions: int
) -> float:
    columns = batch.columns
    reward = float(columns.reward[row])
    if columns.terminated[row]:
        return reward
    words = columns.next_mask[row].tolist()
    legal = [action for action in range(actions) if words[action // 64] >> (action % 64) & 1]
    chosen = max(legal, key=values_of(online, columns.next_obs[row]).__getitem__)
    successor = values_of(target, columns.next_obs[row])[chosen]
    return reward + discount * (successor if columns.same_player[row] else -successor)


def reference_loss(batch: Batch, online: Mlp, target: Mlp, *, discount: float, actions: int) -> float:
    """The mean Huber distance between the chosen actions' values and their targets."""
    total = 0.0
    for row in range(len(batch.columns)):
        value = values_of(online, batch.columns.obs[row])[int(batch.columns.action[row])]
        wanted = reference_target(batch, row, online, target, discount=discount, actions=actions)
        error = abs(value - wanted)
        total += error**2 / 2 if error < 1 else error - 0.5
    return total / len(batch.columns)


@pytest.mark.parametrize("actions", [9, 100], ids=["one word", "two words"])
@pytest.mark.parametrize("discount", [1.0, 0.5])
def test_the_loss_is_the_slow_references(actions: int, discount: float) -> None:
    # target_period 3: in the end the target network is neither the first network nor the newest
    algorithm = Dqn(spec(discount=discount, target_period=3), obs_floats=FLOATS, actions=actions)
    online, target = seeded([FLOATS, 16, actions], seed=4), seeded([FLOATS, 16, actions], seed=4)
    for step in range(1, 9):
        batch = batch_of(step, actions=actions)
        online.load_state_dict(algorithm.network.state_dict())
        expected = reference_loss(batch, online, target, discount=discount, actions=actions)
        assert float(algorithm.learn(batch)) == pytest.approx(expected, rel=1e-4)
        if step % 3 == 0:
            target.load_state_dict(algorithm.network.state_dict())
    assert algorithm.gradient_steps == 8


def test_learning_moves_as_torch_would() -> None:
    algorithm = Dqn(spec(), obs_floats=FLOATS, actions=9)
    network, target = seeded([FLOATS, 16, 9], seed=4), seeded([FLOATS, 16, 9], seed=4)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for step in range(1, 8):
        batch = batch_of(step)
        wanted = torch.tensor(
            [reference_target(batch, row, network, target, discount=1.0, actions=9) for row in range(64)]
        )
        value = network(batch.obs)[torch.arange(64), batch.action]
        loss = nn.functional.huber_loss(value, wanted)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        algorithm.learn(batch)
        if step % 5 == 0:
            target.load_state_dict(network.state_dict())
    for mine, theirs in zip(algorithm.network.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)


def test_a_terminal_step_does_not_look_at_its_successor() -> None:
    first, second = batch_of(1), batch_of(1)
    for batch in (first, second):
        batch.columns.terminated[...] = 1
    second.columns.next_obs[...] = 1000
    second.columns.next_mask[...] = 0
    losses = [float(Dqn(spec(), obs_floats=FLOATS, actions=9).learn(batch)) for batch in (first, second)]
    assert losses[0] == losses[1]


def test_a_game_without_masks_bootstraps_from_any_action() -> None:
    masked, free = batch_of(1), Batch(64, obs_floats=FLOATS, mask_words=0)
    masked.columns.next_mask[...] = (1 << 9) - 1
    for name in ("obs", "next_obs", "action", "reward", "terminated", "same_player"):
        getattr(free.columns, name)[...] = getattr(masked.columns, name)
    losses = [float(Dqn(spec(), obs_floats=FLOATS, actions=9).learn(batch)) for batch in (masked, free)]
    assert losses[0] == losses[1]


def test_a_batch_shows_torch_what_numpy_wrote() -> None:
    batch = batch_of(1)
    batch.columns.reward[...] = 7
    batch.columns.next_mask[0, 0] = np.uint64(1 << 63)
    assert (batch.reward == 7).all()
    assert batch.next_mask[0, 0] == -(2**63)


def test_the_same_seed_learns_the_same_bytes() -> None:
    files = []
    for _ in range(2):
        algorithm = Dqn(spec(), obs_floats=FLOATS, actions=9)
        for step in range(12):
            algorithm.learn(batch_of(step))
        files.append(algorithm.files())
    assert files[0] == files[1]


def test_another_seed_begins_elsewhere() -> None:
    files = [Dqn(spec(seed=seed), obs_floats=FLOATS, actions=9).files() for seed in (1, 2)]
    assert files[0] != files[1]


def test_a_restored_algorithm_takes_the_same_next_steps() -> None:
    straight = Dqn(spec(), obs_floats=FLOATS, actions=9)
    for step in range(7):  # the target was copied at 5 and is older than the network
        straight.learn(batch_of(step))
    model, optimizer = straight.files()
    resumed = Dqn(spec(seed=77), obs_floats=FLOATS, actions=9)
    resumed.restore(model, optimizer, gradient_steps=7)
    for step in range(7, 14):
        assert float(resumed.learn(batch_of(step))) == float(straight.learn(batch_of(step)))
    assert resumed.files() == straight.files()
    assert resumed.gradient_steps == 14


def test_files_do_not_change_with_what_is_learnt_after() -> None:
    algorithm = Dqn(spec(), obs_floats=FLOATS, actions=9)
    before = algorithm.files()
    kept = tuple(bytes(body) for body in before)
    algorithm.learn(batch_of(1))
    assert before == kept
    assert algorithm.files() != kept


def test_a_checkpoint_of_another_network_is_refused() -> None:
    small = Dqn(spec(hidden=[8]), obs_floats=FLOATS, actions=9)
    with pytest.raises(RuntimeError):
        Dqn(spec(), obs_floats=FLOATS, actions=9).restore(*small.files(), gradient_steps=1)


def test_values_are_the_networks() -> None:
    algorithm = Dqn(spec(), obs_floats=FLOATS, actions=9)
    obs = np.random.default_rng(1).normal(size=(5, FLOATS)).astype(np.float32)
    expected = [values_of(algorithm.network, row) for row in obs]
    np.testing.assert_allclose(algorithm.values(obs), expected, rtol=1e-4, atol=1e-5)


def test_the_model_file_is_what_the_description_says() -> None:
    algorithm = Dqn(spec(hidden=[16, 8]), obs_floats=FLOATS, actions=9)
    tensors = from_safetensors(algorithm.files()[0])
    assert algorithm.network.description() == {"kind": "mlp", "layers": [6, 16, 8, 9], "activation": "relu"}
    assert {name: list(tensor.shape) for name, tensor in tensors.items()} == {
        "layers.0.weight": [16, 6],
        "layers.0.bias": [16],
        "layers.1.weight": [8, 16],
        "layers.1.bias": [8],
        "layers.2.weight": [9, 8],
        "layers.2.bias": [9],
    }


def test_a_fresh_network_does_not_disturb_other_random_numbers() -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    seeded([4, 4], seed=1)
    assert torch.equal(torch.rand(3), expected)
