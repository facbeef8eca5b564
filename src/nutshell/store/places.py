"""Where models are looked for: a folder of the user's, the store of what was fetched, removable drives."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nutshell.errors import NutshellError
from nutshell.settings import Settings, resolve
from nutshell.store.names import check_name, folder_name
from nutshell.store.sticks import sticks
from nutshell.store.store import Store
from nutshell.user_folders import data_folder


@dataclass(frozen=True)
class Place:
    """A folder with models in it. kind: "yours" (--models), "store", "stick"."""

    folder: Path
    kind: str

    @property
    def store(self) -> Store | None:
        """The store that lies there; None for a folder of plain model folders and files."""
        return Store(self.folder) if self.kind == "store" or (self.folder / "manifests").is_dir() else None


@dataclass(frozen=True)
class Places:
    """In the order in which they are searched. sticks: found when they are needed."""

    yours: Path | None = None
    store: Path | None = None
    sticks: Callable[[], tuple[Path, ...]] = tuple

    @staticmethod
    def of(settings: Settings, environment: Mapping[str, str] | None = None) -> Places:
        """As the settings say."""
        usual = data_folder(os.environ if environment is None else environment)
        store = settings["store"] or (usual / "models" if usual is not None else None)
        return Places(settings["models"], store, sticks if settings["sticks"] else tuple)

    @staticmethod
    def usual() -> Places:
        """As environment and config.toml say. Raises UsageError as settings do."""
        return Places.of(resolve({}))

    def __iter__(self) -> Iterator[Place]:
        if self.yours is not None:
            yield Place(self.yours, "yours")
        if self.store is not None:
            yield Place(self.store, "store")
        for stick in self.sticks():
            yield Place(stick, "stick")


def look_up(name: str, places: Places) -> tuple[Path, Place] | None:
    """The folder or file of a model by its name; None where no place has it.

    Raises ModelError for a model of the store that is damaged. No connection is made.
    """
    for place in places:
        store = place.store
        if store is not None and _is_name(name) and store.manifest_path(name).is_file():
            try:
                if store.manifest(name).name == name:
                    return opened(store, name), place
            except NutshellError:
                # A stick that was pulled out half way must not hide what the next place has.
                if place.kind != "stick":
                    raise
        if place.kind != "store":
            found = _plain(place.folder, name)
            if found is not None:
                return found, place
    return None


def is_here(name: str, places: Places) -> bool:
    """Whether `look_up` would find it whole; nothing is repaired."""
    for place in places:
        store = place.store
        with contextlib.suppress(NutshellError):
            if store is not None and _is_name(name) and store.is_whole(name):
                return True
        if place.kind != "store" and _plain(place.folder, name) is not None:
            return True
    return False


def opened(store: Store, name: str) -> Path:
    """What engines open of a stored model: its folder, or the file where it is a single checkpoint."""
    manifest = store.manifest(name)
    folder = store.view(name)
    if not store.is_whole(name):
        with store.lock():
            folder = store.repair(name)
    paths = [file.path for file in manifest.files]
    weights = [path for path in paths if path.endswith(".safetensors")]
    alone = len(weights) == 1 and "/" not in weights[0] and not {"model_index.json", "config.json"} & set(paths)
    return folder / weights[0] if alone else folder


def plain_models(folder: Path) -> list[Path]:
    """Model folders and single files in `folder`, as one downloads them; none where it cannot be read."""
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        # A stick may be pulled out at any moment.
        return []
    return [path for path in paths if (path / "model_index.json").is_file() or path.suffix == ".safetensors"]


def _plain(folder: Path, name: str) -> Path | None:
    words = [name, f"{name}.safetensors"]
    if _is_name(name):
        words.append(folder_name(name))
    for word in words:
        if word not in ("", ".", "..") and (folder / word).exists():
            return folder / word
    return None


def _is_name(name: str) -> bool:
    try:
        return bool(check_name(name))
    except NutshellError:
        return False
