"""What goes into a bundle: the files of a model, wherever it lies on this machine."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nutshell.catalogue import ModelCard, cards
from nutshell.errors import ModelNotFound, OutputError, UsageError
from nutshell.language import tr
from nutshell.store.bundle import BundledModel
from nutshell.store.find import builtin_folder, find
from nutshell.store.hashing import sha256_of
from nutshell.store.listing import CALIBRATION, select
from nutshell.store.local import PlainFolder
from nutshell.store.manifest import Manifest, StoredFile
from nutshell.store.names import check_name, check_path
from nutshell.store.places import Places, look_up
from nutshell.store.store import Store

LICENCE_NAMES = ("LICENSE", "LICENCE", "COPYING", "NOTICE")


@dataclass(frozen=True)
class Packed:
    """A model and where each of its files lies, by SHA-256."""

    model: BundledModel
    paths: Mapping[str, Path]


def is_licence(path: str) -> bool:
    return path.upper().rpartition("/")[2].startswith(LICENCE_NAMES)


def gather(name: str, places: Places) -> Packed:
    """A model of this machine: built in, fetched, on a removable drive, or one that a card of the user's points to.

    Files that do not lie in a store are read for their hashes. Raises ModelNotFound, ModelError.
    """
    card = cards().get(name)
    if card is not None and card.folder:
        base = builtin_folder() / cards()[card.base].folder if card.base else None
        return _from_folder(name, builtin_folder() / card.folder, base, card, source="nutshell")
    for place in places:
        if place.store is not None and name in place.store.manifests():
            return _from_store(name, place.store, card)
    if card is not None and card.path:
        return _from_folder(name, find(name).path, None, card, source="")
    found = look_up(name, places)
    if found is not None:
        return _from_folder(name, found[0], None, card, source="")
    if card is not None:
        raise ModelNotFound(
            tr("the model {name} is not on this machine", name=name), tr("nutshell pull {name}", name=name)
        )
    kept = [name for place in places if place.store is not None for name in place.store.manifests()]
    here = dict.fromkeys([*kept, *(each.name for each in cards().values() if each.folder or each.path)])
    raise ModelNotFound(
        tr("there is no model named {name!r} here", name=name),
        tr("these are here: {here}; nutshell add FILE gives a file of yours a name", here=", ".join(here)),
    )


def wheel_files(folder: Path) -> list[Path]:
    """The wheels in a folder, by name. Raises OutputError if there are none."""
    found = sorted(path for path in folder.glob("*.whl") if path.is_file())
    if not found:
        raise OutputError(
            tr("{folder} holds no wheels (*.whl)", folder=folder), tr("make some: pip download nutshell -d FOLDER")
        )
    for path in found:
        check_path(path.name, str(folder))
    return found


def _from_store(name: str, store: Store, card: ModelCard | None) -> Packed:
    manifest = store.manifest(name)
    return Packed(BundledModel(manifest, card), {file.sha256: store.blob(file.sha256) for file in manifest.files})


def _from_folder(name: str, root: Path, base: Path | None, card: ModelCard | None, source: str) -> Packed:
    files: dict[str, tuple[StoredFile, Path]] = {}
    for folder in (base, root):
        if folder is None:
            continue
        # A base's calibration card is about other weights than the model's.
        listed = [file for file in select(PlainFolder(folder).listing()) if folder == root or file.path != CALIBRATION]
        # What the model has itself stands in for all that its base has there.
        tops = {file.path.partition("/")[0] for file in listed}
        files = {path: held for path, held in files.items() if path.partition("/")[0] not in tops}
        for file in listed:
            path = folder / file.path if folder.is_dir() else folder
            files[file.path] = (StoredFile(file.path, file.sha256, file.size), path)
    licence = _licence_of_program() if card is not None and card.folder else None
    if licence is not None and not any(is_licence(path) for path in files):
        files["LICENSE"] = (StoredFile("LICENSE", sha256_of(licence), licence.stat().st_size), licence)
    stored = tuple(stored for _, (stored, _) in sorted(files.items()))
    manifest = Manifest(_plain_name(name), stored, source=source, licence=card.licence if card else "")
    return Packed(BundledModel(manifest, card), {held.sha256: path for held, path in files.values()})


def _plain_name(name: str) -> str:
    """A card may be called anything; what travels needs a name that every disk can hold."""
    try:
        return check_name(name)
    except UsageError as error:
        raise UsageError(
            tr("{name!r} cannot travel under this name", name=name),
            tr("nutshell add FILE --name gives it a plain one, such as my-model"),
        ) from error


def _licence_of_program() -> Path | None:
    """The licence of the program and of the models that come with it; in a source tree it lies at its root."""
    candidates = [Path(__file__).parents[3] / "LICENSE"]
    try:
        installed = importlib.metadata.files("nutshell") or ()
    except importlib.metadata.PackageNotFoundError:
        installed = ()
    candidates += [Path(str(file.locate())) for file in installed if file.name == "LICENSE"]
    return next((path for path in candidates if path.is_file()), None)
