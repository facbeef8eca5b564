"""What processors and their instruction sets are called, by Linux, macOS, NumPy and us."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nutshell.machine.facts import FEATURES

# Linux on ARM (arch/arm64/kernel/cpuinfo.c, arch/arm/kernel/setup.c) -> ours. Those of x86 have our names already
# (arch/x86/include/asm/cpufeatures.h), and are not listed where the system does not save their registers.
_ARM_FLAGS = {"asimd": "neon", "neon": "neon", "asimddp": "dotprod", "i8mm": "i8mm", "bf16": "bf16", "sve": "sve"}

# `sysctl machdep.cpu` on Intel Macs; `sysctl hw.optional` on Apple silicon.
_MAC_X86 = {
    "SSE4.2": "sse4_2",
    "AVX1.0": "avx",
    "AVX2": "avx2",
    "FMA": "fma",
    "F16C": "f16c",
    "AVX512F": "avx512f",
    "AVX512VNNI": "avx512_vnni",
}
_MAC_ARM = {
    "hw.optional.neon": "neon",
    "hw.optional.AdvSIMD": "neon",
    "hw.optional.arm.FEAT_DotProd": "dotprod",
    "hw.optional.arm.FEAT_I8MM": "i8mm",
    "hw.optional.arm.FEAT_BF16": "bf16",
}

# numpy/_core/src/common/npy_cpu_features.c. CLX and SPR are groups: all of Cascade Lake's, of Sapphire Rapids'.
NUMPY_NAMES = {
    "SSE42": "sse4_2",
    "AVX": "avx",
    "AVX2": "avx2",
    "FMA3": "fma",
    "F16C": "f16c",
    "AVX512F": "avx512f",
    "AVX512VNNI": "avx512_vnni",
    "AVX512_CLX": "avx512_vnni",
    "AVX512BF16": "avx512_bf16",
    "AVX512FP16": "avx512_fp16",
    "NEON": "neon",
    "ASIMDDP": "dotprod",
    "SVE": "sve",
}

_VENDORS = {
    "GenuineIntel": "intel",
    "AuthenticAMD": "amd",
    "HygonGenuine": "hygon",
    "CentaurHauls": "zhaoxin",
    "Shanghai": "zhaoxin",
    "Qualcomm Technologies Inc": "qualcomm",
}

# "CPU implementer" and "CPU part" of /proc/cpuinfo: arch/arm64/include/asm/cputype.h.
_ARM_VENDORS = {
    "0x41": "arm",
    "0x48": "huawei",
    "0x4e": "nvidia",
    "0x51": "qualcomm",
    "0x61": "apple",
    "0x6d": "microsoft",
    "0x70": "phytium",
    "0xc0": "ampere",
}
_ARM_PARTS = {
    ("0x41", "0xc07"): "Cortex-A7",
    ("0x41", "0xd03"): "Cortex-A53",
    ("0x41", "0xd04"): "Cortex-A35",
    ("0x41", "0xd05"): "Cortex-A55",
    ("0x41", "0xd07"): "Cortex-A57",
    ("0x41", "0xd08"): "Cortex-A72",
    ("0x41", "0xd09"): "Cortex-A73",
    ("0x41", "0xd0a"): "Cortex-A75",
    ("0x41", "0xd0b"): "Cortex-A76",
    ("0x41", "0xd0c"): "Neoverse-N1",
    ("0x41", "0xd40"): "Neoverse-V1",
    ("0x41", "0xd41"): "Cortex-A78",
    ("0x41", "0xd49"): "Neoverse-N2",
    ("0x41", "0xd4f"): "Neoverse-V2",
    ("0x48", "0xd01"): "Kunpeng 920",
}


def vendor_name(told: str) -> str:
    """Our name of the maker in "vendor_id"; "" if it is none we know."""
    return _VENDORS.get(told.strip(), "")


def arm_vendor(implementer: str) -> str:
    """The maker of an ARM processor."""
    return _ARM_VENDORS.get(implementer.lower(), "")


def arm_name(implementer: str, part: str) -> str:
    """The name of an ARM core, for the kernel gives its number only."""
    return _ARM_PARTS.get((implementer.lower(), part.lower()), "")


def linux_features(flags: Iterable[str]) -> frozenset[str]:
    """Instruction sets in the "flags" or "Features" of /proc/cpuinfo."""
    return frozenset(_ARM_FLAGS.get(flag, flag) for flag in flags) & FEATURES


def mac_features(facts: Mapping[str, str]) -> frozenset[str]:
    """Instruction sets in the answers of sysctl."""
    keys = ("machdep.cpu.features", "machdep.cpu.leaf7_features")
    told = " ".join(facts.get(key, "") for key in keys).split()
    x86 = {_MAC_X86[name] for name in told if name in _MAC_X86}
    return frozenset(x86 | {ours for key, ours in _MAC_ARM.items() if facts.get(key) == "1"})
