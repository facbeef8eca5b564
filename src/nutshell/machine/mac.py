"""macOS: what `sysctl` says."""

from __future__ import annotations

from nutshell.language import tr
from nutshell.machine.source import Source, Unreadable

_SECONDS = 1.0


def sysctl(source: Source) -> dict[str, str]:
    """The trees `hw` and `machdep.cpu`, "name: value" a line, in one call.

    A name that this Mac lacks makes it complain and go on, so its exit code says nothing.
    """
    output = source.run("sysctl", "hw", "machdep.cpu", "sysctl.proc_translated", timeout=_SECONDS)
    lines = (line.partition(":") for line in output.text.splitlines())
    facts = {name.strip(): value.strip() for name, colon, value in lines if colon and " " not in name.strip()}
    if "hw.memsize" not in facts and "hw.physicalcpu" not in facts:
        raise Unreadable(tr("sysctl said nothing of the hardware (exit code {code})", code=output.code))
    return facts
