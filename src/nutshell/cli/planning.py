"""What `nutshell models`, `plan` and the menu say of the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nutshell.language import Text, join, tr

if TYPE_CHECKING:
    from nutshell.plan import Planner


GUESSED = tr("Times are guessed and may be off by a factor of three; nutshell bench --quick measures them.")


def machine_line(planner: Planner) -> Text:
    """`This machine: Intel ..., 2 cores; 7.1 GB of memory may be used.`"""
    from nutshell.plan.words import megabytes

    cpu = planner.machine.cpu
    count = planner.machine.cores
    cores = tr("1 core") if count == 1 else tr("{cores} cores", cores=count)
    cards = (gpu.name for gpu in planner.machine.gpus)
    return tr(
        "This machine: {parts}; {memory} of memory may be used.",
        parts=join(", ", (cpu.model or cpu.architecture or tr("an unknown processor"), cores, *cards)),
        memory=megabytes(planner.ceiling_bytes),
    )
