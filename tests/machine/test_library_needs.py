"""What libraries need of a processor: recorded and made-up machines, and the libraries that are here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nutshell.machine import Cpu, Machine, Unknown, lack, machine_with, probe, probe_processor
from nutshell.machine.kernel_limits import kernel_cpu
from nutshell.machine.library_needs import installed_version
from tests.machines import recorded


def with_sets(*features: str) -> Machine:
    return machine_with(usable_bytes=10**9, features=frozenset(features))


SSE42, AVX, AVX2, NOTHING = (
    with_sets("sse4_2"),
    with_sets("sse4_2", "avx"),
    with_sets("sse4_2", "avx", "avx2"),
    with_sets(),
)


@pytest.mark.parametrize(
    ("machine", "package", "version", "feature", "must"),
    [
        (SSE42, "openvino", "2026.4.1", "avx2", False),
        (AVX, "openvino", "2027.0.0", "avx2", False),
        # The newest, and a version that says nothing, ask for all that was ever asked for.
        (AVX, "openvino", "", "avx2", False),
        (AVX, "openvino", "unknown", "avx2", False),
        # No release would do.
        (NOTHING, "openvino", "2026.4.1", "sse4_2", True),
        (NOTHING, "openvino", "2025.4.1", "sse4_2", True),
        (NOTHING, "numpy", "2.4.6", "sse4_2", True),
        (recorded("celeron-2gb"), "openvino", "2026.4.0", "avx2", False),
        (recorded("mac-rosetta"), "openvino", "2026.4.0", "avx2", False),
        (recorded("core-2-duo"), "openvino", "2026.4.0", "sse4_2", True),
        (recorded("core-2-duo"), "numpy", "2.4.0", "sse4_2", True),
    ],
)
def test_what_is_lacking(machine: Machine, package: str, version: str, feature: str, must: bool) -> None:
    found = lack(machine, package, version)
    assert found is not None
    assert (found.need.feature, found.need.must) == (feature, must)
    assert found.need.title in found.reason
    assert {"sse4_2": "SSE4.2", "avx2": "AVX2"}[feature] in found.reason
    assert found.need.source


@pytest.mark.parametrize(
    ("machine", "package", "version"),
    [
        (AVX2, "openvino", "2026.4.1"),
        (SSE42, "openvino", "2025.4.1"),
        (SSE42, "numpy", "2.4.6"),
        (NOTHING, "numpy", "2.3.5"),
        (NOTHING, "onnxruntime", "1.31.1"),
        (recorded("raspberry-pi-3"), "openvino", "2026.4.1"),
        (recorded("nothing-at-all"), "openvino", "2026.4.1"),
        (recorded("mac-rosetta"), "numpy", "2.4.6"),
        (replace(NOTHING, unknown=(Unknown("cpu.features", "x"),)), "openvino", "2026.4.1"),  # type: ignore[arg-type]
    ],
)
def test_nothing_is_lacking_or_known(machine: Machine, package: str, version: str) -> None:
    assert lack(machine, package, version) is None


def test_numpy_says_the_same_of_itself() -> None:
    """Its wheels for x86-64 carry the baseline that the table has."""
    umath = pytest.importorskip("numpy._core._multiarray_umath")
    if probe_processor().cpu.architecture != "x86_64" or lack(NOTHING, "numpy") is None:
        pytest.skip("of NumPy 2.4 and later on x86-64")
    assert umath.__cpu_baseline__ == ["X86_V2"]


def test_the_processor_alone() -> None:
    assert probe_processor().cpu == probe().cpu
    assert installed_version("numpy").split(".")[0].isdigit()
    assert installed_version("nutshell-no-such-package") == ""


FULL = Cpu(
    architecture="x86_64", features=AVX2.cpu.features | {"fma", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8"}
)


@pytest.mark.parametrize(
    ("environment", "has", "lacks"),
    [
        ({}, {"amx_int8", "avx512_vnni"}, set()),
        ({"ONEDNN_MAX_CPU_ISA": "DEFAULT"}, {"amx_int8"}, set()),
        ({"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_AMX"}, {"amx_int8"}, set()),
        ({"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}, {"avx512f", "avx2"}, {"avx512_vnni", "avx_vnni", "amx_int8"}),
        ({"ONEDNN_MAX_CPU_ISA": "avx2_vnni"}, {"avx2", "avx_vnni"}, {"avx512f"}),
        ({"DNNL_MAX_CPU_ISA": "AVX2"}, {"avx2", "fma"}, {"avx_vnni", "avx512f"}),
        # oneDNN asks for the newer name first.
        ({"ONEDNN_MAX_CPU_ISA": "SSE41", "DNNL_MAX_CPU_ISA": "AVX2"}, {"sse4_2"}, {"avx", "avx2"}),
        ({"ONEDNN_MAX_CPU_ISA": "", "DNNL_MAX_CPU_ISA": "SSE41"}, {"sse4_2"}, {"avx", "avx2"}),
        # Without oneDNN's own the kernels are not limited.
        ({"OV_CPU_MAX_ISA": "SSE41"}, {"avx512f"}, set()),
    ],
)
def test_what_kernels_may_use(environment: dict[str, str], has: set[str], lacks: set[str]) -> None:
    features = kernel_cpu(FULL, environment).features
    assert has <= features
    assert not lacks & features


def test_limits_give_nothing() -> None:
    old = SSE42.cpu
    assert kernel_cpu(old, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}) == old
