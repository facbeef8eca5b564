"""Older processors, imitated: which instruction sets each has, and how the present one is made to look like it.

oneDNN, and so OpenVINO, is told by its variables. ONNX Runtime's kernels (MLAS) ask the processor itself and have no
switch, so for them the processor's answers are changed (`bench.cpuid`), where the kernel allows that.
"""

from __future__ import annotations

from dataclasses import dataclass

Bit = tuple[int, int, str, int]
"""A feature in CPUID: leaf, subleaf, register, bit (Intel's manual, volume 2A, CPUID)."""

_AMX: tuple[Bit, ...] = ((7, 0, "edx", 22), (7, 0, "edx", 24), (7, 0, "edx", 25), (7, 1, "eax", 21), (7, 1, "edx", 8))
# VNNI, BF16, FP16, IFMA, VBMI, VBMI2, GFNI, BITALG, VPOPCNTDQ, VP2INTERSECT, AVX10: what came after Skylake-SP.
_LATER_512: tuple[Bit, ...] = (
    *((7, 0, "ecx", bit) for bit in (1, 6, 8, 11, 12, 14)),
    (7, 0, "ebx", 21),
    (7, 0, "edx", 8),
    (7, 0, "edx", 23),
    (7, 1, "eax", 5),
    (7, 1, "edx", 19),
)
# F, DQ, CD, BW, VL.
_AVX512: tuple[Bit, ...] = tuple((7, 0, "ebx", bit) for bit in (16, 17, 28, 30, 31))
# AVX-IFMA, AVX-VNNI-INT8, AVX-NE-CONVERT, AVX-VNNI-INT16: newer than AVX-VNNI.
_LATER_AVX: tuple[Bit, ...] = ((7, 1, "eax", 23), (7, 1, "edx", 4), (7, 1, "edx", 5), (7, 1, "edx", 10))
_AVX_VNNI: tuple[Bit, ...] = ((7, 1, "eax", 4),)
# FMA, F16C, AVX2, VAES, VPCLMULQDQ.
_AVX2: tuple[Bit, ...] = ((1, 0, "ecx", 12), (1, 0, "ecx", 29), (7, 0, "ebx", 5), (7, 0, "ecx", 9), (7, 0, "ecx", 10))
_AVX: tuple[Bit, ...] = ((1, 0, "ecx", 28),)

_UP_TO_AVX2 = frozenset({"sse4_2", "avx", "avx2", "fma", "f16c"})


@dataclass(frozen=True)
class OlderSet:
    """name: as `nutshell.plan.instruction_sets` calls its class, "native" for the processor as it is.

    variable: oneDNN's name for it. features: those that it has of what Nutshell tells apart, all of which the present
    processor must have. hidden: bits that CPUID must not show.
    """

    name: str
    variable: str = ""
    features: frozenset[str] = frozenset()
    hidden: tuple[Bit, ...] = ()


SETS = (
    OlderSet("native"),
    OlderSet("avx512", "AVX512_CORE", _UP_TO_AVX2 | {"avx512f"}, (*_AMX, *_LATER_512, *_LATER_AVX, *_AVX_VNNI)),
    OlderSet("avx2_vnni", "AVX2_VNNI", _UP_TO_AVX2 | {"avx_vnni"}, (*_AMX, *_LATER_512, *_AVX512, *_LATER_AVX)),
    OlderSet("avx2", "AVX2", _UP_TO_AVX2, (*_AMX, *_LATER_512, *_AVX512, *_LATER_AVX, *_AVX_VNNI)),
    OlderSet(
        "sse41",
        "SSE41",
        frozenset({"sse4_2"}),
        (*_AMX, *_LATER_512, *_AVX512, *_LATER_AVX, *_AVX_VNNI, *_AVX2, *_AVX),
    ),
)
"""Newest first."""
