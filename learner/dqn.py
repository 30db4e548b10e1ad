"""Double DQN with self-play in zero-sum games.

In: mini-batches of transitions. Out: a network that estimates the value of each action to the player who acts.
Invariant: where the opponent acts next, the successor's value is counted negative; illegal actions never bootstrap.

    y = r + discount * sign * (1 - terminated) * Q_target(s', argmax_legal Q(s', a))     sign = -1 if players change

Source: van Hasselt, Guez and Silver, 2016 (double DQN); Littman, 1994 (the negated successor of zero-sum games).
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn

from learner.adam import Adam
from learner.network import Mlp, from_safetensors, seeded, to_safetensors
from learner.window import Transitions
from streams.records import RunSpec


class Batch:
    """A reused mini-batch: numpy columns that a window gathers into, seen as tensors without a copy."""

    def __init__(self, rows: int, *, obs_floats: int, mask_words: int) -> None:
        self.columns = Transitions.empty(rows, obs_floats=obs_floats, mask_words=mask_words)
        columns = self.columns
        self.obs = torch.from_numpy(columns.obs)
        self.action = torch.from_numpy(columns.action)
        self.reward = torch.from_numpy(columns.reward)
        self.terminated = torch.from_numpy(columns.terminated)
        self.next_obs = torch.from_numpy(columns.next_obs)
        self.next_mask = torch.from_numpy(columns.next_mask.view(np.int64))
        self.same_player = torch.from_numpy(columns.same_player)


class Dqn:
    """The algorithm's networks and optimizer."""

    def __init__(self, spec: RunSpec, *, obs_floats: int, actions: int) -> None:
        self._discount = spec.discount
        self._target_period = spec.target_period
        self.network: Mlp = seeded([obs_floats, *spec.hidden, actions], seed=spec.seed)
        self._target = copy.deepcopy(self.network).requires_grad_(False)
        self._optimizer = Adam(self.network, learning_rate=spec.learning_rate)
        self.gradient_steps = 0
        self._word = torch.arange(actions) // 64
        self._bit = torch.arange(actions) % 64

    def learn(self, batch: Batch) -> Tensor:
        """One gradient step on B transitions. Returns the loss, a scalar that is not synchronised."""
        with torch.no_grad():
            target = self._targets(batch)
        value = self.network(batch.obs).gather(1, batch.action[:, None])[:, 0]
        loss = nn.functional.smooth_l1_loss(value, target)
        self._optimizer.zero_gradient()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self.gradient_steps += 1
        if self.gradient_steps % self._target_period == 0:
            self._copy_to_target()
        return loss.detach()

    def _targets(self, batch: Batch) -> Tensor:
        """The y above, f32[B]."""
        online = self.network(batch.next_obs)
        if batch.next_mask.shape[1]:
            online = online.masked_fill(~self._legal(batch.next_mask), -torch.inf)
        best = online.argmax(1, keepdim=True)
        successor = self._target(batch.next_obs).gather(1, best)[:, 0]
        sign = 2.0 * batch.same_player - 1.0
        target: Tensor = batch.reward + self._discount * sign * (1.0 - batch.terminated.float()) * successor
        return target

    def _legal(self, mask: Tensor) -> Tensor:
        """bool[B, A] of the words i64[B, W]."""
        return ((mask[:, self._word] >> self._bit) & 1).bool()

    def _copy_to_target(self) -> None:
        with torch.no_grad():
            for target, source in zip(self._target.parameters(), self.network.parameters(), strict=True):
                target.copy_(source)

    def files(self) -> tuple[bytes, bytes]:
        """model.safetensors and optimizer.safetensors; the latter holds the target network too."""
        target = {f"target.{name}": tensor for name, tensor in self._target.state_dict().items()}
        return to_safetensors(self.network.state_dict()), to_safetensors(target | self._optimizer.state())

    def restore(self, model: bytes, optimizer: bytes, *, gradient_steps: int) -> None:
        """Goes on from a checkpoint's files. Raises RuntimeError when they are another network's."""
        self.network.load_state_dict(from_safetensors(model))
        state = from_safetensors(optimizer)
        self._target.load_state_dict(
            {
                name.removeprefix("target."): value
                for name, value in state.items()
                if name.startswith("target.")
            }
        )
        self._optimizer.restore(state)
        self.gradient_steps = gradient_steps

    @torch.no_grad()
    def values(
        self, obs: np.ndarray[tuple[int, int], np.dtype[np.float32]]
    ) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        """Action values f32[N, A] of observations f32[N, O]."""
        values: np.ndarray[tuple[int, int], np.dtype[np.float32]] = self.network(
            torch.from_numpy(obs)
        ).numpy()
        return values
