"""The ONNX interpreter of `Ops`: each operation becomes graph nodes, weights stay where they lie.

Contrib operators (`com.microsoft`) stand where they beat the standard ones on a CPU: fused attention
needs no (n, m) score matrix, QuickGelu is SiLU in one pass, their Gelu takes half the time.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from nutshell.errors import Shape
from nutshell.networks.ops import UNIT_EPS, Input, Int8Weight, Match, Padding, Weight, others
from nutshell.weights import Tensor

Array = npt.NDArray[Any]
Value = Any  # An onnx_ir.Value; onnx_ir is not type-checked here.

CONTRIB = "com.microsoft"
_OPSETS = {"": 21, CONTRIB: 1}
_IR_VERSION = 10  # The one that opset 21 came with.
_STORED = {
    "F64": ir.DataType.DOUBLE,
    "F32": ir.DataType.FLOAT,
    "F16": ir.DataType.FLOAT16,
    "BF16": ir.DataType.BFLOAT16,
    "I64": ir.DataType.INT64,
    "I32": ir.DataType.INT32,
    "I16": ir.DataType.INT16,
    "I8": ir.DataType.INT8,
    "U8": ir.DataType.UINT8,
    "BOOL": ir.DataType.BOOL,
}


class OnnxOps:
    """`Ops[onnx_ir.Value]`: gathers the nodes, small constants and stored tensors of one graph.

    `files`: the bytes that stored tensors lie in, by the name under which the graph refers to them as
    external data. The session is handed these buffers, which are usually whole mapped files.
    `arrays`: the same tensor by tensor, for versions that cannot borrow files: initializer name ->
    (array over the bytes, ONNX element type).
    """

    # A map of weights that were made for the graph, of interpreters that make any.
    made: mmap.mmap | None = None

    def __init__(self) -> None:
        self.files: dict[str, memoryview] = {}
        self.arrays: dict[str, tuple[Array, int]] = {}
        self._locations: dict[int, str] = {}
        self._nodes: list[Any] = []
        self._constants: dict[tuple[str, Shape, bytes], Value] = {}
        self._weights: dict[tuple[int, int, str, Shape], Value] = {}
        self._floats: dict[Value, Value] = {}
        # A value in eight bits and back -> the eight bits, their scale and zero point.
        self._int8: dict[Value, tuple[Value, Value, Value]] = {}
        # Buffers are told apart by their id, so those made here must live as long as the graph is built.
        self._made: list[Tensor] = []

    def input(self, name: str, given: Input) -> Value:
        """A named input of static shape."""
        return new_value(given.shape, ir.DataType.INT64 if given.integer else ir.DataType.FLOAT, name)

    def model(self, name: str, inputs: Mapping[str, Value], outputs: Sequence[Value]) -> bytes:
        """The finished graph, serialized. It is small: no weight is in it."""
        # A graph's output must be computed in it; a network may hand back an input or a stored tensor.
        results = [self._node("Identity", [output], self.shape(output)) for output in outputs]
        for place, result in enumerate(results):
            result.name = f"output.{place}"
        graph = ir.Graph(
            list(inputs.values()),
            results,
            nodes=self._nodes,
            initializers=[*self._constants.values(), *self._weights.values()],
            opset_imports=_OPSETS,
            name=name,
        )
        proto = ir.to_proto(ir.Model(graph, ir_version=_IR_VERSION, producer_name="nutshell"))
        return bytes(proto.SerializeToString())

    def shape(self, x: Value) -> Shape:
        return tuple(x.shape)

    # -- with stored weights ------------------------------------------------------------------------
    def conv2d(self, x: Value, weight: Weight, bias: Tensor | None, stride: int, padding: Padding) -> Value:
        batch, _, height, width = self.shape(x)
        out_channels, _, *kernel = weight.shape
        top, left, bottom, right = padding
        out_height = (height + top + bottom - kernel[0]) // stride + 1
        out_width = (width + left + right - kernel[1]) // stride + 1
        return self._node(
            "Conv",
            [x, *self._with_bias(weight, bias)],
            (batch, out_channels, out_height, out_width),
            strides=[stride, stride],
            pads=list(padding),
            kernel_shape=kernel,
        )

    def linear(self, x: Value, weight: Weight, bias: Tensor | None) -> Value:
        if isinstance(weight, Int8Weight) and x in self._int8:
            return self._linear_int8(x, weight, bias)
        # Gemm with transB reads the stored layout as it is; Transpose + MatMul would be folded into copies.
        shape = self.shape(x)
        rows = math.prod(shape[:-1])
        flat = self.reshape(x, (rows, shape[-1]))
        out = self._node("Gemm", [flat, *self._with_bias(weight, bias)], (rows, weight.shape[0]), transB=1)
        return self.reshape(out, (*shape[:-1], weight.shape[0]))

    def parameter(self, tensor: Tensor) -> Value:
        return self._float(tensor)

    def group_norm(self, x: Value, weight: Tensor, bias: Tensor, groups: int, eps: float) -> Value:
        # Groups as instances, then the scale and shift per channel as a batch norm of known statistics
        # (mean 0, variance 1): 0.6 ms at 320x64x64, against 1.1 with Mul + Add for the second half and
        # 1.8 for GroupNormalization, which ORT expands. `ruler` keeps eps at what CUDA allows at least.
        shape, ruler = self.shape(x), 1e-5
        grouped = self.reshape(x, (shape[0], groups, math.prod(shape[1:]) // groups))
        ones, zeros = np.ones(groups, np.float32), np.zeros(groups, np.float32)
        normal = self._node(
            "InstanceNormalization",
            [grouped, self._constant(ones), self._constant(zeros)],
            self.shape(grouped),
            epsilon=float(eps),
        )
        mean, variance = np.zeros(shape[1], np.float32), np.full(shape[1], 1 - ruler, np.float32)
        return self._node(
            "BatchNormalization",
            [
                self.reshape(normal, shape),
                self._float(weight),
                self._float(bias),
                self._constant(mean),
                self._constant(variance),
            ],
            shape,
            epsilon=ruler,
        )

    def layer_norm(self, x: Value, weight: Tensor, bias: Tensor, eps: float) -> Value:
        values = [x, self._float(weight), self._float(bias)]
        return self._node("LayerNormalization", values, self.shape(x), epsilon=float(eps), axis=-1)

    # -- precision ----------------------------------------------------------------------------------
    def fake_quantize(self, x: Value, scale: float, zero_point: int) -> Value:
        quantizer = [self._constant(np.float32(scale)), self._constant(np.uint8(zero_point))]
        stored = self._node("QuantizeLinear", [x, *quantizer], self.shape(x), kind=ir.DataType.UINT8)
        out = self._node("DequantizeLinear", [stored, *quantizer], self.shape(x))
        self._int8[out] = (stored, quantizer[0], quantizer[1])
        return out

    # -- attention ----------------------------------------------------------------------------------
    def attention(self, query: Value, key: Value, value: Value, heads: int, causal: bool) -> Value:
        shape, length = self.shape(query), self.shape(query)[1]
        if causal and self.shape(key)[1] > length:
            # Keys after the last query are never seen; ORT would align the mask to them.
            key, value = (self.slice(part, 1, 0, length) for part in (key, value))
        attributes = {"num_heads": heads, "unidirectional": int(causal)}
        return self._node("MultiHeadAttention", [query, key, value], shape, CONTRIB, **attributes)

    # -- element by element -------------------------------------------------------------------------
    def silu(self, x: Value) -> Value:
        return self._node("QuickGelu", [x], self.shape(x), CONTRIB, alpha=1.0)

    def gelu(self, x: Value) -> Value:
        return self._node("Gelu", [x], self.shape(x), CONTRIB)

    def quick_gelu(self, x: Value) -> Value:
        return self._node("QuickGelu", [x], self.shape(x), CONTRIB, alpha=1.702)

    def relu(self, x: Value) -> Value:
        return self._node("Relu", [x], self.shape(x))

    def tanh(self, x: Value) -> Value:
        return self._node("Tanh", [x], self.shape(x))

    def add(self, a: Value, b: Value) -> Value:
        return self._node("Add", [a, b], np.broadcast_shapes(self.shape(a), self.shape(b)))

    def multiply(self, a: Value, b: Value) -> Value:
        return self._node("Mul", [a, b], np.broadcast_shapes(self.shape(a), self.shape(b)))

    def affine(self, x: Value, scale: float, shift: float = 0.0) -> Value:
        scaled = x if scale == 1.0 else self.multiply(x, self._constant(np.float32(scale)))
        return scaled if shift == 0.0 else self.add(scaled, self._constant(np.float32(shift)))

    # -- shape --------------------------------------------------------------------------------------
    def reshape(self, x: Value, shape: Shape) -> Value:
        if shape == self.shape(x):
            return x
        return self._node("Reshape", [x, self._integers(shape)], shape)

    def transpose(self, x: Value, axes: Sequence[int]) -> Value:
        shape = self.shape(x)
        return self._node("Transpose", [x], tuple(shape[axis] for axis in axes), perm=list(axes))

    def concat(self, parts: Sequence[Value], axis: int) -> Value:
        shape = list(self.shape(parts[0]))
        shape[axis] = sum(self.shape(part)[axis] for part in parts)
        return self._node("Concat", list(parts), tuple(shape), axis=axis)

    def slice(self, x: Value, axis: int, start: int, stop: int) -> Value:
        shape = list(self.shape(x))
        shape[axis] = stop - start
        bounds = [self._integers([number]) for number in (start, stop, axis)]
        return self._node("Slice", [x, *bounds], tuple(shape))

    def upsample(self, x: Value, height: int, width: int) -> Value:
        batch, channels, old_height, old_width = self.shape(x)
        # Resize divides by a float32 ratio, which picks the wrong source where the ratio is not whole
        # (14 -> 16 already): there the source rows or columns are listed instead.
        whole = tuple(new if new % old == 0 else old for new, old in ((height, old_height), (width, old_width)))
        if whole != (old_height, old_width):
            x = self._node(
                "Resize",
                [x, None, None, self._integers((batch, channels, *whole))],
                (batch, channels, *whole),
                mode="nearest",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            )
        for axis, new in ((2, height), (3, width)):
            shape = list(self.shape(x))
            old, shape[axis] = shape[axis], new
            if new != old:
                sources = self._integers([place * old // new for place in range(new)])
                x = self._node("Gather", [x, sources], tuple(shape), axis=axis)
        return x

    # -- rows that are chosen by what they hold -------------------------------------------------------
    def match(self, x: Value, targets: Sequence[int], count: int) -> Match[Value]:
        batch, n, width = self.shape(x)
        sources = others(n, targets)
        m, whole = len(sources), ir.DataType.INT64
        length = self._node("ReduceL2", [x, self._integers([2])], (batch, n, 1), keepdims=1)
        unit = self._node(
            "Div",
            [x, self._node("Max", [length, self._constant(np.float32(UNIT_EPS))], (batch, n, 1))],
            (batch, n, width),
        )
        rows = self._node("Gather", [unit, self._integers(sources)], (batch, m, width), axis=1)
        columns = self.transpose(
            self._node("Gather", [unit, self._integers(targets)], (batch, len(targets), width), axis=1), (0, 2, 1)
        )
        scores = self._node("MatMul", [rows, columns], (batch, m, len(targets)))
        height = self._node("ReduceMax", [scores, self._integers([2])], (batch, m), keepdims=0)
        nearest = self._node("ArgMax", [scores], (batch, m), kind=whole, axis=2, keepdims=0)
        _, order = self._pair("TopK", [height, self._integers([m])], (batch, m), axis=1)
        into = self._node("GatherElements", [nearest, self._part(order, 0, count)], (batch, count), kind=whole, axis=1)
        places = self._node("Gather", [self._integers(sources), order], (batch, m), kind=whole, axis=0)
        first = self._constant(np.tile(np.array(targets, np.int64), (batch, 1)))
        kept = self._node("Concat", [first, self._part(places, count, m)], (batch, n - count), kind=whole, axis=1)
        merged = self._part(places, 0, count)
        back = self._constant(np.zeros((batch, n), np.int64))
        stay = self._constant(np.tile(np.arange(n - count, dtype=np.int64), (batch, 1)))
        for where, what in ((kept, stay), (merged, into)):
            back = self._node("ScatterElements", [back, where, what], (batch, n), kind=whole, axis=1)
        return Match(kept, merged, into, back)

    def take_rows(self, x: Value, places: Value) -> Value:
        shape = (*self.shape(places), self.shape(x)[-1])
        # GatherND, which knows batches: Gather would take the same rows of each.
        return self._node("GatherND", [x, self._column(places)], shape, batch_dims=1)

    def mean_rows(self, x: Value, places: Value, rows: Value) -> Value:
        shape, given = self.shape(x), self.shape(rows)
        # ScatterElements, not ScatterND: ORT adds the latter's rows in parallel, and loses some that meet.
        column = self._column(places)
        where = self._node("Expand", [column, self._integers(given)], given, kind=ir.DataType.INT64)
        sums = self._node("ScatterElements", [x, where, rows], shape, axis=1, reduction="add")
        counts = [self._constant(np.ones((*sizes[:2], 1), np.float32)) for sizes in (shape, given)]
        count = self._node("ScatterElements", [counts[0], column, counts[1]], (*shape[:2], 1), axis=1, reduction="add")
        return self._node("Div", [sums, count], shape)

    def _column(self, places: Value) -> Value:
        shape = (*self.shape(places), 1)
        return self._node("Unsqueeze", [places, self._integers([2])], shape, kind=ir.DataType.INT64)

    def _part(self, places: Value, start: int, stop: int) -> Value:
        bounds = [self._integers([number]) for number in (start, stop, 1)]
        shape = (self.shape(places)[0], stop - start)
        return self._node("Slice", [places, *bounds], shape, kind=ir.DataType.INT64)

    def _pair(self, operator: str, inputs: Sequence[Value], shape: Shape, **attributes: Any) -> tuple[Value, Value]:
        """A node of two outputs: values, and their places."""
        outputs = [new_value(shape, ir.DataType.FLOAT), new_value(shape, ir.DataType.INT64)]
        self._nodes.append(ir.node(operator, inputs, attributes, outputs=outputs))
        return outputs[0], outputs[1]

    # -- building -----------------------------------------------------------------------------------
    def _node(
        self,
        operator: str,
        inputs: Sequence[Value],
        shape: Shape,
        domain: str = "",
        kind: Any = ir.DataType.FLOAT,
        **attributes: Any,
    ) -> Value:
        out = new_value(shape, kind)
        self._nodes.append(ir.node(operator, inputs, attributes, domain=domain, outputs=[out]))
        return out

    def _with_bias(self, weight: Weight, bias: Tensor | None) -> list[Value]:
        return [self._float(weight)] if bias is None else [self._float(weight), self._float(bias)]

    def _linear_int8(self, x: Value, weight: Int8Weight, bias: Tensor | None) -> Value:
        # The operator that ORT makes of a quantize/dequantize pair, MatMul and dequantized weights, five
        # times as fast as float32 Gemm with VNNI. Written out: ORT turns MatMul and a bias into Gemm first.
        stored, scale, zero_point = self._int8[x]
        values, scales = weight.read()
        columns = self._given(f"{weight.name}.int8", np.ascontiguousarray(values.T))
        inputs = [stored, columns, scale, self._given(f"{weight.name}.scale", scales.reshape(-1)), zero_point, None]
        if bias is not None:
            inputs.append(self._float(bias))
        shape = (*self.shape(x)[:-1], weight.shape[0])
        return self._node("MatMulIntegerToFloat", inputs, shape, CONTRIB)

    def _given(self, name: str, array: Array) -> Value:
        """An array made for this graph, handed over beside the stored tensors."""
        self._made.append(Tensor.of(name, array))
        return self._weight(self._made[-1])

    def _float(self, tensor: Weight) -> Value:
        """A stored tensor as float32, cast in the graph where it is stored otherwise."""
        if isinstance(tensor, Int8Weight):
            values, scales = tensor.read()
            given = [
                self._given(f"{tensor.name}.int8", values),
                self._given(f"{tensor.name}.scale", scales.reshape(-1)),
            ]
            return self._node("DequantizeLinear", given, tensor.shape, axis=0)
        plain = tensor.plain()
        if plain is not tensor:
            self._made.append(plain)
            tensor = plain
        stored = self._weight(tensor)
        if tensor.dtype == "F32":
            return stored
        if stored not in self._floats:
            self._floats[stored] = self._node("Cast", [stored], tensor.shape, to=ir.DataType.FLOAT)
        return self._floats[stored]

    def _weight(self, tensor: Tensor) -> Value:
        """The initializer of a stored tensor, one for each place and shape."""
        key = (id(tensor.data), tensor.offset, tensor.dtype, tensor.shape)
        if key not in self._weights:
            kind, name = _STORED[tensor.dtype], f"{tensor.name}#{len(self._weights)}"
            array = tensor.array()
            if array.flags.aligned:
                location, offset = self._location(tensor.data), tensor.offset
            else:
                # Safetensors files of 2022 have headers of any length. ORT uses aligned bytes only.
                array = array.copy()
                location, offset = self._file(array.reshape(-1).view(np.uint8).data), 0
            self.arrays[name] = (array, int(kind))
            value = new_value(tensor.shape, kind, name)
            value.const_value = ir.ExternalTensor(
                location, offset, tensor.nbytes, kind, shape=ir.Shape(tensor.shape), name=name
            )
            self._weights[key] = value
        return self._weights[key]

    def _location(self, data: Any) -> str:
        """The name of a buffer that tensors share."""
        if id(data) not in self._locations:
            self._locations[id(data)] = self._file(memoryview(data))
        return self._locations[id(data)]

    def _file(self, content: memoryview) -> str:
        name = f"weights.{len(self.files)}"
        self.files[name] = content
        return name

    def _integers(self, values: Sequence[int]) -> Value:
        return self._constant(np.array(values, np.int64))

    def _constant(self, array: Array | np.generic) -> Value:
        """A small constant inside the model file; equal ones are shared."""
        array = np.asarray(array)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"constant.{len(self._constants)}"
            value = new_value(array.shape, ir.DataType.from_numpy(array.dtype), name)
            value.const_value = ir.tensor(array, name=name)
            self._constants[key] = value
        return self._constants[key]


def new_value(shape: Shape, kind: Any, name: str | None = None) -> Value:
    return ir.Value(name=name, shape=ir.Shape(shape), type=ir.TensorType(kind))
