"""How the worker opens models: settings that hold for every wish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nutshell.settings import DEFAULT_DECIBELS, Settings
from nutshell.store.places import Places
from nutshell.store.sticks import sticks


@dataclass(frozen=True)
class DrawSettings:
    """As the settings of the same names. None means the best here.

    vae, preview_vae: names, folders or files of autoencoders. embeddings: files of textual inversions. models, store:
    folders in which models are looked for. sticks: on removable drives too. max_memory: bytes. compile_cache: bytes of
    disk for compiled networks, 0 for none. polite: the process that draws gives way, not the one that
    answers.
    """

    engine: str | None = None
    precision: str | None = None
    threads: int | None = None
    max_memory: int | None = None
    prediction: str | None = None
    vae: str | None = None
    preview_vae: str | None = None
    embeddings: tuple[str, ...] = ()
    learn: bool = True
    int8_budget: float = DEFAULT_DECIBELS
    compile_cache: int = 0
    models: str | None = None
    store: str | None = None
    sticks: bool = True
    polite: bool = False

    @staticmethod
    def of(settings: Settings) -> DrawSettings:
        """Those of the command line, the environment and config.toml."""
        names = (
            *("engine", "precision", "int8_budget", "threads", "max_memory", "prediction", "vae", "preview_vae"),
            *("learn", "sticks", "polite"),
        )
        given: dict[str, Any] = {name: settings[name] for name in names}
        given |= {name: None if settings[name] is None else str(settings[name]) for name in ("models", "store")}
        if settings["compile_cache"] and not settings["amnesia"]:
            given["compile_cache"] = settings["compile_cache_limit"]
        return DrawSettings(**given, embeddings=tuple(map(str, settings["embedding"])))

    @property
    def places(self) -> Places:
        """Where models are looked for."""
        yours = None if self.models is None else Path(self.models)
        store = Places.usual().store if self.store is None else Path(self.store)
        return Places(yours, store, sticks if self.sticks else tuple)

    def to_json(self) -> dict[str, Any]:
        """As it goes to the worker process."""
        return asdict(self)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> DrawSettings:
        """What `to_json` made."""
        return DrawSettings(**{**values, "embeddings": tuple(values["embeddings"])})
