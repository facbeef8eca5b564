"""The instruction sets that OpenVINO's kernels may use: the processor's, less what its variables forbid.

oneDNN, which OpenVINO computes with on x86, takes a highest instruction set from the environment when it is loaded
(oneDNN's guide, "CPU Dispatcher Control"). Older processors are imitated by it. What is chosen for the processor
(safe weights, how a norm is written) must then be chosen for the imitated one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from nutshell.machine.facts import Cpu

VARIABLES = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "OV_CPU_MAX_ISA")
"""The first that is set counts for oneDNN; OpenVINO's own code reads the last. An imitation sets all three."""

_AVX2 = frozenset({"sse4_2", "avx", "avx2", "fma", "f16c"})
_AVX512 = _AVX2 | {"avx512f"}
_VNNI = _AVX512 | {"avx512_vnni"}
_BF16 = _VNNI | {"avx512_bf16"}
_FP16 = _BF16 | {"avx512_fp16", "avx_vnni"}
_ALLOWED = {
    "SSE41": frozenset({"sse4_2"}),
    "AVX": frozenset({"sse4_2", "avx"}),
    "AVX2": _AVX2,
    "AVX2_VNNI": _AVX2 | {"avx_vnni"},
    "AVX2_VNNI_2": _AVX2 | {"avx_vnni"},
    "AVX512_CORE": _AVX512,
    "AVX512_CORE_VNNI": _VNNI,
    "AVX512_CORE_BF16": _BF16,
    "AVX512_CORE_FP16": _FP16,
}
"""oneDNN's names. What is not listed (AMX, DEFAULT, ALL) forbids nothing that is told apart here."""


def kernel_cpu(cpu: Cpu, environment: Mapping[str, str] | None = None) -> Cpu:
    """`cpu` as OpenVINO's kernels see it. environment: None for this process's."""
    variables = os.environ if environment is None else environment
    asked = next((variables[name] for name in VARIABLES[:2] if variables.get(name)), "")
    allowed = _ALLOWED.get(asked.upper())
    return cpu if allowed is None else replace(cpu, features=cpu.features & allowed)
