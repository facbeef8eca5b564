"""One table of small networks, each around one operation, for every interpreter to run.

A new operation belongs here: `test_op_table` fails while it has no case.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nutshell.errors import Shape
from nutshell.networks.ops import Input, Int8Weight, Network, Ops
from nutshell.quantization.scales import SAFE_WEIGHT, int8_rows
from nutshell.weights import Tensor, Weights

Array = npt.NDArray[Any]
Run = Callable[[Ops[Any], Mapping[str, Tensor], Mapping[str, Any]], Any]

DTYPES = ("F32", "F16", "BF16")


@dataclass(frozen=True)
class Case:
    """`run(ops, stored, inputs)` over random inputs and stored tensors of the given shapes.

    spread and shift: of the inputs, which are normal numbers times one plus the other.
    """

    op: str
    label: str
    inputs: Mapping[str, Shape]
    run: Run
    stored: Mapping[str, Shape] = field(default_factory=dict)
    spread: float = 1.0
    shift: float = 0.0

    @property
    def id(self) -> str:
        return f"{self.op}: {self.label}"

    def network(self) -> Network:
        """The case as a network that takes each stored tensor by name and shape."""

        def run(ops: Ops[Any], weights: Weights, inputs: Mapping[str, Any]) -> Any:
            return self.run(ops, {name: weights.take(name, shape) for name, shape in self.stored.items()}, inputs)

        given = {name: Input(shape) for name, shape in self.inputs.items()}
        return Network(part=self.op, name=self.id, inputs=given, run=run)

    def weights(self, dtype: str = "F32") -> Weights:
        """Random stored tensors, kept as `dtype`."""
        random = np.random.default_rng(zlib.crc32(self.id.encode()))
        return Weights({name: stored(name, random.standard_normal(s), dtype) for name, s in self.stored.items()})

    def values(self) -> dict[str, Array]:
        """Random inputs, the same at every call."""
        random = np.random.default_rng(zlib.crc32(self.id.encode()) + 1)
        return {
            name: (random.standard_normal(shape) * self.spread + self.shift).astype(np.float32)
            for name, shape in self.inputs.items()
        }


def stored(name: str, values: Array, dtype: str) -> Tensor:
    """Values as a stored tensor of `dtype` (bfloat16 by cutting, which is as good as any other value)."""
    single = np.ascontiguousarray(values, np.float32)
    if dtype == "BF16":
        upper = (single.view(np.uint32) >> 16).astype(np.int16)
        return replace(Tensor.of(name, upper), dtype="BF16")
    return Tensor.of(name, single.astype({"F32": np.float32, "F16": np.float16}[dtype]))


# Of the quantized inputs below: fine enough for normal numbers, and no round binary fraction.
_STEP = 0.0237

# Weights that every processor multiplies without saturating.
_safe_rows = partial(int8_rows, largest=SAFE_WEIGHT)


def _conv(
    label: str,
    x: Shape,
    out: int,
    kernel: int = 3,
    stride: int = 1,
    padding: tuple[int, int, int, int] = (1, 1, 1, 1),
    bias: bool = True,
) -> Case:
    shapes: dict[str, Shape] = {"weight": (out, x[1], kernel, kernel)}
    if bias:
        shapes["bias"] = (out,)
    return Case(
        "conv2d",
        label,
        {"x": x},
        lambda ops, w, i: ops.conv2d(i["x"], w["weight"], w.get("bias"), stride, padding),
        shapes,
    )


def _linear(label: str, x: Shape, out: int, bias: bool = True) -> Case:
    shapes: dict[str, Shape] = {"weight": (out, x[-1])}
    if bias:
        shapes["bias"] = (out,)
    return Case("linear", label, {"x": x}, lambda ops, w, i: ops.linear(i["x"], w["weight"], w.get("bias")), shapes)


def _quantized(
    op: str, label: str, x: Shape, weight: Shape, *settings: Any, bias: bool = True, zero_point: int | None = 120
) -> Case:
    """A layer with an int8 weight, behind a quantized input where there is a zero point."""

    def run(ops: Ops[Any], w: Mapping[str, Tensor], i: Mapping[str, Any]) -> Any:
        given = i["x"] if zero_point is None else ops.fake_quantize(i["x"], _STEP, zero_point)
        return getattr(ops, op)(given, Int8Weight(w["weight"], _safe_rows), w.get("bias"), *settings)

    return Case(op, f"int8, {label}", {"x": x}, run, {"weight": weight, **({"bias": weight[:1]} if bias else {})})


def _norm(
    op: str, label: str, x: Shape, channels: int, *settings: Any, spread: float = 1.0, shift: float = 0.0
) -> Case:
    return Case(
        op,
        label,
        {"x": x},
        lambda ops, w, i: getattr(ops, op)(i["x"], w["weight"], w["bias"], *settings),
        {"weight": (channels,), "bias": (channels,)},
        spread,
        shift,
    )


def _attention(label: str, batch: int, n: int, m: int, width: int, heads: int, causal: bool = False) -> Case:
    return Case(
        "attention",
        label,
        {"query": (batch, n, width), "key": (batch, m, width), "value": (batch, m, width)},
        lambda ops, w, i: ops.attention(i["query"], i["key"], i["value"], heads, causal),
    )


def _pointwise(op: str) -> list[Case]:
    def run(ops: Ops[Any], w: Mapping[str, Tensor], i: Mapping[str, Any]) -> Any:
        return getattr(ops, op)(i["x"])

    return [
        Case(op, "odd shape", {"x": (2, 3, 5, 7)}, run),
        Case(op, "far from zero", {"x": (3, 33)}, run, spread=30.0),
    ]


def _pair(op: str, label: str, a: Shape, b: Shape) -> Case:
    return Case(op, label, {"a": a, "b": b}, lambda ops, w, i: getattr(ops, op)(i["a"], i["b"]))


def _one(op: str, label: str, x: Shape, *settings: Any) -> Case:
    return Case(op, label, {"x": x}, lambda ops, w, i: getattr(ops, op)(i["x"], *settings))


def _concat(label: str, axis: int, *shapes: Shape) -> Case:
    inputs = {f"part{n}": shape for n, shape in enumerate(shapes)}
    return Case("concat", label, inputs, lambda ops, w, i: ops.concat([i[name] for name in inputs], axis))


def _rows(op: str, label: str, x: Shape, targets: tuple[int, ...], count: int) -> Case:
    """Through `match`, what each of the three makes of it: "match" shows all of its values, as rows."""

    def run(ops: Ops[Any], w: Mapping[str, Tensor], i: Mapping[str, Any]) -> Any:
        found = ops.match(i["x"], targets, count)
        if op == "match":
            values = (found.kept, found.merged, found.into, found.back)
            return ops.concat([ops.take_rows(i["x"], places) for places in values], 1)
        kept = ops.take_rows(i["x"], found.kept)
        if op == "mean_rows":
            kept = ops.mean_rows(kept, found.into, ops.take_rows(i["x"], found.merged))
        return ops.take_rows(kept, found.back)

    return Case(op, label, {"x": x}, run)


_BROADCASTS: dict[str, tuple[Shape, Shape]] = {
    "same shape": ((2, 3, 4), (2, 3, 4)),
    "one value per channel": ((2, 3, 4, 5), (2, 3, 1, 1)),
    "both stretched": ((2, 1, 5), (1, 3, 5)),
    "fewer axes": ((2, 3, 4), (4,)),
    "a single value first": ((1,), (3, 4)),
}

CASES: list[Case] = [
    _conv("3x3 on odd sides", (1, 5, 7, 9), 6),
    _conv("3x3, batch 2, no bias", (2, 4, 6, 5), 3, bias=False),
    _conv("1x1", (1, 8, 5, 3), 4, kernel=1, padding=(0, 0, 0, 0)),
    _conv("5x5 without padding", (1, 3, 9, 8), 4, kernel=5, padding=(0, 0, 0, 0)),
    _conv("stride 2", (2, 4, 9, 7), 5, stride=2),
    _conv("stride 2, padded below and right only", (1, 4, 8, 7), 5, stride=2, padding=(0, 0, 1, 1)),
    _conv("four different paddings", (1, 2, 5, 5), 3, padding=(1, 0, 2, 3)),
    _conv("channels in blocks of 16", (1, 32, 8, 8), 48),
    Case(
        "conv2d",
        "a linear's weight as 1x1",
        {"x": (1, 6, 5, 4)},
        lambda ops, w, i: ops.conv2d(i["x"], w["weight"].reshape(3, 6, 1, 1), None, 1, (0, 0, 0, 0)),
        {"weight": (3, 6)},
    ),
    _linear("one row", (1, 6), 5),
    _linear("sequences", (2, 7, 12), 5),
    _linear("sequences without bias", (2, 7, 12), 9, bias=False),
    _linear("four axes", (2, 3, 5, 4), 6),
    _quantized("conv2d", "3x3", (1, 16, 7, 9), (24, 16, 3, 3), 1, (1, 1, 1, 1)),
    _quantized("conv2d", "stride 2, padded below and right only", (1, 4, 8, 7), (5, 4, 3, 3), 2, (0, 0, 1, 1)),
    _quantized("conv2d", "1x1, batch 2, no bias", (2, 8, 5, 3), (4, 8, 1, 1), 1, (0, 0, 0, 0), bias=False),
    _quantized("conv2d", "nothing below zero", (1, 16, 6, 6), (16, 16, 3, 3), 1, (1, 1, 1, 1), zero_point=0),
    _quantized("conv2d", "weights only", (1, 16, 6, 6), (8, 16, 3, 3), 1, (1, 1, 1, 1), zero_point=None),
    _quantized("linear", "sequences", (2, 7, 32), (24, 32)),
    _quantized("linear", "one row, no bias", (1, 12), (5, 12), bias=False),
    _quantized("linear", "nothing below zero", (1, 9, 16), (16, 16), zero_point=0),
    _quantized("linear", "weights only", (1, 9, 16), (24, 16), zero_point=None),
    Case(
        "linear",
        "rows of a fused weight, twice",
        {"x": (1, 5, 6)},
        lambda ops, w, i: ops.linear(ops.linear(i["x"], w["weight"].rows(3, 9), None), w["weight"].rows(0, 4), None),
        {"weight": (12, 6)},
    ),
    Case(
        "linear",
        "one weight under two shapes",
        {"x": (1, 6, 2, 2)},
        lambda ops, w, i: ops.linear(
            ops.transpose(ops.conv2d(i["x"], w["weight"].reshape(6, 6, 1, 1), None, 1, (0, 0, 0, 0)), (0, 2, 3, 1)),
            w["weight"],
            None,
        ),
        {"weight": (6, 6)},
    ),
    Case(
        "parameter",
        "added",
        {"x": (2, 7, 5)},
        lambda ops, w, i: ops.add(i["x"], ops.parameter(w["table"])),
        {"table": (7, 5)},
    ),
    Case("parameter", "alone", {"x": (1, 1)}, lambda ops, w, i: ops.parameter(w["table"]), {"table": (3, 5)}),
    _norm("group_norm", "pictures", (2, 6, 5, 7), 6, 3, 1e-5),
    _norm("group_norm", "one group", (1, 4, 3, 3), 4, 1, 1e-6),
    _norm("group_norm", "as many groups as channels", (2, 8, 4, 3), 8, 8, 1e-6),
    _norm("group_norm", "sequences, off centre", (2, 8, 11), 8, 4, 1e-5, spread=3.0, shift=5.0),
    _norm("group_norm", "small numbers, where eps counts", (1, 4, 6, 6), 4, 2, 1e-3, spread=0.01),
    _norm("layer_norm", "sequences", (2, 5, 12), 12, 1e-5),
    _norm("layer_norm", "rows, off centre", (3, 33), 33, 1e-6, spread=3.0, shift=5.0),
    _norm("layer_norm", "small numbers, where eps counts", (1, 4, 8), 8, 1e-3, spread=0.01),
    _one("fake_quantize", "within its range", (2, 3, 5, 7), 0.0371, 117),
    _one("fake_quantize", "clipped at both ends", (3, 65), 0.00713, 100),
    _one("fake_quantize", "nothing below zero", (1, 4, 6, 6), 0.0073, 0),
    _one("fake_quantize", "nothing above zero", (1, 4, 6, 6), 0.0073, 255),
    _attention("to itself", 2, 9, 9, 12, 3),
    _attention("one head", 1, 16, 16, 8, 1),
    _attention("heads of odd width", 1, 6, 6, 15, 3),
    _attention("across, fewer keys", 2, 11, 4, 16, 2),
    _attention("across, more keys", 2, 3, 13, 16, 2),
    _attention("a single key", 1, 5, 1, 8, 2),
    _attention("long", 1, 300, 77, 40, 1),
    _attention("causal", 2, 9, 9, 12, 3, causal=True),
    _attention("causal, fewer keys", 1, 7, 4, 8, 2, causal=True),
    _attention("causal, more keys", 1, 4, 7, 8, 2, causal=True),
    *(case for op in ("silu", "gelu", "quick_gelu", "relu", "tanh") for case in _pointwise(op)),
    *(_pair(op, label, a, b) for op in ("add", "multiply") for label, (a, b) in _BROADCASTS.items()),
    _one("affine", "scale only", (2, 5), -0.5),
    _one("affine", "shift only", (2, 3, 5), 1.0, 0.25),
    _one("affine", "both", (1, 3, 4, 5), 3.0, -1.5),
    _one("affine", "neither", (2, 5), 1.0),
    _one("reshape", "joined", (2, 3, 4, 5), (2, 3, 20)),
    _one("reshape", "split", (2, 12), (2, 1, 3, 4)),
    _one("reshape", "unchanged", (2, 12), (2, 12)),
    _one("transpose", "pixels last", (2, 3, 4, 5), (0, 2, 3, 1)),
    _one("transpose", "three axes", (2, 7, 5), (0, 2, 1)),
    Case(
        "transpose",
        "then reshaped",
        {"x": (2, 6, 4, 5)},
        lambda ops, w, i: ops.reshape(ops.transpose(i["x"], (0, 2, 3, 1)), (2, 20, 6)),
    ),
    _concat("channels", 1, (2, 3, 4, 4), (2, 5, 4, 4)),
    _concat("three parts on the last axis", 2, (1, 4, 3), (1, 4, 1), (1, 4, 6)),
    _concat("batches", 0, (1, 3, 2), (2, 3, 2)),
    Case("concat", "a value with itself", {"x": (1, 3, 4)}, lambda ops, w, i: ops.concat([i["x"], i["x"]], 1)),
    _one("slice", "the middle", (2, 7, 5), 1, 2, 6),
    _one("slice", "from the start", (2, 7, 5), 2, 0, 2),
    _one("slice", "to the end of the last axis", (2, 3, 9), 2, 4, 9),
    _one("slice", "one channel", (1, 4, 3, 3), 1, 3, 4),
    _one("upsample", "doubled", (2, 3, 4, 5), 8, 10),
    _one("upsample", "threefold and twofold", (1, 2, 3, 5), 9, 10),
    _one("upsample", "to odd sides", (1, 2, 4, 5), 7, 9),
    _one("upsample", "one side whole, one not", (1, 2, 4, 5), 8, 7),
    # Sizes at which a float32 ratio picks a wrong source.
    _one("upsample", "14x25 to 16x30", (1, 1, 14, 25), 16, 30),
    _one("upsample", "unchanged", (1, 2, 3, 3), 3, 3),
    *(
        _rows(op, label, *shape)
        for op in ("match", "take_rows", "mean_rows")
        for label, shape in {
            "half of a batch of two": ((2, 16, 5), (0, 2, 8, 10), 8),
            "as many as there are": ((1, 12, 7), (0, 2, 4), 9),
            "a single one": ((1, 9, 4), (0,), 1),
        }.items()
    ),
]

# Storage matters only to what reads stored tensors.
STORED_CASES = [(case, dtype) for case in CASES for dtype in (DTYPES if case.stored else DTYPES[:1])]


def case_ids(pairs: list[tuple[Case, str]]) -> list[str]:
    return [f"{case.id} {dtype}" if case.stored else case.id for case, dtype in pairs]
