"""The machine: what it has, and what this process takes of it."""

from nutshell.machine.facts import FEATURES, Cpu, Disk, Gpu, Machine, Memory, System, Unknown, machine_with
from nutshell.machine.kernel_limits import kernel_cpu
from nutshell.machine.library_needs import Lack, lack
from nutshell.machine.memory import PeakMeter, available_bytes
from nutshell.machine.probe import probe, probe_processor

__all__ = [
    "FEATURES",
    "Cpu",
    "Disk",
    "Gpu",
    "Lack",
    "Machine",
    "Memory",
    "PeakMeter",
    "System",
    "Unknown",
    "available_bytes",
    "kernel_cpu",
    "lack",
    "machine_with",
    "probe",
    "probe_processor",
]
