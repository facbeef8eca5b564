"""The PyTorch interpreter of `Ops`: every operation computed at once, on the device the weights lie on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from nutshell.errors import Shape
from nutshell.networks.ops import UNIT_EPS, Int8Weight, Match, Padding, Weight, others
from nutshell.weights import Tensor

Value = Any  # A torch.Tensor; torch is not type-checked here.


class TorchOps:
    """`Ops[torch.Tensor]`. Stored tensors go to the device once and stay until `free`.

    In half precision the norms are computed in float32: their sums of squares overflow a float16.
    """

    def __init__(self, device: str, precision: str) -> None:
        self.device = torch.device(device)
        self.dtype = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[precision]
        # The tensor is kept beside its copy, so that the id of its bytes cannot become another's.
        self._loaded: dict[tuple[int, int, str, Shape, bool, Any], tuple[Tensor, Value]] = {}

    def free(self) -> None:
        """Forget the loaded weights."""
        self._loaded.clear()

    def shape(self, x: Value) -> Shape:
        return tuple(x.shape)

    # -- with stored weights ------------------------------------------------------------------------
    def conv2d(self, x: Value, weight: Weight, bias: Tensor | None, stride: int, padding: Padding) -> Value:
        top, left, bottom, right = padding
        if (top, left) != (bottom, right):
            x, top, left = F.pad(x, (left, right, top, bottom)), 0, 0
        return F.conv2d(x, self._weight(weight), self._optional(bias), stride, (top, left))

    def linear(self, x: Value, weight: Weight, bias: Tensor | None) -> Value:
        return F.linear(x, self._weight(weight), self._optional(bias))

    def parameter(self, tensor: Tensor) -> Value:
        return self._weight(tensor)

    def group_norm(self, x: Value, weight: Tensor, bias: Tensor, groups: int, eps: float) -> Value:
        return F.group_norm(x.float(), groups, self._float(weight), self._float(bias), eps).to(self.dtype)

    def layer_norm(self, x: Value, weight: Tensor, bias: Tensor, eps: float) -> Value:
        return F.layer_norm(x.float(), x.shape[-1:], self._float(weight), self._float(bias), eps).to(self.dtype)

    # -- precision ----------------------------------------------------------------------------------
    def fake_quantize(self, x: Value, scale: float, zero_point: int) -> Value:
        # Not torch.fake_quantize_per_tensor_affine: it multiplies by 1 / scale, and some devices lack it.
        return (torch.round(x.float() / scale).clamp(-zero_point, 255 - zero_point) * scale).to(self.dtype)

    # -- attention ----------------------------------------------------------------------------------
    def attention(self, query: Value, key: Value, value: Value, heads: int, causal: bool) -> Value:
        q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (query, key, value))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return mixed.transpose(1, 2).flatten(2)

    # -- element by element -------------------------------------------------------------------------
    def silu(self, x: Value) -> Value:
        return F.silu(x)

    def gelu(self, x: Value) -> Value:
        return F.gelu(x)

    def quick_gelu(self, x: Value) -> Value:
        return x * torch.sigmoid(1.702 * x)

    def relu(self, x: Value) -> Value:
        return F.relu(x)

    def tanh(self, x: Value) -> Value:
        return torch.tanh(x)

    def add(self, a: Value, b: Value) -> Value:
        return a + b

    def multiply(self, a: Value, b: Value) -> Value:
        return a * b

    def affine(self, x: Value, scale: float, shift: float = 0.0) -> Value:
        return x * scale + shift

    # -- shape --------------------------------------------------------------------------------------
    def reshape(self, x: Value, shape: Shape) -> Value:
        return x.reshape(shape)

    def transpose(self, x: Value, axes: Sequence[int]) -> Value:
        return x.permute(tuple(axes))

    def concat(self, parts: Sequence[Value], axis: int) -> Value:
        return torch.cat(list(parts), axis)

    def slice(self, x: Value, axis: int, start: int, stop: int) -> Value:
        return x.narrow(axis, start, stop - start)

    def upsample(self, x: Value, height: int, width: int) -> Value:
        old_height, old_width = x.shape[2:]
        if height % old_height == 0 and width % old_width == 0:
            return F.interpolate(x, size=(height, width), mode="nearest")
        # interpolate multiplies by a float32 ratio, which may miss a source where the ratio is not whole.
        rows = torch.arange(height, device=x.device) * old_height // height
        columns = torch.arange(width, device=x.device) * old_width // width
        return x.index_select(2, rows).index_select(3, columns)

    # -- rows that are chosen by what they hold -------------------------------------------------------
    def match(self, x: Value, targets: Sequence[int], count: int) -> Match[Value]:
        batch, n, _ = x.shape
        first = torch.tensor(list(targets), device=x.device)
        sources = torch.tensor(others(n, targets), device=x.device)
        unit = F.normalize(x.float(), dim=-1, eps=UNIT_EPS).to(x.dtype)
        best, nearest = (unit[:, sources] @ unit[:, first].mT).max(-1)
        order = best.sort(dim=-1, descending=True, stable=True).indices
        into = nearest.gather(-1, order[:, :count])
        places = sources[order]
        kept, merged = torch.cat([first.expand(batch, -1), places[:, count:]], 1), places[:, :count]
        back = torch.zeros((batch, n), dtype=torch.int64, device=x.device)
        stay = torch.arange(n - count, device=x.device).expand(batch, -1)
        back = back.scatter(1, kept, stay).scatter(1, merged, into)
        return Match(kept, merged, into, back)

    def take_rows(self, x: Value, places: Value) -> Value:
        return x.gather(1, places[..., None].expand(-1, -1, x.shape[-1]))

    def mean_rows(self, x: Value, places: Value, rows: Value) -> Value:
        index = places[..., None].expand(-1, -1, x.shape[-1])
        # In float32: many rows may come together in one.
        return x.float().scatter_reduce(1, index, rows.float(), "mean", include_self=True).to(x.dtype)

    # -- weights ------------------------------------------------------------------------------------
    def _weight(self, tensor: Weight) -> Value:
        return self._load(tensor, self.dtype)

    def _optional(self, tensor: Tensor | None) -> Value:
        return None if tensor is None else self._weight(tensor)

    def _float(self, tensor: Tensor) -> Value:
        return self._load(tensor, torch.float32)

    def _load(self, weight: Weight, dtype: Any) -> Value:
        int8 = isinstance(weight, Int8Weight)
        tensor = weight.stored if isinstance(weight, Int8Weight) else weight
        key = (id(tensor.data), tensor.offset, tensor.dtype, tensor.shape, int8, dtype)
        if key not in self._loaded:
            # Eight bits are only imitated here: the values that they stand for.
            values = torch.from_numpy(weight.f32()) if int8 else _stored(tensor.plain())
            self._loaded[key] = (tensor, values.to(self.device, dtype))
        return self._loaded[key][1]


class ShapeOps(TorchOps):
    """Runs a network over bare shapes (PyTorch's meta device) and loads each weight of `real` on the way."""

    def __init__(self, real: TorchOps, precision: str) -> None:
        super().__init__("meta", precision)
        self._real = real

    def _load(self, weight: Weight, dtype: Any) -> Value:
        return torch.empty_like(self._real._load(weight, dtype), device="meta")


def _stored(tensor: Tensor) -> Value:
    """The mapped bytes as a tensor on the CPU, without a copy where they are aligned."""
    array = tensor.array()
    if not array.flags.aligned:
        array = array.copy()
    with warnings.catch_warnings():
        # Over read-only bytes PyTorch warns of writes; nothing here writes to a weight.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        if tensor.dtype == "BF16":
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(array)
