"""The numpy policy is the torch network: the same tensors, the same values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save

from actor.errors import BadCheckpoint
from actor.policy import Policy
from learner.network import Mlp, seeded, to_safetensors

SIZES = [29, 64, 64, 9]


def policy_of(network: Mlp, *, version: int = 3) -> Policy:
    return Policy.from_safetensors(
        to_safetensors(network.state_dict()), network.description(), version=version
    )


@pytest.mark.parametrize("sizes", [SIZES, [4, 3], [5, 1, 2], [7, 16, 8, 4, 3]])
@pytest.mark.parametrize("rows", [1, 2, 257])
def test_values_are_the_torch_networks(sizes: list[int], rows: int) -> None:
    network = seeded(sizes, seed=5)
    obs = np.random.default_rng(1).normal(size=(rows, sizes[0])).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(obs)).numpy()
    found = policy_of(network).values(obs)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_batches_of_changing_sizes_do_not_disturb_each_other() -> None:
    policy, fresh = policy_of(seeded(SIZES, seed=5)), seeded(SIZES, seed=5)
    random = np.random.default_rng(2)
    for rows in (3, 100, 1, 7, 200, 0, 100):
        obs = random.normal(size=(rows, 29)).astype(np.float32)
        with torch.no_grad():
            expected = fresh(torch.from_numpy(obs)).numpy()
        np.testing.assert_allclose(policy.values(obs), expected, rtol=1e-4, atol=1e-5)


def test_the_same_batch_gives_the_same_bytes() -> None:
    network = seeded(SIZES, seed=5)
    obs = np.random.default_rng(3).normal(size=(128, 29)).astype(np.float32)
    first = policy_of(network).values(obs).tobytes()
    policy = policy_of(network)
    policy.values(obs[:50])
    assert policy.values(obs).tobytes() == first


def test_it_knows_its_sizes_and_version() -> None:
    policy = policy_of(seeded(SIZES, seed=5), version=12)
    assert (policy.obs_floats, policy.actions, policy.version) == (29, 9, 12)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "conv"},
        {"activation": "tanh"},
        {"layers": [29, 64, 9]},
        {"layers": [29, 64, 64, 10]},
        {"layers": [28, 64, 64, 9]},
        {"layers": [29, 64, 64, 9, 4]},
        {"layers": [29]},
        {"layers": []},
        {"layers": None},
        {"layers": ["29", "9"]},
    ],
    ids=str,
)
def test_a_description_that_does_not_fit_is_refused(change: dict[str, Any]) -> None:
    network = seeded(SIZES, seed=5)
    with pytest.raises(BadCheckpoint):
        Policy.from_safetensors(
            to_safetensors(network.state_dict()), network.description() | change, version=1
        )


@pytest.mark.parametrize("missing", ["kind", "activation", "layers"])
def test_a_description_that_lacks_something_is_refused(missing: str) -> None:
    network = seeded(SIZES, seed=5)
    description = {name: value for name, value in network.description().items() if name != missing}
    with pytest.raises(BadCheckpoint):
        Policy.from_safetensors(to_safetensors(network.state_dict()), description, version=1)


@pytest.mark.parametrize("body", [b"", b"junk", bytes(100)])
def test_bytes_that_are_no_tensors_are_refused(body: bytes) -> None:
    with pytest.raises(BadCheckpoint, match=r"model\.safetensors cannot be read"):
        Policy.from_safetensors(body, seeded(SIZES, seed=5).description(), version=1)


def test_a_missing_tensor_is_refused_by_its_layer() -> None:
    tensors = {name: tensor.numpy() for name, tensor in seeded(SIZES, seed=5).state_dict().items()}
    del tensors["layers.1.bias"]
    with pytest.raises(BadCheckpoint, match=r"layer 1 of model\.safetensors is not the 64x64"):
        Policy.from_safetensors(save(tensors), seeded(SIZES, seed=5).description(), version=1)
