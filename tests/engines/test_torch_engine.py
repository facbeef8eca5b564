"""PyTorch: devices, precisions, what is shared and what is freed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from op_cases import CASES, STORED_CASES, Case, case_ids, stored

from nutshell.engines.numpy_engine import NumpyEngine
from nutshell.engines.torch_engine import DEVICES, TorchEngine
from nutshell.errors import EngineError, EngineUnavailable, UsageError
from nutshell.networks.ops import Input, Int8Weight, Network
from nutshell.weights import Tensor, Weights

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

LINEAR = next(case for case in CASES if case.id == "linear: sequences")


@pytest.mark.parametrize(("case", "dtype"), STORED_CASES, ids=case_ids(STORED_CASES))
def test_bfloat16_is_near_the_reference(
    case: Case, dtype: str, reference: NumpyEngine, assert_close: Callable[..., None]
) -> None:
    wanted = reference.compile(case.network(), case.weights(dtype))(**case.values())
    got = TorchEngine().compile(case.network(), case.weights(dtype), "bf16", threads=1)(**case.values())
    # Eight bits of mantissa, and inputs far from zero lose what they are off by.
    assert_close(got, wanted, 0.1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("precision", ["f16", "bf16", "f32"])
def test_a_card_is_near_the_reference(
    precision: str, reference: NumpyEngine, assert_close: Callable[..., None]
) -> None:
    engine = TorchEngine("cuda")
    if precision not in engine.precisions:
        pytest.skip(f"this card has no {precision}")
    for case in CASES:
        wanted = reference.compile(case.network(), case.weights())(**case.values())
        session = engine.compile(case.network(), case.weights(), precision)
        assert_close(session(**case.values()), wanted, {"f32": 5e-3, "f16": 2e-2, "bf16": 0.1}[precision])
        session.close()


def test_weights_in_float32_are_used_where_they_lie() -> None:
    from nutshell.engines.torch_ops import TorchOps

    tensor = stored("w", np.ones((4, 4)), "F32")
    loaded = TorchOps("cpu", "f32").parameter(tensor)
    assert loaded.data_ptr() == tensor.array().ctypes.data


def test_each_weight_is_loaded_once_and_before_the_first_call() -> None:
    session = TorchEngine().compile(LINEAR.network(), LINEAR.weights("F16"))
    before = {key: value[1].data_ptr() for key, value in session._ops._loaded.items()}
    session(**LINEAR.values())
    assert before == {key: value[1].data_ptr() for key, value in session._ops._loaded.items()}
    assert len(before) == len(LINEAR.stored)
    session.close()
    assert not session._ops._loaded


def test_an_int8_weight_is_quantized_once_and_before_the_first_call() -> None:
    asked = []

    def quantize(tensor: Tensor) -> tuple[np.ndarray, np.ndarray]:
        asked.append(tensor.name)
        return np.ones(tensor.shape, np.int8), np.full(tensor.shape[0], 0.5, np.float32)

    def run(ops: Any, weights: Weights, inputs: dict[str, Any]) -> Any:
        return ops.linear(inputs["x"], Int8Weight(weights.take("w", (2, 3)), quantize), None)

    network = Network(part="p", name="p", inputs={"x": Input((1, 3))}, run=run)
    session = TorchEngine().compile(network, Weights({"w": stored("w", np.zeros((2, 3)), "F16")}))
    for _ in range(2):
        assert session(x=np.ones((1, 3), np.float32)).tolist() == [[1.5, 1.5]]
    assert asked == ["w"]


def test_the_thread_count_of_the_process_is_put_back() -> None:
    before = torch.get_num_threads()
    seen = []

    def run(ops: object, weights: Weights, inputs: dict[str, object]) -> object:
        seen.append(torch.get_num_threads())
        return inputs["x"]

    network = Network(part="p", name="p", inputs={"x": Input((2,))}, run=run)
    TorchEngine().compile(network, Weights({}), threads=before + 1)(x=np.zeros(2, np.float32))
    assert seen[-1] == before + 1
    assert torch.get_num_threads() == before


def test_a_result_never_aliases_an_input_or_a_weight() -> None:
    x = np.zeros(2, np.float32)
    network = Network(part="p", name="p", inputs={"x": Input((2,))}, run=lambda ops, weights, inputs: inputs["x"])
    TorchEngine().compile(network, Weights({}))(x=x)[:] = 5
    assert not x.any()


def test_an_unknown_device_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="'tpu'") as caught:
        TorchEngine("tpu")
    assert all(device in caught.value.hint for device in DEVICES)


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "mps", "xpu", "npu"])
def test_a_device_that_is_not_there_is_unavailable(device: str) -> None:
    if device != "npu" and device != "cuda:7" and getattr(torch, device).is_available():
        pytest.skip(f"{device} is there")
    with pytest.raises(EngineUnavailable, match=device.partition(":")[0]) as caught:
        TorchEngine(device)
    assert caught.value.hint


def test_without_torch_the_engine_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(EngineUnavailable) as caught:
        TorchEngine()
    assert caught.value.hint == "pip install 'nutshell[torch]'"


def test_shapes_that_do_not_fit_fail_while_compiling() -> None:
    network = Network(
        part="p",
        name="p",
        inputs={"x": Input((2, 3))},
        run=lambda ops, weights, inputs: ops.add(inputs["x"], ops.reshape(inputs["x"], (3, 2))),
    )
    with pytest.raises(EngineError, match="loaded p"):
        TorchEngine().compile(network, Weights({}))
