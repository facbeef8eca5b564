"""`nutshell import`: a bundle into the store, every byte checked on the way."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from nutshell.catalogue import cards, keep_card
from nutshell.errors import CorruptFile, ModelNotFound, NutshellError, StoreError, os_reason
from nutshell.language import Text, tr
from nutshell.store.bundle import WHEELS, BundledModel, Contents, Entry
from nutshell.store.bundle_tar import END, Reader, tar_bytes
from nutshell.store.disk import free_bytes
from nutshell.store.names import folder_name
from nutshell.store.store import Store

OnBytes = Callable[[int], None]
OnWait = Callable[[], None]


@dataclass(frozen=True)
class Imported:
    """models: those that are in the store now. left_out: those that were not wanted. copied: bytes written."""

    models: tuple[BundledModel, ...]
    left_out: tuple[BundledModel, ...]
    copied: int


def import_bundle(
    path: Path,
    store: Store,
    wanted: Callable[[BundledModel], bool] = lambda model: True,
    on_bytes: OnBytes | None = None,
    on_total: OnBytes | None = None,
    on_wait: OnWait | None = None,
) -> Imported:
    """Take the models of a bundle into the store. wanted: which of them. on_total: told once what will be read.

    What is in the store already is not copied again, so an import that was broken off goes on where it was. A model is
    listed only when all its files are whole. Raises CorruptFile, ModelNotFound, StoreError, ModelError.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise ModelNotFound(
            tr("{path} cannot be read: {reason}", path=path, reason=os_reason(error)), tr("check the path")
        ) from error
    with file:
        reader = Reader(file, path)
        raw = reader.manifest()
        contents = Contents.from_json(raw, str(path))
        _check_length(path, tar_bytes([len(raw), *(entry.size for entry in contents.entries)]) + len(END))
        if on_total is not None:
            on_total(sum(entry.size for entry in contents.entries))
        models = tuple(model for model in contents.models if wanted(model))
        with store.lock(on_wait):
            copied = _take_in(reader, contents, models, store, on_bytes or (lambda count: None))
    return Imported(models, tuple(model for model in contents.models if model not in models), copied)


def _check_length(path: Path, want: int) -> None:
    size = path.stat().st_size
    if size < want:
        raise CorruptFile(
            tr("{path} is cut short: {size:,} of {want:,} bytes are there", path=path, size=size, want=want),
            tr("copy the bundle again; FAT32 sticks hold files below 4 GB"),
        )


def _take_in(
    reader: Reader, contents: Contents, models: tuple[BundledModel, ...], store: Store, on_bytes: OnBytes
) -> int:
    _sweep(store)
    names = _names(models)
    missing = {
        entry.name
        for entry in contents.entries
        if entry.sha256 in names
        and not entry.name.startswith(WHEELS)
        and store.find_blob(entry.sha256, entry.size) is None
    }
    need = sum(entry.size for entry in contents.entries if entry.name in missing)
    free = free_bytes(store.folder)
    if free is not None and need > free:
        raise StoreError(
            tr(
                "this needs {need:,.0f} MB and {folder} has {free:,.0f} MB free",
                need=need / 1000000.0,
                folder=store.folder,
                free=free / 1000000.0,
            ),
            tr("free some space, or choose a folder on another disk with --store"),
        )
    for entry in contents.entries:
        if entry.name in missing:
            _add(reader, entry, names[entry.sha256], store, on_bytes)
        elif entry.name.startswith(WHEELS):
            reader.check(entry)
            on_bytes(entry.size)
        else:
            reader.skip(entry)
            on_bytes(entry.size)
    reader.end()
    for model in models:
        store.put(model.manifest)
    return need


def _sweep(store: Store) -> None:
    """Throw away what imports that were killed left behind; the lock says that nobody is at work."""
    for part in (store.folder / "blobs").glob(".*.part"):
        with contextlib.suppress(OSError):
            part.unlink()


def _add(reader: Reader, entry: Entry, name: str, store: Store, on_bytes: OnBytes) -> None:
    stream = _Counted(reader, entry, on_bytes)
    try:
        store.add_blob(cast("IO[bytes]", stream), entry.sha256, entry.size)
    except CorruptFile as error:
        if stream.member.left:
            raise
        raise reader.damaged(name) from error
    reader.close(entry)


def _names(models: tuple[BundledModel, ...]) -> dict[str, Text]:
    """SHA-256 -> what people call that file."""
    return {
        file.sha256: tr("{path} of {name}", path=file.path, name=model.manifest.name)
        for model in models
        for file in model.manifest.files
    }


class _Counted:
    """An entry as the store reads it, counted on the way."""

    def __init__(self, reader: Reader, entry: Entry, on_bytes: OnBytes) -> None:
        self.member = reader.open(entry)
        self._on_bytes = on_bytes

    def read(self, count: int) -> bytes:
        chunk = self.member.read(count)
        self._on_bytes(len(chunk))
        return chunk


def is_built_in(model: BundledModel) -> bool:
    """Whether this program comes with a model of that name; its own copy is the one that fits it."""
    card = cards().get(model.manifest.name)
    return card is not None and bool(card.folder)


def keep_cards(models: tuple[BundledModel, ...], folder: Path | None) -> list[Text]:
    """Keep the cards of models that have none here, and say in a line each what was not kept and why."""
    notes: list[Text] = []
    for model in models:
        name = model.manifest.name
        if model.card is None or name in cards() or folder_name(name) != name:
            continue
        try:
            keep_card(model.card, folder)
        except NutshellError as error:
            notes.append(
                tr("{name}: its card could not be kept ({error}); its defaults are guessed", name=name, error=error)
            )
    return notes
