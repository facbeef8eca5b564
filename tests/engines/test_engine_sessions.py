"""What every engine's sessions promise: they outlive their weights, close twice, and fail with a name."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from op_cases import CASES

from nutshell.engines.engine import Engine
from nutshell.engines.numpy_engine import NumpyEngine
from nutshell.errors import EngineUnavailable, WeightsMismatch
from nutshell.weights import Weights

NORM = next(case for case in CASES if case.id == "layer_norm: sequences")
LINEAR = next(case for case in CASES if case.id == "linear: sequences")
HEAVY = ("openvino", "onnxruntime", "onnx_ir", "onnx", "torch")


@pytest.mark.parametrize("case", [NORM, LINEAR], ids=lambda case: case.op)
def test_a_session_outlives_the_arrays_it_was_made_from(
    case: object, engine: Engine, reference: NumpyEngine, assert_close: Callable[..., None]
) -> None:
    wanted = reference.compile(case.network(), case.weights())(**case.values())
    session = engine.compile(case.network(), case.weights(), "f32", threads=1)
    gc.collect()
    # Whatever was freed is written over.
    litter = [np.full(size, np.nan, np.float32) for size in range(1, 400)]
    assert_close(session(**case.values()), wanted)
    assert len(litter) == 399
    session.close()


def test_a_session_outlives_the_closed_file(engine: Engine, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    _write_safetensors(path, LINEAR.weights())
    script = Path(__file__).with_name("closed_file.py")
    name = request.node.callspec.params["engine"]
    done = subprocess.run(
        [sys.executable, str(script), name, str(path)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_closing_twice_does_nothing(engine: Engine) -> None:
    session = engine.compile(LINEAR.network(), LINEAR.weights(), "f32", threads=1)
    session.close()
    session.close()


def test_two_sessions_do_not_disturb_each_other(engine: Engine) -> None:
    first = engine.compile(LINEAR.network(), LINEAR.weights(), "f32", threads=1)
    second = engine.compile(LINEAR.network(), LINEAR.weights("F16"), "f32", threads=1)
    before = first(**LINEAR.values())
    kept = before.copy()
    second(**LINEAR.values())
    second.close()
    np.testing.assert_array_equal(first(**LINEAR.values()), kept)
    np.testing.assert_array_equal(before, kept)
    first.close()


def test_inputs_of_another_layout_are_understood(engine: Engine, assert_close: Callable[..., None]) -> None:
    session = engine.compile(LINEAR.network(), LINEAR.weights(), "f32", threads=1)
    x = LINEAR.values()["x"]
    transposed = np.ascontiguousarray(x.transpose(2, 1, 0)).transpose(2, 1, 0)
    assert not transposed.flags.c_contiguous
    assert_close(session(x=transposed), session(x=x))
    session.close()


def test_a_missing_tensor_is_named_while_compiling(engine: Engine) -> None:
    with pytest.raises(WeightsMismatch, match="weight 5x12"):
        engine.compile(LINEAR.network(), Weights({}), "f32", threads=1)


def test_a_precision_it_lacks_is_refused(engine: Engine) -> None:
    with pytest.raises(EngineUnavailable, match="f8"):
        engine.compile(LINEAR.network(), LINEAR.weights(), "f8", threads=1)


@pytest.mark.parametrize(
    "module", ["", ".engine", ".numpy_engine", ".cost", ".onnx_engine", ".torch_engine", ".openvino_engine"]
)
def test_importing_an_engine_imports_no_library(module: str) -> None:
    code = f"import sys, nutshell.engines{module}; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []


def _write_safetensors(path: Path, weights: Weights) -> None:
    header, parts, offset = {}, [], 0
    for tensor in weights.tensors():
        content = bytes(tensor.data)
        header[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + len(content)],
        }
        parts.append(content)
        offset += len(content)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(parts))
