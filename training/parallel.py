"""Split a batch between threads that share one set of weights.

oneDNN's bf16 weight gradients wait for one another in a busy loop when a convolution is spread over
two threads: on a machine with anything else to do, 244 ms instead of 2.4 (192 channels, 4x4). Two
threads with half a batch each, one core per operation, never wait inside an operation.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn


class Replicas:
    """The model and copies of it whose parameters are the model's own, with gradients of their own."""

    def __init__(self, model: nn.Module, count: int) -> None:
        self.models = [model]
        for _ in range(count - 1):
            replica = copy.deepcopy(model)
            for own, shared in zip(replica.parameters(), model.parameters(), strict=True):
                own.data = shared.data
            self.models.append(replica)
        self._single_thread = count > 1
        self._pool = ThreadPoolExecutor(count, initializer=self._start_thread)
        if self._single_thread:
            torch.set_num_threads(1)

    def _start_thread(self) -> None:
        if self._single_thread:
            torch.set_num_threads(1)

    def backward(self, loss_of: Callable[[nn.Module, tuple[Tensor, ...]], Tensor], batch: tuple[Tensor, ...]) -> float:
        """Mean gradient over the parts of a batch, left in the first model; returns the mean loss."""
        count = len(self.models)
        parts = zip(*(tensor.chunk(count) for tensor in batch), strict=True)

        def one(model: nn.Module, part: tuple[Tensor, ...]) -> float:
            loss = loss_of(model, part)
            (loss / count).backward()
            return float(loss.detach())

        losses = list(self._pool.map(one, self.models, parts))
        for replica in self.models[1:]:
            pairs = zip(self.models[0].parameters(), replica.parameters(), strict=True)
            # A frozen parameter has no gradient.
            learning = [(own, other) for own, other in pairs if other.grad is not None]
            torch._foreach_add_([own.grad for own, _ in learning], [other.grad for _, other in learning])
            for _, other in learning:
                other.grad = None
        return sum(losses) / count


def replica_count(device: torch.device) -> int:
    """Two on a CPU with cores to share, one on an accelerator."""
    return min(2, torch.get_num_threads()) if device.type == "cpu" else 1
