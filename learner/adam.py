"""Adam over one flat vector of parameters.

In: a module. Out: its parameters moved along their gradients.
Invariant: equal to torch.optim.Adam with its default settings, which a test compares step by step.

torch.optim is not used because making its first optimizer imports the compiler, which takes seconds at every start of a
learner; and on one vector a step is a few operations, however many layers there are.
Source: Kingma and Ba, 2015, algorithm 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8


class Adam:
    """Owns the memory of `module`'s parameters and gradients; the module sees views of it."""

    def __init__(self, module: nn.Module, *, learning_rate: float) -> None:
        parameters = list(module.parameters())
        self._learning_rate = learning_rate
        self._values = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
        self._gradient = torch.zeros_like(self._values)
        self._mean = torch.zeros_like(self._values)
        self._square = torch.zeros_like(self._values)
        self._steps = 0
        at = 0
        for parameter in parameters:
            part = slice(at, at + parameter.numel())
            parameter.data = self._values[part].view_as(parameter)
            parameter.grad = self._gradient[part].view_as(parameter)
            at = part.stop

    def zero_gradient(self) -> None:
        """Forgets the gradient; before each backward pass."""
        self._gradient.zero_()

    def step(self) -> None:
        """Moves the parameters."""
        self._steps += 1
        self._mean.lerp_(self._gradient, 1 - _BETA_1)
        self._square.mul_(_BETA_2).addcmul_(self._gradient, self._gradient, value=1 - _BETA_2)
        scale = (self._square / (1 - _BETA_2**self._steps)).sqrt_().add_(_EPSILON)
        self._values.addcdiv_(self._mean, scale, value=-self._learning_rate / (1 - _BETA_1**self._steps))

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {"adam.mean": self._mean, "adam.square": self._square, "adam.steps": torch.tensor(self._steps)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Goes on from `state`. Raises RuntimeError when it is another network's."""
        self._mean.copy_(state["adam.mean"])
        self._square.copy_(state["adam.square"])
        self._steps = int(state["adam.steps"])
