"""Attention with queries and keys in eight bits: the first of its two products, q k^T, then runs on integers.

The second product stays: probabilities are all between 0 and 1, most of thousands near 0, and one scale for them leaves
nothing of the small ones (SageAttention, Zhang et al. 2024, arXiv:2410.02367, keeps p v in half precision for that).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from nutshell.networks.ops import Int8Weight, Network, Ops, Weight
from nutshell.quantization.histogram import Histogram
from nutshell.quantization.scales import Scale, symmetric
from nutshell.quantization.wrap import Names, Wrapper, layer_names
from nutshell.weights import Tensor, Weights

T = TypeVar("T")

# Queries, keys and values: the linears right before an attention.
_LATEST = 3


@dataclass
class AttentionSeen:
    """The distribution of every query and key that one attention was given."""

    query: Histogram = field(default_factory=Histogram)
    key: Histogram = field(default_factory=Histogram)


@dataclass(frozen=True)
class AttentionScale:
    """Of queries and keys. Both have the zero point 128: of others OpenVINO makes floating-point numbers again."""

    query: Scale
    key: Scale


# By name of the linear that makes the queries, for attention has no weight of its own.
AttentionScales = Mapping[str, AttentionScale]


def attention_scales(seen: Mapping[str, AttentionSeen]) -> dict[str, AttentionScale]:
    """The scales that lose least; none for an attention that saw only zeros."""
    return {
        name: AttentionScale(symmetric(each.query), symmetric(each.key))
        for name, each in seen.items()
        if any((part.minimum, part.maximum) != (0, 0) for part in (each.query, each.key))
    }


class Makers(Generic[T]):
    """Which linear made a value, of the latest few."""

    def __init__(self) -> None:
        self._latest: deque[tuple[T, str]] = deque(maxlen=_LATEST)

    def note(self, value: T, name: str) -> None:
        """The linear `name` made `value`."""
        self._latest.append((value, name))

    def of(self, value: T) -> str | None:
        """Its name; None for another value."""
        return next((name for made, name in self._latest if made is value), None)


class Int8Attention(Wrapper[T]):
    """`Ops[T]` that rounds the queries and keys of every attention that it has scales for.

    Not of one with as many keys as a head is wide: where both are 8 to 32, OpenVINO 2026.4 multiplies probabilities and
    values wrongly in bfloat16 (4 dB are left). The built-in artist is such a model: 32 tokens, heads of 32.
    """

    def __init__(self, ops: Ops[T], scales: AttentionScales, names: Names) -> None:
        super().__init__(ops)
        self._scales = scales
        self._names = names
        self._makers: Makers[T] = Makers()

    def linear(self, x: T, weight: Weight, bias: Tensor | None) -> T:
        out = super().linear(x, weight, bias)
        stored = weight.stored if isinstance(weight, Int8Weight) else weight
        self._makers.note(out, self._names.get(stored, stored.name))
        return out

    def attention(self, query: T, key: T, value: T, heads: int, causal: bool) -> T:
        scale = self._scales.get(self._makers.of(query) or "")
        keys, size = self.ops.shape(key)[1], self.ops.shape(key)[2] // heads
        if scale is not None and keys != size:
            query = self.ops.fake_quantize(query, scale.query.scale, scale.query.zero_point)
            key = self.ops.fake_quantize(key, scale.key.scale, scale.key.zero_point)
        return super().attention(query, key, value, heads, causal)


def with_int8_attention(network: Network, scales: AttentionScales) -> Network:
    """`network` with queries and keys in eight bits, wherever there are scales for them."""

    def run(ops: Ops[Any], weights: Weights, inputs: Mapping[str, Any]) -> Any:
        return network.run(Int8Attention(ops, scales, layer_names(weights)), weights, inputs)

    return replace(network, name=f"{network.name} int8 queries", run=run)
