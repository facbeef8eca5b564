"""Rules about the processor, Python and the clock."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from nutshell.language import tr
from nutshell.machine.examination import Examination
from nutshell.machine.rules.finding import Finding

_X86 = ("x86_64", "i686", "i586", "i386")

# In these drivers "powersave" is the ordinary governor, which raises the clock when there is work
# (the kernel's Documentation/admin-guide/pm/intel_pstate.rst and amd-pstate.rst).
_OWN_GOVERNORS = ("intel_pstate", "amd-pstate-epp", "amd_pstate_epp")

_EARLIEST = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
_DAY_SECONDS = 86_400


def instruction_sets(examination: Examination) -> Iterator[Finding]:
    """What `machine.library_needs` has the sources of; ONNX Runtime picks what is there."""
    machine = examination.machine
    if machine.cpu.architecture not in _X86 or machine.system.translated or not machine.knows("cpu.features"):
        return
    model = {"model": machine.cpu.model or machine.cpu.architecture}
    if "sse4_2" not in machine.cpu.features:
        yield Finding("no-sse42", "stops", model)
    elif "avx2" not in machine.cpu.features:
        yield Finding("no-avx2", "limits", model)


def python(examination: Examination) -> Iterator[Finding]:
    """A Python that is not the machine's own kind."""
    system = examination.machine.system
    # Old ARM boards are 32-bit throughout, and ONNX Runtime is made for them.
    if system.python_bits == 32 and not examination.machine.cpu.architecture.startswith("armv7"):
        yield Finding("python-32-bit", "stops")
    if system.translated:
        yield Finding("rosetta", "limits")


def governor(examination: Examination) -> Iterator[Finding]:
    """A clock that stays at its lowest."""
    cpu = examination.machine.cpu
    if cpu.governor == "powersave" and cpu.governor_driver not in _OWN_GOVERNORS:
        yield Finding("powersave", "limits", {"driver": cpu.governor_driver or tr("an unknown driver")})


def clock(examination: Examination) -> Iterator[Finding]:
    """A date before this program was written, or far from a hub's."""
    seconds = examination.machine.system.clock_seconds
    if seconds is not None and seconds < _EARLIEST.timestamp():
        date = datetime.datetime.fromtimestamp(max(0.0, seconds), datetime.timezone.utc)
        yield Finding("clock-wrong", "limits", {"date": f"{date:%Y-%m-%d}"})
        return
    for hub in examination.hubs or ():
        ahead = hub.clock_ahead_seconds
        if ahead is not None and abs(ahead) > _DAY_SECONDS:
            yield Finding("clock-off", "limits", {"hours": f"{abs(ahead) / 3600:.0f}"})
            return
