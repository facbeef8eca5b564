"""Where a network's operations go, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping

from nutshell.engines.cost import CostOps, Shaped
from nutshell.networks.ops import Network, Padding, Weight
from nutshell.quantization.wrap import Names, Wrapper, layer_names
from nutshell.weights import Tensor, Weights


class Meter(Wrapper[Shaped]):
    """`CostOps` that also keeps what each linear and convolution takes, in `operations`, by name."""

    def __init__(self, cost: CostOps, names: Names) -> None:
        super().__init__(cost)
        self.operations: dict[str, int] = {}
        self._cost = cost
        self._names = names

    def conv2d(self, x: Shaped, weight: Weight, bias: Tensor | None, stride: int, padding: Padding) -> Shaped:
        before = self._cost.operations
        out = super().conv2d(x, weight, bias, stride, padding)
        self._note(weight, before)
        return out

    def linear(self, x: Shaped, weight: Weight, bias: Tensor | None) -> Shaped:
        before = self._cost.operations
        out = super().linear(x, weight, bias)
        self._note(weight, before)
        return out

    def _note(self, weight: Weight, before: int) -> None:
        name = self._names[weight] if isinstance(weight, Tensor) else weight.name
        self.operations[name] = self.operations.get(name, 0) + self._cost.operations - before


def layer_operations(network: Network, weights: Weights) -> dict[str, int]:
    """Operations of one pass in each linear and convolution, by canonical name. No weight is read."""
    cost = CostOps()
    meter = Meter(cost, layer_names(weights))
    network.run(meter, weights, {name: cost.value(given.shape) for name, given in network.inputs.items()})
    return meter.operations


def shares(operations: Mapping[str, Mapping[str, int]], passes: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """By part and layer, the share of all layers' operations in a picture that runs each part so many times."""
    total = sum(passes.get(part, 0) * sum(layers.values()) for part, layers in operations.items()) or 1
    return {
        part: {name: passes.get(part, 0) * count / total for name, count in layers.items()}
        for part, layers in operations.items()
    }
