"""What a compiled network depends on, as a name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from nutshell.engines.cost import CostOps
from nutshell.networks.ops import Int8Weight, Network
from nutshell.weights import Weights

# Of each tensor: enough to tell models of one architecture apart. That the bytes between are the same as well is for
# the engine's own hash of all of them.
_SAMPLE_BYTES = 64
_PACKED_BYTES = {"f32": 4, "f16": 2, "bf16": 2}


def cache_key(network: Network, weights: Weights, how: Mapping[str, Any]) -> tuple[str, int]:
    """(name, bytes of the packed weights) of a network compiled in one way.

    how: engine and its version, device, precision and other properties. In the name: those, the network's name and
    shapes, and of every tensor that it takes name, type, shape and first bytes. What else changes the graph (another
    version of this program, eight-bit scales) is in the engine's own hash of it.
    """
    ops = CostOps()
    network.results(ops, weights, {name: ops.value(given.shape) for name, given in network.inputs.items()})
    shapes = {name: given.shape for name, given in network.inputs.items()}
    facts = [network.part, network.name, shapes, network.outputs, sorted(how.items())]
    digest = hashlib.sha256(json.dumps(facts, default=str).encode())
    size = 0
    width = _PACKED_BYTES.get(str(how.get("INFERENCE_PRECISION_HINT")), 4)
    for name, weight in sorted(ops.weights.items()):
        tensor = weight.stored if isinstance(weight, Int8Weight) else weight
        digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
        digest.update(memoryview(tensor.data)[tensor.offset : tensor.offset + min(_SAMPLE_BYTES, tensor.nbytes)])
        size += weight.nbytes if isinstance(weight, Int8Weight) else width * tensor.size
    return f"{network.part}-{digest.hexdigest()[:32]}", size
