"""The machine: what it has, and what this process takes of it."""

from nutshell.machine.facts import FEATURES, Cpu, Disk, Gpu, Machine, Memory, System, Unknown, machine_with
from nutshell.machine.memory import PeakMeter, available_bytes
from nutshell.machine.probe import probe

__all__ = [
    "FEATURES",
    "Cpu",
    "Disk",
    "Gpu",
    "Machine",
    "Memory",
    "PeakMeter",
    "System",
    "Unknown",
    "available_bytes",
    "machine_with",
    "probe",
]
