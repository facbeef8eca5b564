"""Older x86 processors, imitated: their 16-bit sums saturate, which safe weights never reach."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cpuid import can_hide
from nutshell.machine import probe_processor
from nutshell.machine.kernel_limits import VARIABLES

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason=f"imitates older x86 processors, this is {platform.machine()}"
)


ROOT = Path(__file__).parents[2]


def full_and_safe(*words: str, **limits: str) -> tuple[float, float]:
    """How near an engine comes to NumPy with full and with safe weights, in dB."""
    paths = os.pathsep.join((str(ROOT / "src"), str(ROOT)))
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("without_vnni.py")), *words],
        env={**os.environ, "PYTHONPATH": paths, **limits},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    full, safe = map(float, done.stdout.split())
    return full, safe


@pytest.mark.parametrize("instructions", ["AVX2", "AVX512_CORE"])
def test_safe_weights_add_up(instructions: str) -> None:
    full, safe = full_and_safe("openvino", **dict.fromkeys(VARIABLES, instructions))
    assert safe >= 80
    # If this fails, the engine has learned to add, and SAFE_WEIGHT is no longer needed.
    assert full < 60


@pytest.mark.parametrize("name", ["avx2", "avx512"])
def test_safe_weights_add_up_in_onnx_runtime(name: str) -> None:
    """Its kernels have no switch: the processor's answers are changed."""
    if not can_hide():
        pytest.skip("this kernel or processor does not let CPUID fault")
    if name == "avx512" and "avx512f" not in probe_processor().cpu.features:
        pytest.skip("this processor has no AVX-512 to imitate it with")
    full, safe = full_and_safe("onnx", name)
    assert safe >= 80
    assert full < 60
