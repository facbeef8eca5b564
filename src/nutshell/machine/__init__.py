"""The machine: what it has, and what this process takes of it."""

from nutshell.machine.memory import PeakMeter, available_bytes
from nutshell.machine.probe import Machine, probe

__all__ = ["Machine", "PeakMeter", "available_bytes", "probe"]
