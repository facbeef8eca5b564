"""A bundle (`.nut`): models in one file, for a machine that never saw a network.

It is a plain tar, so that any tool can look into it. The same models make the same bytes.

    manifest.json                  what is in it: models, their files and cards, and every entry below
    licences/<model>/LICENSE       licence texts, under names that a person finds
    blobs/sha256-<hex>             every other file, once, however many models hold it
    wheels/<name>.whl              optional: the program itself, for `pip install --no-index`

The manifest lists the entries in their order with sizes and hashes, and a reader accepts exactly these: no name in the
tar ever becomes a path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nutshell.catalogue import ModelCard
from nutshell.catalogue.write import card_table
from nutshell.errors import CorruptFile, NutshellError
from nutshell.language import tr
from nutshell.store.manifest import Manifest, is_sha256
from nutshell.store.names import check_paths, folder_name

FORMAT = 1
KIND = "nutshell bundle"
SUFFIX = ".nut"
MANIFEST = "manifest.json"
LICENCES, BLOBS, WHEELS = "licences/", "blobs/", "wheels/"
LARGEST_MANIFEST = 10_000_000  # bytes
_AGAIN = tr("copy or export the bundle again")
# A bundle does not say where things lie on the machine that it came from, or which parts another program has.
LOCAL_KEYS = ("path", "folder", "base")


@dataclass(frozen=True)
class Entry:
    """One file in the tar. size: in bytes."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class BundledModel:
    """manifest: as the store keeps it. card: None if the model has none."""

    manifest: Manifest
    card: ModelCard | None = None


@dataclass(frozen=True)
class Contents:
    """What a bundle says it holds. entries: in the order in which they follow."""

    models: tuple[BundledModel, ...]
    entries: tuple[Entry, ...]

    def to_json(self) -> bytes:
        models = [{**json.loads(model.manifest.to_json()), "card": _table(model.card)} for model in self.models]
        entries = [{"name": entry.name, "sha256": entry.sha256, "size": entry.size} for entry in self.entries]
        table = {"kind": KIND, "format": FORMAT, "models": models, "entries": entries}
        return (json.dumps(table, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()

    @staticmethod
    def from_json(raw: bytes, origin: str) -> Contents:
        """Check everything; it comes from outside. Raises CorruptFile naming `origin`."""
        try:
            table = json.loads(raw)
            if table["kind"] != KIND:
                raise CorruptFile(tr("{origin} is no bundle of Nutshell", origin=origin), _AGAIN)
            if table["format"] != FORMAT:
                raise CorruptFile(
                    tr(
                        "{origin} is a bundle of format {table!r}, and this version reads {format}",
                        origin=origin,
                        table=table["format"],
                        format=FORMAT,
                    ),
                    tr("update nutshell on this machine, or export the bundle with the version that is here"),
                )
            models = tuple(_model(item, origin) for item in table["models"])
            entries = tuple(_entry(item) for item in table["entries"])
            check_paths((entry.name for entry in entries), origin)
            check_paths((folder_name(model.manifest.name) for model in models), origin)
        except CorruptFile:
            raise
        except NutshellError as error:
            raise CorruptFile(
                tr("{origin} is no bundle that can be used: {error}", origin=origin, error=error), error.hint or _AGAIN
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CorruptFile(
                tr("{origin} is no bundle of Nutshell: its list of contents cannot be read", origin=origin), _AGAIN
            ) from error
        _check_complete(models, entries, origin)
        return Contents(models, entries)


def _table(card: ModelCard | None) -> dict[str, Any] | None:
    return None if card is None else {key: value for key, value in card_table(card).items() if key not in LOCAL_KEYS}


def _model(item: Any, origin: str) -> BundledModel:
    table: Mapping[str, Any] | None = item["card"]
    manifest = Manifest.from_table(item, origin)
    if table is None:
        return BundledModel(manifest)
    if any(key in table for key in LOCAL_KEYS):
        raise ValueError
    return BundledModel(manifest, ModelCard.read(manifest.name, table))


def _entry(item: Any) -> Entry:
    name, sha256, size = item["name"], item["sha256"], item["size"]
    if not isinstance(name, str) or not name.startswith((LICENCES, BLOBS, WHEELS)) or not is_sha256(sha256):
        raise ValueError
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ValueError
    return Entry(name, sha256, size)


def _check_complete(models: tuple[BundledModel, ...], entries: tuple[Entry, ...], origin: str) -> None:
    """Every file of every model has its entry, and no content comes twice."""
    held = {(entry.sha256, entry.size) for entry in entries if not entry.name.startswith(WHEELS)}
    if not models or len(held) != sum(not entry.name.startswith(WHEELS) for entry in entries):
        raise CorruptFile(
            tr("{origin} is no bundle that can be used: it lists nothing, or a file twice", origin=origin), _AGAIN
        )
    for model in models:
        for file in model.manifest.files:
            if (file.sha256, file.size) not in held:
                raise CorruptFile(
                    tr("{origin} lacks {path} of {name}", origin=origin, path=file.path, name=model.manifest.name),
                    _AGAIN,
                )
