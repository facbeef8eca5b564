"""The store: models as manifests over files that are named by their SHA-256.

    blobs/sha256-<hex>           each file once, however many models hold it; .part: not all of it yet
    manifests/<name>.json        which files a model consists of: the source of truth
    models/<name>/...            the folder that engines open, made from the two (see `view`)
    models.lock.json             what was fetched from where, so that it is the same next time (see `pins`)

A manifest is written when all its blobs are there, so a model that is listed was whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from nutshell.errors import CorruptFile, ModelError, ModelNotFound, os_reason
from nutshell.files import sync_folder
from nutshell.language import tr
from nutshell.store.check import MISSING, OTHER, OnBytes, Verdict, look_at, put_away
from nutshell.store.disk import protect, telling, write_whole
from nutshell.store.hashing import CHUNK_BYTES
from nutshell.store.locking import locked
from nutshell.store.manifest import Manifest, StoredFile, is_sha256
from nutshell.store.names import folder_name
from nutshell.store.view import Link, has_size, place, take_out, whole

LARGEST_MANIFEST = 10_000_000  # bytes
DAMAGED = ".damaged"
_LOG = logging.getLogger(__name__)


class Store:
    """A store in `folder`, which need not exist yet. link: makes a hard link, for tests of disks without them.

    Reading takes no lock. `add_blob`, `put`, `remove` and `set_aside` want `lock()` held by the caller, who mostly
    does several things under it.
    """

    def __init__(self, folder: Path, link: Link = os.link) -> None:
        self.folder = folder
        self._link = link

    def lock(self, on_wait: Callable[[], None] | None = None) -> contextlib.AbstractContextManager[None]:
        """Keep other processes from changing the store for the length of a `with`."""
        return locked(self.folder, on_wait)

    # ------------------------------------------------------------ reading

    def manifests(self, *, strict: bool = False) -> dict[str, Manifest]:
        """Every model by name. One with a damaged manifest is told in the log and left out; strict: CorruptFile."""
        try:
            files = sorted((self.folder / "manifests").glob("[!.]*.json"))
        except OSError:
            return {}
        found = {}
        for file in files:
            try:
                manifest = self._read(file)
            except ModelError as error:
                if strict:
                    raise
                _LOG.warning(error.message)
                continue
            if manifest is not None:
                found[manifest.name] = manifest
        return found

    def manifest(self, name: str) -> Manifest:
        """One model. Raises ModelNotFound, CorruptFile."""
        manifest = self._read(self.manifest_path(name))
        # A case-insensitive disk finds Tiny-SD where tiny-sd lies.
        if manifest is None or manifest.name != name:
            raise ModelNotFound(
                tr("there is no model named {name!r} in {folder}", name=name, folder=self.folder),
                tr("nutshell pull {name}", name=name),
            )
        return manifest

    def blob(self, sha256: str) -> Path:
        """The file with that hash, wherever the store keeps it. Raises ModelNotFound."""
        path = self.find_blob(sha256)
        if path is None:
            raise ModelNotFound(
                tr("the store {folder} has no file {sha256}", folder=self.folder, sha256=sha256),
                tr("nutshell verify names what is gone"),
            )
        return path

    def find_blob(self, sha256: str, size: int | None = None) -> Path | None:
        """Like `blob`, None where there is none, or none of that size in bytes."""
        path = self.blob_path(sha256)
        if path.is_file() and (size is None or has_size(path, size)):
            return path
        for manifest in self.manifests().values():
            for file in manifest.files:
                # On a disk without links it lies in a view.
                if file.sha256 == sha256 and has_size(self.view(manifest.name) / file.path, file.size):
                    return self.view(manifest.name) / file.path
        return None

    def blob_path(self, sha256: str) -> Path:
        """Where a blob belongs. Raises CorruptFile for what is no hash: it may come from outside."""
        if not is_sha256(sha256):
            raise CorruptFile(tr("{sha256!r} is no SHA-256", sha256=str(sha256)[:80]))
        return self.folder / "blobs" / f"sha256-{sha256}"

    def manifest_path(self, name: str) -> Path:
        return self.folder / "manifests" / f"{folder_name(name)}.json"

    def view(self, name: str) -> Path:
        """The folder that engines open. `repair` makes sure that it is whole."""
        return self.folder / "models" / folder_name(name)

    def is_whole(self, name: str) -> bool:
        """Whether the model is here and its view has every file in its size. Takes no lock, opens no blob."""
        manifest = self._read(self.manifest_path(name))
        return manifest is not None and whole(self.view(name), manifest)

    # ------------------------------------------------------------ writing

    def add_blob(self, stream: IO[bytes], sha256: str, size: int) -> Path:
        """Take in `size` bytes and keep them if they have that hash. Raises CorruptFile, StoreError."""
        target = self.blob_path(sha256)
        part = target.with_name(f".{target.name}.part")
        with telling(self.folder):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                digest, left = hashlib.sha256(), size
                with open(part, "wb") as file:
                    while left and (chunk := stream.read(min(CHUNK_BYTES, left))):
                        file.write(chunk)
                        digest.update(chunk)
                        left -= len(chunk)
                    if left or digest.hexdigest() != sha256:
                        raise CorruptFile(
                            tr("a file is not the one it was said to be (sha256 {sha256})", sha256=sha256),
                            tr("get it again"),
                        )
                    file.flush()
                    os.fsync(file.fileno())
                self.keep(part, sha256)
            finally:
                part.unlink(missing_ok=True)
        return target

    def keep(self, part: Path, sha256: str) -> None:
        """Give a checked and synced file on the store's disk its name among the blobs."""
        target = self.blob_path(sha256)
        protect(part)
        os.replace(part, target)
        sync_folder(target.parent)
        target.with_name(target.name + DAMAGED).unlink(missing_ok=True)

    def put(self, manifest: Manifest) -> None:
        """List a model whose blobs are all here, and make its view. Raises ModelError naming a file that is not."""
        for file in manifest.files:
            if self.find_blob(file.sha256, file.size) is None:
                raise ModelError(
                    tr("{name}: {path} is not in the store", name=manifest.name, path=file.path),
                    tr("nutshell pull {name}", name=manifest.name),
                )
        with telling(self.folder):
            before = self._read(self.manifest_path(manifest.name))
            if before is not None and before != manifest:
                if before.name != manifest.name:
                    raise ModelError(
                        tr(
                            "a model {name!r} is here, and some disks cannot tell it from {name2!r}",
                            name=before.name,
                            name2=manifest.name,
                        ),
                        tr("nutshell remove {name}", name=before.name),
                    )
                take_out(self.view(manifest.name), before.files, self.blob_path)
            write_whole(self.manifest_path(manifest.name), manifest.to_json())
            self._make_view(manifest)
            if before is not None:
                self._drop_blobs(before.files)

    def repair(self, name: str) -> Path:
        """Make the view whole again from the blobs and return it. Raises ModelError naming what is gone."""
        manifest = self.manifest(name)
        for file in manifest.files:
            if self.find_blob(file.sha256, file.size) is None:
                raise ModelError(
                    tr("the model {name} lacks {path}", name=name, path=file.path),
                    tr("nutshell pull {name} fetches what is missing", name=name),
                )
        with telling(self.folder):
            self._make_view(manifest)
        return self.view(name)

    def remove(self, name: str) -> int:
        """Remove a model and the files that no other one holds. Returns the bytes freed. Raises ModelNotFound."""
        manifest = self.manifest(name)
        with telling(self.folder):
            take_out(self.view(name), manifest.files, self.blob_path)
            freed = self._drop_blobs(manifest.files, leaving=name)
            # Last, so that a removal that was cut short can be repeated.
            self.manifest_path(name).unlink(missing_ok=True)
            sync_folder(self.folder / "manifests")
        return freed

    # ------------------------------------------------------------ checking

    def verify(self, name: str, on_bytes: OnBytes | None = None) -> Verdict:
        """Read every byte of a model and compare. Changes nothing. Raises ModelNotFound."""
        damaged, missing = [], []
        for file in self.manifest(name).files:
            state = look_at(self._places_of(name, file), file, on_bytes)
            if state == MISSING:
                missing.append(file)
            elif state == OTHER:
                damaged.append(file)
        return Verdict(name, tuple(damaged), tuple(missing))

    def set_aside(self, verdict: Verdict) -> None:
        """Take damaged files out of use, so that `pull` fetches them again; they stay beside as `.damaged`."""
        with telling(self.folder):
            for file in verdict.damaged:
                blob = self.blob_path(file.sha256)
                blob.parent.mkdir(parents=True, exist_ok=True)
                put_away(self._places_of(verdict.name, file), file, blob.with_name(blob.name + DAMAGED))

    # ------------------------------------------------------------ inside

    def _places_of(self, name: str, file: StoredFile) -> tuple[Path, Path]:
        return self.blob_path(file.sha256), self.view(name) / file.path

    def _read(self, path: Path) -> Manifest | None:
        try:
            with open(path, "rb") as file:
                return Manifest.from_json(file.read(LARGEST_MANIFEST), str(path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ModelError(
                tr("{path} cannot be read: {reason}", path=path, reason=os_reason(error)), tr("check the disk")
            ) from error

    def _make_view(self, manifest: Manifest) -> None:
        for file in manifest.files:
            target = self.view(manifest.name) / file.path
            source = self.find_blob(file.sha256, file.size)
            if source is not None and source != target:
                place(source, target, may_move=source == self.blob_path(file.sha256), link=self._link)

    def _drop_blobs(self, files: tuple[StoredFile, ...], leaving: str = "") -> int:
        """Delete those blobs that no manifest but that of `leaving` lists; returns their bytes."""
        # Strict: nobody knows what a damaged manifest lists.
        others = (manifest for name, manifest in self.manifests(strict=True).items() if name != leaving)
        wanted = {file.sha256 for manifest in others for file in manifest.files}
        freed = 0
        for sha256, size in {file.sha256: file.size for file in files}.items():
            if sha256 not in wanted and self.blob_path(sha256).exists():
                self.blob_path(sha256).unlink()
                freed += size
        return freed
