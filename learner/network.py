"""The network: a multi-layer perceptron, its description and its tensors.

In: layer sizes and a seed, or a checkpoint's bytes. Out: a torch module, and safetensors.
Invariant: the description in the manifest and the tensors' names are all that a reader needs (layers.N.weight, .bias).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn


class Mlp(nn.Module):
    """Linear layers with rectifiers between them; f32[N, sizes[0]] to f32[N, sizes[-1]]."""

    def __init__(self, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = list(sizes)
        self.layers = nn.ModuleList(nn.Linear(inputs, outputs) for inputs, outputs in pairwise(sizes))

    def forward(self, obs: Tensor) -> Tensor:
        hidden = obs
        for index, layer in enumerate(self.layers):
            hidden = layer(hidden)
            if index + 1 < len(self.layers):
                hidden = torch.relu(hidden)
        return hidden

    def description(self) -> dict[str, Any]:
        """What the manifest says of this network."""
        return {"kind": "mlp", "layers": self.sizes, "activation": "relu"}


def seeded(sizes: Sequence[int], *, seed: int) -> Mlp:
    """A fresh network; the same seed gives the same weights, whatever else was drawn before."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Mlp(sizes)


def to_safetensors(tensors: dict[str, Tensor]) -> bytes:
    """`tensors` as a safetensors file."""
    return save({name: tensor.detach().contiguous() for name, tensor in tensors.items()})


def from_safetensors(body: bytes) -> dict[str, Tensor]:
    """The tensors of a safetensors file, by name."""
    return dict(load(body))
