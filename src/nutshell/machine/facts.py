"""What is known of a machine: plain facts, frozen, with their units in their names.

None, "" or an empty set is a fact that could not be read; `Machine.unknown` then says why. Nothing here looks at
the machine: `probe` does, and `machine_with` makes one up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal

from nutshell.language import Text

FEATURES = frozenset(
    (
        # x86
        *("sse4_2", "avx", "avx2", "fma", "f16c", "avx_vnni"),
        *("avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
        # ARM
        *("neon", "dotprod", "i8mm", "bf16", "sve"),
    )
)
"""The instruction sets that are told apart, by the names that Linux gives those of x86."""

ASSUMED_BYTES = 2**30
"""Taken for usable where the memory cannot be read at all: enough for the built-in model, and for no mischief."""

GpuVendor = Literal["nvidia", "amd", "intel", "apple", "ascend"]
GpuKind = Literal["discrete", "integrated"]


@dataclass(frozen=True)
class Cpu:
    """The processor.

    vendor: "intel", "amd", "arm", "apple", ... or "". architecture: "x86_64", "aarch64", "armv7l", "i686", ...
    cores, threads: physical and logical ones that this process may use (affinity and a container's share counted).
    governor: how its clock is governed ("powersave"), by which driver ("acpi-cpufreq").
    """

    model: str = ""
    vendor: str = ""
    architecture: str = ""
    cores: int = 1
    threads: int = 1
    features: frozenset[str] = frozenset()
    governor: str = ""
    governor_driver: str = ""


@dataclass(frozen=True)
class Memory:
    """Main memory and what limits this process.

    available_bytes: what the whole system can give without swapping; a RAM disk's files are not in it.
    cgroup_limit_bytes, cgroup_used_bytes: of the tightest group, used without what the kernel may drop at will.
    root_ram_bytes: what the files of a root in RAM take. own_bytes: resident memory of this process.
    """

    total_bytes: int | None = None
    available_bytes: int | None = None
    swap_total_bytes: int | None = None
    swap_free_bytes: int | None = None
    cgroup_limit_bytes: int | None = None
    cgroup_used_bytes: int | None = None
    root_in_ram: bool = False
    root_ram_bytes: int | None = None
    own_bytes: int = 0


@dataclass(frozen=True)
class Disk:
    """A mounted file system. device: "/dev/sda1", "tmpfs", "C:". removable: also a fixed disk on USB."""

    mount: str
    filesystem: str = ""
    device: str = ""
    total_bytes: int | None = None
    free_bytes: int | None = None
    removable: bool | None = None
    rotational: bool | None = None
    read_only: bool = False
    noexec: bool = False


@dataclass(frozen=True)
class Gpu:
    """A graphics card or neural processor.

    memory_bytes, free_bytes: its own memory; None for one that shares the main memory, or unknown.
    compute_capability: NVIDIA's, (7, 5). driver: name and version ("nvidia 550.54"), "" if none drives it.
    name: what it is sold as, or a Text with its numbers.
    runtime: what programs may use through it ("CUDA 12.4", "CANN 8.0.RC2", "ROCm 6.2.0", "Metal"), "" if nothing.
    """

    vendor: GpuVendor
    name: str
    kind: GpuKind
    memory_bytes: int | None = None
    free_bytes: int | None = None
    compute_capability: tuple[int, int] | None = None
    driver: str = ""
    runtime: str = ""


@dataclass(frozen=True)
class System:
    """The operating system and what surrounds this process.

    os: "linux", "macos", "windows" or another. release: the system's own version ("12", "14.5", "11").
    distribution: "debian", "ubuntu", ... and its full name. kernel: version. python: version, python_bits: 32 or 64.
    virtualisation: "wsl1", "wsl2", "kvm", ..., "" on bare metal. container: "docker", "podman", "lxc", ... or "".
    live: started from a live medium, so that changes are lost. translated: under Rosetta.
    clock_seconds: Unix time by its clock.
    """

    os: str = ""
    release: str = ""
    distribution: str = ""
    distribution_name: str = ""
    kernel: str = ""
    python: str = ""
    python_bits: int = 64
    virtualisation: str = ""
    container: str = ""
    live: bool = False
    translated: bool = False
    clock_seconds: float | None = None


@dataclass(frozen=True)
class Unknown:
    """A fact that could not be read ("memory", "gpu.nvidia") and the reason."""

    fact: str
    reason: Text


@dataclass(frozen=True)
class Machine:
    """Everything the probe found."""

    cpu: Cpu = field(default_factory=Cpu)
    memory: Memory = field(default_factory=Memory)
    disks: tuple[Disk, ...] = ()
    gpus: tuple[Gpu, ...] = ()
    system: System = field(default_factory=System)
    unknown: tuple[Unknown, ...] = ()

    @property
    def cores(self) -> int:
        """Physical cores that this process may use, at least 1."""
        return max(1, self.cpu.cores)

    @property
    def usable_bytes(self) -> int:
        """Memory that this process may have in all, what it holds already included.

        Where only the total could be read half of it is taken, and `ASSUMED_BYTES` where nothing could.
        """
        memory = self.memory
        free = memory.available_bytes
        if free is None:
            free = ASSUMED_BYTES if memory.total_bytes is None else memory.total_bytes // 2
        if memory.cgroup_limit_bytes is None:
            return free + memory.own_bytes
        left = max(0, memory.cgroup_limit_bytes - (memory.cgroup_used_bytes or 0))
        # Pages of ours that another group touched first are charged there: the sum may exceed our limit.
        return min(min(free, left) + memory.own_bytes, memory.cgroup_limit_bytes)

    def knows(self, fact: str) -> bool:
        """Whether `fact` ("cpu.features") could be read. An empty set of instruction sets may well be the truth."""
        return all(item.fact != fact for item in self.unknown)

    def disk_of(self, path: str | PurePath) -> Disk | None:
        """The file system that an absolute path lies on: the one with the longest mount point above it."""
        here = PurePath(path)
        above = [disk for disk in self.disks if here.is_relative_to(disk.mount)]
        # Of two that are mounted on one point the later one covers the earlier.
        return max(reversed(above), key=lambda disk: len(PurePath(disk.mount).parts), default=None)


def machine_with(
    *,
    usable_bytes: int,
    cores: int = 2,
    gpus: tuple[Gpu, ...] = (),
    features: frozenset[str] = frozenset({"sse4_2", "avx", "avx2", "fma", "f16c"}),
) -> Machine:
    """A made-up machine with this much memory free, for tests and for "what if": an AVX2 processor if not told."""
    return Machine(
        cpu=Cpu(architecture="x86_64", cores=cores, threads=cores, features=features),
        memory=Memory(total_bytes=usable_bytes, available_bytes=usable_bytes),
        gpus=gpus,
        system=System(os="linux"),
    )
