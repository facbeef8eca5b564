"""`nutshell export`: models into one file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from nutshell.errors import CorruptFile, OutputError, StoreError, os_reason
from nutshell.files import writing
from nutshell.language import join, tr
from nutshell.store.bundle import BLOBS, LICENCES, MANIFEST, WHEELS, Contents, Entry
from nutshell.store.bundle_gather import Packed, is_licence
from nutshell.store.bundle_tar import END, header, padding, tar_bytes
from nutshell.store.disk import free_bytes
from nutshell.store.hashing import CHUNK_BYTES, sha256_of
from nutshell.store.names import folder_name

_FAT_BYTES = 2**32 - 1
OnBytes = Callable[[int], None]


def export_bundle(
    packed: Sequence[Packed], target: Path, wheels: Sequence[Path] = (), on_bytes: OnBytes | None = None
) -> Contents:
    """Write a bundle, whole or not at all. on_bytes: told how many more bytes were written.

    Raises OutputError where it cannot be written, CorruptFile where a model on this machine is damaged.
    """
    contents, paths = plan_bundle(packed, wheels)
    listing = contents.to_json()
    size = bundle_bytes(contents)
    free = free_bytes(target.parent)
    if free is not None and size > free:
        raise OutputError(
            tr(
                "{target} needs {size:,.0f} MB and {free:,.0f} MB are free",
                target=target,
                size=size / 1000000.0,
                free=free / 1000000.0,
            ),
            tr("free some space, or write to another disk"),
        )
    try:
        with writing(target) as file:
            file.write(header(MANIFEST, len(listing)) + listing + bytes(padding(len(listing))))
            for entry in contents.entries:
                file.write(header(entry.name, entry.size))
                _copy(paths[entry.name], entry, file, on_bytes)
                file.write(bytes(padding(entry.size)))
            file.write(END)
    except OutputError as error:
        if isinstance(error, StoreError):
            raise
        hint = tr("free some space, or write to another disk")
        if size > _FAT_BYTES:
            fat = tr("FAT32 holds files below 4 GB: use exFAT, or export fewer models")
            hint = join("; ", (hint, fat))
        raise OutputError(error.message, hint) from error
    return contents


def plan_bundle(packed: Sequence[Packed], wheels: Sequence[Path] = ()) -> tuple[Contents, dict[str, Path]]:
    """What the bundle will hold, and where each entry comes from. The order is settled by names and hashes."""
    packed = sorted(packed, key=lambda each: each.model.manifest.name)
    entries: dict[str, Entry] = {}
    sources: dict[str, Path] = {}
    texts: list[Entry] = []
    for each in packed:
        for file in each.model.manifest.files:
            if file.sha256 in entries:
                continue
            licence = f"{LICENCES}{folder_name(each.model.manifest.name)}/{file.path}"
            entry = Entry(licence if is_licence(file.path) else f"{BLOBS}sha256-{file.sha256}", file.sha256, file.size)
            entries[file.sha256] = entry
            sources[entry.name] = each.paths[file.sha256]
    texts = sorted((entry for entry in entries.values() if entry.name.startswith(LICENCES)), key=_name)
    blobs = sorted((entry for entry in entries.values() if entry.name.startswith(BLOBS)), key=_name)
    carried = [Entry(WHEELS + path.name, sha256_of(path), path.stat().st_size) for path in sorted(wheels)]
    sources |= {entry.name: path for entry, path in zip(carried, sorted(wheels), strict=True)}
    return Contents(tuple(each.model for each in packed), (*texts, *blobs, *carried)), sources


def bundle_bytes(contents: Contents) -> int:
    """The size of the whole file."""
    return tar_bytes([len(contents.to_json()), *(entry.size for entry in contents.entries)]) + len(END)


def _name(entry: Entry) -> str:
    return entry.name


def _copy(source: Path, entry: Entry, target: IO[bytes], on_bytes: OnBytes | None) -> None:
    """The bytes that go into a bundle are those that its list of contents promises."""
    digest, left = hashlib.sha256(), entry.size
    try:
        original = source.open("rb")
    except OSError as error:
        raise CorruptFile(
            tr("{source} cannot be read: {reason}", source=source, reason=os_reason(error)),
            tr("nutshell verify tells more"),
        ) from error
    with original:
        while left and (chunk := original.read(min(CHUNK_BYTES, left))):
            target.write(chunk)
            digest.update(chunk)
            left -= len(chunk)
            if on_bytes is not None:
                on_bytes(len(chunk))
    if left or digest.hexdigest() != entry.sha256:
        raise CorruptFile(
            tr("{source} is not what it was when it was fetched", source=source),
            tr("nutshell verify finds damaged models"),
        )
