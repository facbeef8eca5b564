"""`Ops` in double precision over torch.nn.functional: what the NumPy reference itself is held against.

Written apart from `nutshell.engines.torch_ops`, and for plainness: masks and loops spelled out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from nutshell.errors import Shape
from nutshell.networks.ops import Int8Weight, Match, Padding, Weight
from nutshell.weights import Tensor


def values(tensor: Weight) -> torch.Tensor:
    """A stored tensor's values, read from its bytes by PyTorch's own dtypes."""
    if isinstance(tensor, Int8Weight):
        rows, scales = tensor.quantize(tensor.stored)
        return torch.stack([torch.from_numpy(row).double() * float(s) for row, s in zip(rows, scales, strict=True)])
    kind = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}[tensor.dtype]
    content = bytearray(memoryview(tensor.data)[tensor.offset : tensor.offset + tensor.nbytes])
    return torch.frombuffer(content, dtype=kind).reshape(tensor.shape).double()


class ReferenceOps:
    def shape(self, x: torch.Tensor) -> Shape:
        return tuple(x.shape)

    def conv2d(
        self, x: torch.Tensor, weight: Weight, bias: Tensor | None, stride: int, padding: Padding
    ) -> torch.Tensor:
        top, left, bottom, right = padding
        padded = F.pad(x, (left, right, top, bottom))
        return F.conv2d(padded, values(weight), None if bias is None else values(bias), stride)

    def linear(self, x: torch.Tensor, weight: Weight, bias: Tensor | None) -> torch.Tensor:
        return F.linear(x, values(weight), None if bias is None else values(bias))

    def parameter(self, tensor: Tensor) -> torch.Tensor:
        return values(tensor)

    def group_norm(self, x: torch.Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float) -> torch.Tensor:
        return F.group_norm(x, groups, values(weight), values(bias), eps)

    def layer_norm(self, x: torch.Tensor, weight: Tensor, bias: Tensor, eps: float) -> torch.Tensor:
        return F.layer_norm(x, x.shape[-1:], values(weight), values(bias), eps)

    def fake_quantize(self, x: torch.Tensor, scale: float, zero_point: int) -> torch.Tensor:
        stored = (torch.round(x / float(torch.tensor(scale))) + zero_point).clamp(0, 255)
        return (stored - zero_point) * scale

    def attention(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, heads: int, causal: bool
    ) -> torch.Tensor:
        parts = []
        for q, k, v in zip(*(part.chunk(heads, dim=-1) for part in (query, key, value)), strict=True):
            scores = q @ k.mT * q.shape[-1] ** -0.5
            if causal:
                for row in range(scores.shape[-2]):
                    scores[..., row, row + 1 :] = -torch.inf
            parts.append(torch.softmax(scores, -1) @ v)
        return torch.cat(parts, -1)

    def silu(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(x)

    def gelu(self, x: torch.Tensor) -> torch.Tensor:
        return F.gelu(x)

    def quick_gelu(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(1.702 * x)

    def relu(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x)

    def tanh(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x)

    def add(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a + b

    def multiply(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a * b

    def affine(self, x: torch.Tensor, scale: float, shift: float = 0.0) -> torch.Tensor:
        return scale * x + shift

    def reshape(self, x: torch.Tensor, shape: Shape) -> torch.Tensor:
        return x.reshape(shape)

    def transpose(self, x: torch.Tensor, axes: Sequence[int]) -> torch.Tensor:
        return x.permute(tuple(axes))

    def concat(self, parts: Sequence[torch.Tensor], axis: int) -> torch.Tensor:
        return torch.cat(tuple(parts), axis)

    def slice(self, x: torch.Tensor, axis: int, start: int, stop: int) -> torch.Tensor:
        return torch.stack(x.unbind(axis)[start:stop], axis)

    def upsample(self, x: torch.Tensor, height: int, width: int) -> torch.Tensor:
        rows = torch.stack([x[:, :, row * x.shape[2] // height] for row in range(height)], 2)
        return torch.stack([rows[..., column * x.shape[3] // width] for column in range(width)], 3)

    def match(self, x: torch.Tensor, targets: Sequence[int], count: int) -> Match[torch.Tensor]:
        found: list[list[list[int]]] = []
        for rows in x:
            near = {}
            for place in range(len(rows)):
                if place not in targets:
                    likeness = [float(F.cosine_similarity(rows[place], rows[target], dim=0)) for target in targets]
                    near[place] = (max(likeness), likeness.index(max(likeness)))
            by_likeness = sorted(near, key=lambda place: -near[place][0])
            merged, left = by_likeness[:count], by_likeness[count:]
            kept, into = [*targets, *left], [near[place][1] for place in merged]
            back = [into[merged.index(p)] if p in merged else kept.index(p) for p in range(len(rows))]
            found.append([kept, merged, into, back])
        return Match(*(torch.tensor(column) for column in zip(*found, strict=True)))

    def take_rows(self, x: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        return torch.stack([rows[chosen] for rows, chosen in zip(x, places, strict=True)])

    def mean_rows(self, x: torch.Tensor, places: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        out = x.clone()
        for one in range(len(x)):
            for place in range(x.shape[1]):
                out[one, place] = torch.cat([x[one, place][None], rows[one][places[one] == place]]).mean(0)
        return out


def run_reference(case: Any, dtype: str) -> Any:
    """The case's result in double precision, as a NumPy array."""
    inputs = {name: torch.from_numpy(value).double() for name, value in case.values().items()}
    return case.network().run(ReferenceOps(), case.weights(dtype), inputs).numpy()
