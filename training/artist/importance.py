"""How much each single weight matters; `select` in `prune.py` adds up what that says about a channel.

Both measures are non-negative, one tensor per parameter in the parameter's own shape.
"""

from __future__ import annotations

from torch import Tensor, nn

from nutshell.compress.taylor import taylor

__all__ = ["magnitude", "taylor"]


def magnitude(network: nn.Module) -> dict[str, Tensor]:
    """Squared weights as shares of their tensor's sum, so that tensors of all sizes have the same say.

    (Han et al. 2015, arXiv:1506.02626; here for whole channels, over the tensors that make and read them.)
    """
    squares = {name: parameter.detach().square() for name, parameter in network.named_parameters()}
    return {name: square / square.sum().clamp(min=1e-30) for name, square in squares.items()}
