"""Older x86 processors, imitated: their 16-bit sums saturate, which safe weights never reach."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason=f"imitates older x86 processors, this is {platform.machine()}"
)


@pytest.mark.parametrize("instructions", ["AVX2", "AVX512_CORE"])
def test_safe_weights_add_up(instructions: str) -> None:
    limits = dict.fromkeys(("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "OV_CPU_MAX_ISA"), instructions)
    script = Path(__file__).with_name("without_vnni.py")
    done = subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | limits,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    full, safe = map(float, done.stdout.split())
    assert safe >= 80
    # If this fails, the engine has learned to add, and SAFE_WEIGHT is no longer needed.
    assert full < 60
