"""ONNX Runtime: memory, weights of awkward kinds, and errors that name what is wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from op_cases import CASES, stored

from nutshell.engines.numpy_engine import NumpyEngine
from nutshell.engines.onnx_engine import OnnxEngine
from nutshell.errors import EngineError, EngineUnavailable
from nutshell.networks.ops import Input, Network
from nutshell.weights import Tensor, Weights

pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")

LINEAR = next(case for case in CASES if case.id == "linear: sequences")


def _linear_alone(width: int) -> Network:
    return Network(
        part="probe",
        name="probe",
        inputs={"x": Input((2, width))},
        run=lambda ops, weights, inputs: ops.linear(inputs["x"], weights.take("w", (3, width)), None),
    )


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("dtype", "kind"), [("F32", "lean"), ("F16", "lean"), ("F32", "fast")])
def test_loading_does_not_copy_the_weights(dtype: str, kind: str) -> None:
    if not OnnxEngine()._borrows:
        pytest.skip("this version of ONNX Runtime copies weights")
    script = Path(__file__).with_name("anonymous_memory.py")
    done = subprocess.run(
        [sys.executable, str(script), dtype, kind], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    weights, loaded, ran, most = map(int, done.stdout.split())
    if kind == "lean":
        assert loaded < 0.1 * weights
        # Half-precision weights are widened while they are used, a piece at a time.
        assert ran < 0.2 * weights
        assert most < 0.5 * weights
    else:
        # Packed and blocked copies, but never all of them twice.
        assert loaded < 1.2 * weights


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_versions_that_cannot_borrow_are_given_copies(
    dtype: str, reference: NumpyEngine, assert_close: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "__version__", "1.23.2")
    monkeypatch.delattr(onnxruntime.SessionOptions, "add_external_initializers_from_files_in_memory", raising=False)
    got = OnnxEngine().compile(LINEAR.network(), LINEAR.weights(dtype), threads=1)(**LINEAR.values())
    wanted = reference.compile(LINEAR.network(), LINEAR.weights(dtype))(**LINEAR.values())
    assert_close(got, wanted)


def test_the_graph_itself_holds_no_weight() -> None:
    from nutshell.engines.onnx_ops import OnnxOps

    ops = OnnxOps()
    inputs = {"x": ops.input("x", Input((1, 512)))}
    tensor = stored("w", np.zeros((512, 512)), "F32")
    model = ops.model("probe", inputs, [ops.linear(inputs["x"], tensor, None)])
    assert len(model) < 2000
    assert [content.nbytes for content in ops.files.values()] == [tensor.nbytes]


def test_tensors_in_one_file_share_one_buffer() -> None:
    from nutshell.engines.onnx_ops import OnnxOps

    ops = OnnxOps()
    tensor = stored("w", np.zeros((6, 4)), "F32")
    x = ops.input("x", Input((1, 4)))
    ops.concat([ops.linear(x, tensor.rows(0, 3), None), ops.linear(x, tensor.rows(3, 6), None)], 1)
    assert len(ops.files) == 1


@pytest.mark.parametrize("lean", [False, True])
@pytest.mark.parametrize("shift", [1, 2])
@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_bytes_at_an_odd_offset_are_read_right(
    dtype: str, shift: int, lean: bool, reference: NumpyEngine, assert_close: Callable[..., None]
) -> None:
    tensor = stored("w", np.random.default_rng(5).standard_normal((3, 64)), dtype)
    moved = replace(tensor, data=bytes(shift) + bytes(tensor.data), offset=shift)
    x = np.ones((2, 64), np.float32)
    network = _linear_alone(64)
    got = OnnxEngine(lean).compile(network, Weights({"w": moved}), threads=1)(x=x)
    assert_close(got, reference.compile(network, Weights({"w": tensor}))(x=x))


@pytest.mark.parametrize("kind", [np.float64, np.int64, np.int32, np.int16, np.int8, np.uint8, np.bool_])
def test_other_stored_types_are_cast(kind: type, reference: NumpyEngine, assert_close: Callable[..., None]) -> None:
    tensor = Tensor.of("w", np.arange(12).reshape(3, 4).astype(kind))
    x = np.ones((2, 4), np.float32)
    network = _linear_alone(4)
    got = OnnxEngine().compile(network, Weights({"w": tensor}), threads=1)(x=x)
    assert_close(got, reference.compile(network, Weights({"w": tensor}))(x=x))


def test_an_input_may_be_the_output() -> None:
    network = Network(part="p", name="p", inputs={"x": Input((2,))}, run=lambda ops, weights, inputs: inputs["x"])
    x = np.array([1, 2], np.float32)
    np.testing.assert_array_equal(OnnxEngine().compile(network, Weights({}))(x=x), x)


def test_a_provider_that_is_not_there_is_named() -> None:
    with pytest.raises(EngineUnavailable, match="NoSuchExecutionProvider") as caught:
        OnnxEngine(providers=[("NoSuchExecutionProvider", {}), "CPUExecutionProvider"])
    assert "CPUExecutionProvider" in caught.value.hint


def test_a_provider_takes_options() -> None:
    engine = OnnxEngine(providers=[("CPUExecutionProvider", {})])
    assert engine.compile(LINEAR.network(), LINEAR.weights())(**LINEAR.values()).shape == (2, 7, 5)


def test_without_onnxruntime_the_engine_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "nutshell.engines.onnx_library", raising=False)
    with pytest.raises(EngineUnavailable) as caught:
        OnnxEngine()
    assert "pip install" in caught.value.hint


def test_a_graph_that_cannot_be_loaded_is_an_engine_error(capfd: pytest.CaptureFixture[str]) -> None:
    network = Network(
        part="p",
        name="p",
        inputs={"x": Input((2, 3))},
        run=lambda ops, weights, inputs: ops.concat([inputs["x"], ops.reshape(inputs["x"], (6,))], 0),
    )
    with pytest.raises(EngineError, match="cannot load p"):
        OnnxEngine().compile(network, Weights({}))
    assert capfd.readouterr() == ("", "")


def test_an_input_of_the_wrong_shape_is_an_engine_error(capfd: pytest.CaptureFixture[str]) -> None:
    session = OnnxEngine().compile(LINEAR.network(), LINEAR.weights())
    with pytest.raises(EngineError, match="linear"):
        session(x=np.zeros((2, 7, 11), np.float32))
    assert capfd.readouterr() == ("", "")


def test_a_linear_in_eight_bits_is_one_integer_operator() -> None:
    from nutshell.engines.onnx_ops import OnnxOps

    case = next(case for case in CASES if case.id == "linear: int8, sequences")
    ops, network = OnnxOps(), case.network()
    network.run(ops, case.weights(), {name: ops.input(name, given) for name, given in network.inputs.items()})
    kinds = {node.op_type for node in ops._nodes}
    assert "MatMulIntegerToFloat" in kinds
    assert not kinds & {"Gemm", "MatMul"}
