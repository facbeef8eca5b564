"""Eight bits in the weights of linears alone, which needs no calibration and is all but free of loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from nutshell.networks.ops import Int8Weight, Network, Ops, Weight
from nutshell.quantization.int8 import After, rounding
from nutshell.quantization.scales import FULL_WEIGHT
from nutshell.quantization.wrap import Wrapper
from nutshell.weights import Tensor, Weights

T = TypeVar("T")


class LinearWeights(Wrapper[T]):
    """`Ops[T]` whose linears read eight-bit weights and compute as before.

    Convolutions stay as they are: engines would expand their weights again, and nothing would be won.
    """

    def __init__(self, ops: Ops[T], after: After | None = None) -> None:
        super().__init__(ops)
        # The inputs keep their precision, so no sum of products in 16 bits can saturate: full weights everywhere.
        self._round_weight = rounding(FULL_WEIGHT, after)

    def linear(self, x: T, weight: Weight, bias: Tensor | None) -> T:
        if isinstance(weight, Tensor):
            weight = Int8Weight(weight, self._round_weight)
        return super().linear(x, weight, bias)


def with_int8_linears(network: Network, after: After | None = None) -> Network:
    """`network` with its linears' weights in eight bits. after: told of each weight's stored bytes."""

    def run(ops: Ops[Any], weights: Weights, inputs: Mapping[str, Any]) -> Any:
        return network.run(LinearWeights(ops, after), weights, inputs)

    return replace(network, name=f"{network.name} int8 linears", run=run)
