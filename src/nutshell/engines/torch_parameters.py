"""The PyTorch interpreter over tensors that can learn: gradients flow back to them through every operation.

A network is written once and trained as it is run: `weights` are placeholders that hold names and shapes, and where a
layer takes one, the parameter of that name is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nutshell.engines.torch_ops import TorchOps
from nutshell.networks.ops import Weight
from nutshell.weights import Tensor, Weights

Value = Any  # A torch.Tensor; torch is not type-checked here.


class ParameterOps(TorchOps):
    """`Ops[torch.Tensor]` over `parameters`, by name, on their device.

    precision: of the arithmetic. The parameters keep their own, float32 where they learn (Micikevicius et al. 2018,
    arXiv:1710.03740), and norms are computed in float32 as everywhere.
    """

    def __init__(self, parameters: Mapping[str, Value], device: str, precision: str) -> None:
        super().__init__(device, precision)
        self._parameters = parameters

    def _load(self, weight: Weight, dtype: Any) -> Value:
        return self._parameters[weight.name].to(dtype)


def placeholders(parameters: Mapping[str, Value], part: str) -> Weights:
    """What a network takes in their place: names and shapes."""
    return Weights({name: Tensor(name, "F32", tuple(value.shape)) for name, value in parameters.items()}, part)
