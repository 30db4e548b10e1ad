"""Adam over one vector is torch's Adam, step by step, and goes on from what it kept."""

from __future__ import annotations

import torch
from torch import nn

from learner.adam import Adam
from learner.network import Mlp, seeded

SIZES = [4, 8, 8, 3]


def loss_of(network: Mlp, step: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(step)
    obs = torch.randn(16, SIZES[0], generator=generator)
    wanted = torch.randn(16, SIZES[-1], generator=generator)
    return nn.functional.mse_loss(network(obs), wanted)


def learn(network: Mlp, optimizer: Adam, steps: range) -> None:
    for step in steps:
        optimizer.zero_gradient()
        loss_of(network, step).backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def test_it_moves_parameters_as_torch_does() -> None:
    ours, theirs = seeded(SIZES, seed=1), seeded(SIZES, seed=1)
    adam = Adam(ours, learning_rate=3e-3)
    reference = torch.optim.Adam(theirs.parameters(), lr=3e-3)
    for step in range(60):
        learn(ours, adam, range(step, step + 1))
        reference.zero_grad()
        loss_of(theirs, step).backward()  # type: ignore[no-untyped-call]
        reference.step()
        for mine, wanted in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(mine, wanted, rtol=1e-5, atol=1e-7)


def test_it_learns() -> None:
    network = seeded(SIZES, seed=1)
    adam = Adam(network, learning_rate=1e-2)
    before = float(loss_of(network, 0).detach())
    for _ in range(200):
        learn(network, adam, range(1))
    assert float(loss_of(network, 0).detach()) < before / 4


def test_a_restored_optimizer_goes_on_as_if_it_had_not_stopped() -> None:
    straight, stopped = seeded(SIZES, seed=2), seeded(SIZES, seed=2)
    whole, half = Adam(straight, learning_rate=1e-3), Adam(stopped, learning_rate=1e-3)
    learn(straight, whole, range(20))
    learn(stopped, half, range(10))
    resumed = seeded(SIZES, seed=99)
    again = Adam(resumed, learning_rate=1e-3)
    resumed.load_state_dict({name: tensor.clone() for name, tensor in stopped.state_dict().items()})
    again.restore({name: tensor.clone() for name, tensor in half.state().items()})
    learn(resumed, again, range(10, 20))
    for mine, wanted in zip(resumed.parameters(), straight.parameters(), strict=True):
        assert torch.equal(mine, wanted)


def test_loaded_parameters_stay_the_optimizers_own() -> None:
    # load_state_dict must write into the vector, not beside it: the next step would move something else.
    network = seeded(SIZES, seed=1)
    adam = Adam(network, learning_rate=1e-2)
    network.load_state_dict(seeded(SIZES, seed=5).state_dict())
    before = [parameter.detach().clone() for parameter in network.parameters()]
    learn(network, adam, range(1))
    for parameter, was in zip(network.parameters(), before, strict=True):
        moved = (parameter.detach() - was).abs().max()
        assert 0 < moved <= 1.01e-2
