"""Models in a folder: another store (a stick), or plain model folders and files as one downloads them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from nutshell.errors import FetchError, ModelNotFound, NutshellError, os_reason
from nutshell.language import tr
from nutshell.store.download import Offer
from nutshell.store.hashing import CHUNK_BYTES, Digest, sha256_of
from nutshell.store.listing import INDEX, Listed, Listing, same
from nutshell.store.names import folder_name
from nutshell.store.store import Store
from nutshell.store.web import Body

STICK_FOLDER = "nutshell-models"
_USED = (".safetensors", ".json", ".txt", ".model")


class OtherStore:
    """A store as a source: a stick's, or one given by --from."""

    asked = None

    def __init__(self, folder: Path, name: str) -> None:
        self.source = self.where = str(folder)
        self._store, self._name = Store(folder), name

    def listing(self) -> Listing:
        try:
            manifest = self._store.manifest(self._name)
        except ModelNotFound as error:
            raise FetchError(
                tr("{where} has no model {name}", where=self.where, name=self._name),
                tr("nutshell list shows what it has"),
            ) from error
        files = (Listed(file.path, file.size, Digest("sha256", file.sha256), file.sha256) for file in manifest.files)
        return Listing(manifest.source or self.source, manifest.revision, tuple(files))

    def offer(self, file: Listed, listing: Listing) -> Offer | None:
        sha256 = file.sha256
        if not sha256:
            try:
                sha256 = same(file, self.listing()).sha256
            except NutshellError:
                return None
        path = self._store.find_blob(sha256, file.size)
        return None if path is None else Offer(self.where, lambda start: read_from(path, start))


class PlainFolder:
    """A model folder, or a .safetensors file, as it lies: `root` is that itself."""

    asked = None

    def __init__(self, root: Path) -> None:
        self.source = self.where = str(root)
        self._root = root

    def listing(self) -> Listing:
        """Every file that could be of use, with its hash: all of it is read."""
        folder = self._root if self._root.is_dir() else self._root.parent
        paths = sorted(self._root.rglob("*")) if self._root.is_dir() else [self._root]
        files = []
        for path in paths:
            name = path.relative_to(folder)
            hidden = any(part.startswith(".") for part in name.parts)
            wanted = path.suffix in _USED or path.name.upper().startswith(("LICENSE", "LICENCE"))
            if wanted and not hidden and path.is_file():
                with _reading(path):
                    size, sha256 = path.stat().st_size, sha256_of(path)
                files.append(Listed(name.as_posix(), size, Digest("sha256", sha256), sha256))
        return Listing(self.source, "", tuple(files))

    def offer(self, file: Listed, listing: Listing) -> Offer | None:
        path = self._root / file.path if self._root.is_dir() else self._root
        with contextlib.suppress(OSError):
            if path.is_file() and path.stat().st_size == file.size:
                return Offer(self.where, lambda start: read_from(path, start))
        return None


def open_folder(folder: Path, name: str) -> OtherStore | PlainFolder:
    """What `--from` names: a store, a folder that holds one (a stick), model folders, or one model itself."""
    for store in (folder / STICK_FOLDER, folder):
        if (store / "manifests").is_dir() and Store(store).manifest_path(name).is_file():
            return OtherStore(store, name)
    last = name.rpartition("/")[2].partition("@")[0].rpartition(":")[2]
    for parent in (folder / STICK_FOLDER, folder):
        for word in (folder_name(name), last, f"{last}.safetensors"):
            if (parent / word).exists():
                return PlainFolder(parent / word)
    if folder.is_file() or (folder / INDEX).is_file() or (folder / "config.json").is_file():
        return PlainFolder(folder)
    raise FetchError(
        tr("{folder} has no model {name}", folder=folder, name=name)
        if folder.exists()
        else tr("there is no folder {folder}", folder=folder),
        tr("it should hold a folder {last}/, a file {last}.safetensors, or be a model folder itself", last=last),
    )


@contextlib.contextmanager
def read_from(path: Path, start: int) -> Iterator[Body]:
    """A file as a source of bytes."""
    with _reading(path), open(path, "rb") as file:
        total = path.stat().st_size
        file.seek(start)
    yield Body(start, total, _chunks(path, start))


def _chunks(path: Path, start: int) -> Iterator[bytes]:
    with _reading(path), open(path, "rb") as file:
        file.seek(start)
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FetchError(
            tr("{path} cannot be read: {reason}", path=path, reason=os_reason(error)),
            tr("check the disk or stick"),
        ) from error
