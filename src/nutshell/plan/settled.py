"""A planner as the settings have it."""

from __future__ import annotations

from pathlib import Path

from nutshell.machine import probe
from nutshell.plan.installed import installed_engines
from nutshell.plan.planner import Planner
from nutshell.settings import Settings
from nutshell.store import builtin_folder
from nutshell.store.places import Places


def planner_of(settings: Settings) -> Planner:
    """No engine is imported: what is installed is told from the packages. Raises EngineUnavailable."""
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
    folders = [folder for folder in (places.store, places.yours) if folder is not None and folder.is_dir()]
    return (folders[0] if folders else builtin_folder()).absolute()
