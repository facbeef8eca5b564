"""OpenVINO on older x86 processors: refused where it would crash, its missing operation written otherwise."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from op_cases import STORED_CASES

from nutshell.engines import openvino_processor
from nutshell.engines.openvino_engine import OpenVinoEngine
from nutshell.engines.openvino_processor import check_openvino, has_group_norm
from nutshell.engines.trial import SHAPES, small_network, trial
from nutshell.errors import EngineUnavailable
from nutshell.language import Text, tr
from nutshell.machine import Machine, machine_with
from nutshell.machine.kernel_limits import VARIABLES
from nutshell.networks.ops import Input
from nutshell.weights import Tensor, Weights
from tests.machines import recorded

x86_only = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason=f"imitates older x86 processors, this is {platform.machine()}"
)


def with_sets(*features: str) -> Machine:
    return machine_with(usable_bytes=10**9, features=frozenset(features))


OLD = with_sets("sse4_2", "avx")


def never(name: str) -> Text | None:
    raise AssertionError("a process was started")


def tried(monkeypatch: pytest.MonkeyPatch, failure: Text | None) -> None:
    monkeypatch.setattr(openvino_processor, "trial", lambda name: failure)


def hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """An import of OpenVINO would fail, with other words."""
    for module in list(sys.modules):
        if module.startswith("nutshell.engines.openvino_library"):
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "openvino", None)


def test_it_is_refused_before_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden(monkeypatch)
    monkeypatch.setattr(openvino_processor, "trial", never)
    with pytest.raises(EngineUnavailable, match=r"needs SSE4\.2, which this processor lacks") as caught:
        OpenVinoEngine(machine=recorded("core-2-duo"))
    assert "--engine onnx" in caught.value.hint


def test_where_it_is_no_longer_made_for_it_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried(monkeypatch, tr("it uses instructions that this processor does not have"))
    with monkeypatch.context() as patched:
        hidden(patched)
        with pytest.raises(EngineUnavailable, match=r"without AVX2.* uses instructions") as caught:
            OpenVinoEngine(machine=recorded("celeron-2gb"))
        assert "--engine onnx" in caught.value.hint
    tried(monkeypatch, None)
    session = OpenVinoEngine(machine=recorded("celeron-2gb")).compile(small_network(), small_weights(), "f32")
    assert np.isfinite(session(x=np.ones((1, 32, 8, 8), np.float32))).all()
    session.close()


@pytest.mark.parametrize("machine", [with_sets("avx2"), recorded("raspberry-pi-3"), recorded("nothing-at-all")])
def test_nothing_is_tried_where_it_is_known_to_run(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_processor, "trial", never)
    check_openvino(machine, "2026.4.1")


def small_weights() -> Weights:
    return Weights({name: Tensor.of(name, np.full(shape, 0.1, np.float32)) for name, shape in SHAPES.items()})


@x86_only
def test_the_trial_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "SSE41")
    assert trial("openvino") is None


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGILL)", "instructions that this processor does not have"),
        ("print('wrong')", "wrong results"),
        ("import time\ntime.sleep(60)", "did not answer within 5 s"),
    ],
)
def test_a_trial_that_fails(code: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of that name in front of ours stands for an engine that does such things."""
    folder = tmp_path / "nutshell" / "engines"
    folder.mkdir(parents=True)
    for parent in (folder, folder.parent):
        (parent / "__init__.py").touch()
    (folder / "trial.py").write_text(code)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert reason in str(trial("openvino", 5.0))


def test_group_norm_is_there_from_avx2_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert has_group_norm(with_sets("avx2"))
    assert has_group_norm(recorded("raspberry-pi-3"))
    assert not has_group_norm(OLD)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    assert not has_group_norm(with_sets("avx2"))
    assert has_group_norm(recorded("raspberry-pi-3"))


@pytest.mark.reference
@pytest.mark.parametrize("shape", [(1, 64, 8, 8), (2, 6, 5, 3), (1, 32, 7), (3, 8)])
@pytest.mark.parametrize("shift", [0.0, 100.0])
def test_group_norm_without_its_operation_equals_torch(shape: tuple[int, ...], shift: float) -> None:
    torch: Any = pytest.importorskip("torch")
    from nutshell.engines.openvino_library import openvino
    from nutshell.engines.openvino_ops import OpenVinoOps

    groups, eps, random = 2, 1e-5, np.random.default_rng(0)
    x = (random.standard_normal(shape) + shift).astype(np.float32)
    weight, bias = (random.standard_normal(shape[1]).astype(np.float32) for _ in range(2))
    ops = OpenVinoOps(has_group_norm=False)
    given = ops.input("x", Input(shape))
    out = ops.group_norm(given, Tensor.of("w", weight), Tensor.of("b", bias), groups, eps)
    model = openvino.Model([out], [given.get_node()], "group_norm")
    assert "GroupNormalization" not in {node.get_type_name() for node in model.get_ops()}
    got = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([x])[0]
    double = [torch.from_numpy(values).double() for values in (x, weight, bias)]
    wanted = torch.nn.functional.group_norm(double[0], groups, double[1], double[2], eps).numpy()
    assert ops.shape(out) == shape
    # Of values near 100 float32 keeps 1e-5.
    np.testing.assert_allclose(got, wanted, atol=1e-5 if shift == 0 else 1e-3)


@x86_only
@pytest.mark.parametrize("instructions", ["SSE41", "AVX2"])
def test_every_operation_on_an_imitated_processor(instructions: str) -> None:
    script = Path(__file__).with_name("old_processor.py")
    done = subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | dict.fromkeys(VARIABLES, instructions),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:-1] == [str(len(STORED_CASES))]
