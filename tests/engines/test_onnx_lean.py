"""Half-precision weights in pieces: the same results, and a graph in which each piece waits for the layer before."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from op_cases import stored

from nutshell.engines.numpy_engine import NumpyEngine
from nutshell.engines.onnx_engine import OnnxEngine
from nutshell.networks.ops import Input, Network
from nutshell.weights import Weights

pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")

SHAPES = {"a": (20, 8, 3, 3), "b": (7, 20, 1, 1), "c": (11, 7)}


def run(ops: Any, weights: Weights, inputs: Any) -> Any:
    bias = {name: weights.take(f"{name}.bias", shape[:1]) for name, shape in SHAPES.items()}
    x = ops.conv2d(inputs["x"], weights.take("a", SHAPES["a"]), bias["a"], 2, (1, 1, 1, 1))
    x = ops.conv2d(ops.silu(x), weights.take("b", SHAPES["b"]), None, 1, (0, 0, 0, 0))
    x = ops.transpose(ops.reshape(x, (1, 7, 16)), (0, 2, 1))
    return ops.linear(x, weights.take("c", SHAPES["c"]), bias["c"])


NETWORK = Network(part="probe", name="probe", inputs={"x": Input((1, 8, 8, 8))}, run=run)


def weights(dtype: str) -> Weights:
    random = np.random.default_rng(3)
    tensors = {name: stored(name, random.standard_normal(shape), dtype) for name, shape in SHAPES.items()}
    for name, shape in SHAPES.items():
        tensors[f"{name}.bias"] = stored(f"{name}.bias", random.standard_normal(shape[0]), dtype)
    return Weights(tensors)


def operators(given: Weights) -> list[str]:
    from nutshell.engines.onnx_lean import LeanOnnxOps

    ops = LeanOnnxOps()
    run(ops, given, {name: ops.input(name, it) for name, it in NETWORK.inputs.items()})
    return [node.op_type for node in ops._nodes]


@pytest.mark.parametrize("piece", [1 << 30, 600, 100])
@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_pieces_give_what_the_whole_gives(
    dtype: str,
    piece: int,
    reference: NumpyEngine,
    assert_close: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nutshell.engines.onnx_lean._PIECE", piece)
    monkeypatch.setattr("nutshell.engines.onnx_lean._SMALL", 1)
    given = weights(dtype)
    x = np.random.default_rng(4).standard_normal((1, 8, 8, 8)).astype(np.float32)
    got = OnnxEngine(lean=True).compile(NETWORK, given, threads=1)(x=x)
    assert_close(got, reference.compile(NETWORK, given)(x=x))


def test_only_half_precision_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nutshell.engines.onnx_lean._PIECE", 600)
    assert operators(weights("F32")).count("Conv") == 2
    assert operators(weights("F16")).count("Conv") == 4  # 1440 values in three pieces, 140 in one


def test_a_cast_waits_for_the_layer_before(monkeypatch: pytest.MonkeyPatch) -> None:
    from nutshell.engines.onnx_lean import LeanOnnxOps

    monkeypatch.setattr("nutshell.engines.onnx_lean._SMALL", 1)
    ops = LeanOnnxOps()
    run(ops, weights("F16"), {name: ops.input(name, it) for name, it in NETWORK.inputs.items()})
    layers = [node for node in ops._nodes if node.op_type in ("Conv", "Gemm")]
    for before, layer in pairwise(layers):
        cast = layer.inputs[1].producer()
        assert cast.op_type == "Cast"
        seen, known = [cast], set()
        while seen:
            node = seen.pop()
            known.add(id(node))
            seen += [it.producer() for it in node.inputs if it is not None and it.producer() is not None]
        assert id(before) in known
