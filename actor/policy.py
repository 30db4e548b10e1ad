"""A network's greedy policy in plain numpy, so that an actor needs no torch.

In: a checkpoint's tensors and their description. Out: action values for a batch of observations.
Invariant: the same weights and the same batch give the same bytes; buffers are kept between calls.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load

from actor.errors import BadCheckpoint


class Policy:
    """A multi-layer perceptron with rectifiers between its layers.

    `layers` holds, for each, weights f32[in, out] and bias f32[out].
    """

    def __init__(
        self, layers: list[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]], *, version: int
    ) -> None:
        self.version = version
        self.obs_floats = layers[0][0].shape[0]
        self.actions = layers[-1][0].shape[1]
        self._layers = layers
        self._buffers: list[npt.NDArray[np.float32]] = []

    @classmethod
    def from_safetensors(cls, body: bytes, network: dict[str, Any], *, version: int) -> Policy:
        """The policy in model.safetensors. Raises BadCheckpoint when it is not what `network` describes."""
        if network.get("kind") != "mlp" or network.get("activation") != "relu":
            raise BadCheckpoint(f"network is {network}: an actor plays kind mlp with activation relu")
        try:
            tensors = load(body)
        except Exception as error:
            raise BadCheckpoint(f"model.safetensors cannot be read: {error}") from error
        sizes = network.get("layers")
        if not isinstance(sizes, list) or len(sizes) < 2 or not all(isinstance(size, int) for size in sizes):
            raise BadCheckpoint(f"network has layers {sizes!r}: at least two widths are needed")
        layers = []
        for index, (inputs, outputs) in enumerate(pairwise(sizes)):
            weight, bias = tensors.get(f"layers.{index}.weight"), tensors.get(f"layers.{index}.bias")
            if (
                weight is None
                or bias is None
                or weight.shape != (outputs, inputs)
                or bias.shape != (outputs,)
            ):
                raise BadCheckpoint(
                    f"layer {index} of model.safetensors is not the {inputs}x{outputs} of its manifest"
                )
            layers.append((np.ascontiguousarray(weight.T, np.float32), np.asarray(bias, np.float32)))
        return cls(layers, version=version)

    def values(self, obs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Action values f32[N, A] of observations f32[N, O]; the result is overwritten by the next call."""
        rows = len(obs)
        if not self._buffers or len(self._buffers[0]) < rows:
            self._buffers = [np.empty((rows, weight.shape[1]), np.float32) for weight, _ in self._layers]
        hidden: npt.NDArray[np.float32] = obs
        for index, ((weight, bias), buffer) in enumerate(zip(self._layers, self._buffers, strict=True)):
            out = buffer[:rows]
            np.matmul(hidden, weight, out=out)
            out += bias
            if index + 1 < len(self._layers):
                np.maximum(out, 0, out=out)
            hidden = out
        return hidden
