"""What `nutshell models`, `plan` and `bench` share: a planner as the settings have it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nutshell.language import Text, join, tr
from nutshell.settings import Settings

if TYPE_CHECKING:
    from nutshell.plan import Planner
    from nutshell.store.places import Places


GUESSED = tr("Times are guessed and may be off by a factor of three; nutshell bench --quick measures them.")


def planner_of(settings: Settings) -> Planner:
    """No engine is imported: what is installed is told from the packages."""
    from nutshell.machine import probe
    from nutshell.plan import Planner, installed_engines
    from nutshell.store.places import Places

    planner = Planner.of(
        probe(),
        installed_engines(),
        models=models_folder(Places.of(settings)),
        learn=settings["learn"],
        precision=settings["precision"],
        threads=settings["threads"],
        max_memory=settings["max_memory"],
    )
    return planner if settings["engine"] is None else planner.only(settings["engine"])


def models_folder(places: Places) -> Path:
    """Where models are read from: the store, the user's folder, else what comes with the program."""
    from nutshell.store import builtin_folder

    folders = [folder for folder in (places.store, places.yours) if folder is not None and folder.is_dir()]
    return (folders[0] if folders else builtin_folder()).absolute()


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
