"""How much each single weight matters; `select` in `prune.py` adds up what that says about a channel.

Both measures are non-negative, one tensor per parameter in the parameter's own shape.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def magnitude(network: nn.Module) -> dict[str, Tensor]:
    """Squared weights as shares of their tensor's sum, so that tensors of all sizes have the same say.

    (Han et al. 2015, arXiv:1506.02626; here for whole channels, over the tensors that make and read them.)
    """
    squares = {name: parameter.detach().square() for name, parameter in network.named_parameters()}
    return {name: square / square.sum().clamp(min=1e-30) for name, square in squares.items()}


def taylor(network: nn.Module, loss_of: Callable[[], Tensor], batches: int) -> dict[str, Tensor]:
    """Mean over batches of (gradient * weight)^2: how far the loss moves if a weight is set to zero, to first order.

    Equation 8 of Molchanov et al. 2019 (arXiv:1906.10771), of whose two ways to join the weights of a channel we take
    the sum of squares, for it can be added up over many tensors. `loss_of` draws a batch and runs `network` on it.
    """
    network.requires_grad_(True)
    scores = {name: torch.zeros_like(parameter) for name, parameter in network.named_parameters()}
    for _ in range(batches):
        network.zero_grad()
        loss_of().backward()
        for name, parameter in network.named_parameters():
            if parameter.grad is not None:
                scores[name] += (parameter.grad * parameter.detach()).square() / batches
    network.zero_grad()
    return scores
