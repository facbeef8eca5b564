"""What is said of plans can be said in any language."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from nutshell.errors import EngineUnavailable, NotEnoughMemory
from nutshell.language import Text
from nutshell.machine import Machine
from nutshell.plan import Installed, Planner
from nutshell.plan.words import seconds_words
from tests.language.brackets import brackets, forgotten
from tests.machines import NAMES
from tests.plan.test_zoo import ALL, need, recorded

DEVICES = ("cuda", "npu", "mps", "xpu")
FEW = Installed(onnx="1.31.0")


def said(machine: Machine, installed: Installed, max_memory: int | None, model: str) -> list[str]:
    planner = Planner.of(machine, installed, learn=False, max_memory=max_memory)
    try:
        plan = planner.plan(need(model))
    except (NotEnoughMemory, EngineUnavailable) as error:
        return [error.message, error.hint]
    assert all(isinstance(item.why, Text) for item in plan.rejected)
    rejected = [part for item in plan.rejected for part in (item.what, item.why)]
    return [plan.device_title, *plan.reasons, *rejected, *plan.advice]


@pytest.mark.parametrize("name", NAMES)
def test_every_machine(name: str) -> None:
    machine = recorded(name)
    names = [asdict(machine), DEVICES, "int8", "int8_weights", "onnxruntime", "onnx-ir", "nutshell[torch]", "torch_npu"]
    names += ["AVX2", "SSE4.2"]
    for installed in (ALL, FEW):
        for max_memory in (None, 10**8, 3 * 10**9):
            for model in ("stable-diffusion-1.5", "sd-turbo"):
                assert forgotten(said(machine, installed, max_memory, model), names) == []


def test_no_way_at_all() -> None:
    planner = Planner.of(recorded("gtx-1050-2gb"), ALL, learn=False)
    for name in ("torch:cuda", "torch:npu:7"):
        with pytest.raises(EngineUnavailable) as caught:
            planner.only(name)
        assert forgotten([caught.value.message, caught.value.hint], [asdict(planner.machine), DEVICES]) == []
    with pytest.raises(EngineUnavailable) as caught:
        replace(planner, precision="bf16").plan(need("sd-turbo"))
    assert forgotten([caught.value.message, caught.value.hint], ["bf16"]) == []


@pytest.mark.parametrize(
    ("seconds", "english"), [(0.031, "0.03 s"), (2.06, "2.1 s"), (45.2, "45 s"), (700.0, "12 min"), (12_240.0, "3.4 h")]
)
def test_seconds(seconds: float, english: str) -> None:
    assert seconds_words(seconds) == english
    assert brackets()(seconds_words(seconds))
