"""A model comes into the store: what it needs is listed and pinned, what is missing is fetched, then it is put up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from nutshell.errors import FetchError, ModelNotFound, NutshellError, StoreError
from nutshell.language import tr
from nutshell.store.disk import free_bytes, telling
from nutshell.store.download import Offer, download, size_of
from nutshell.store.listing import Listed, Listing, select
from nutshell.store.manifest import Manifest, StoredFile
from nutshell.store.pins import Pins
from nutshell.store.store import Store
from nutshell.store.watch import Patience, Watch

SPARE_BYTES = 10_000_000  # for names, manifests and the file system's own needs
BUSY = tr("another nutshell is changing the store; waiting for it")


class Origin(Protocol):
    """Where a model comes from. source: as in `Listing`; asked: the revision that was asked for there, None where
    there are none; where: for people."""

    source: str
    where: str

    @property
    def asked(self) -> str | None: ...

    def listing(self) -> Listing:
        """What it holds now. Raises FetchError."""

    def offer(self, file: Listed, listing: Listing) -> Offer | None:
        """How to get a file of a listing, which may be another source's; None if it surely has not got it."""


@dataclass(frozen=True)
class Wanted:
    """A model to fetch. patterns: as in `ModelCard.files`."""

    name: str
    patterns: tuple[str, ...] = ()
    licence: str = ""


@dataclass(frozen=True)
class Pulled:
    """manifest: the model that is here now. fetched: files that were missing, in bytes (0: all was here)."""

    manifest: Manifest
    fetched: int


def pull(
    store: Store,
    wanted: Wanted,
    origins: Sequence[Origin],
    *,
    update: bool = False,
    patience: Patience | None = None,
    watch: Watch | None = None,
) -> Pulled:
    """Fetch what is missing of a model. origins: preferred first; the first that answers says what the model is,
    unless that is pinned, and each may deliver any file. update: take what the origins hold now.

    Raises FetchError, StoreError, ModelError. Whatever happens, what was fetched stays and is not fetched again.
    """
    patience, watch = patience or Patience(), watch or Watch()
    try:
        with store.lock(lambda: watch.note(BUSY)):
            pins = Pins(store.folder)
            listing = _listing(pins, wanted.name, origins, update, patience, watch)
            files = select(listing, wanted.patterns)
            missing = [file for file in files if not file.sha256 or store.find_blob(file.sha256, file.size) is None]
            # Two paths may be one file, which is fetched once.
            once = {str(file.digest): file for file in missing}
            parts = {key: store.folder / "blobs" / f"{key}.part" for key in once}
            left = sum(file.size - min(file.size, size_of(parts[key])) for key, file in once.items())
            watch.plan(wanted.name, sum(file.size for file in files), sum(file.size for file in files) - left)
            _check_space(store, wanted.name, left)
            with telling(store.folder):
                (store.folder / "blobs").mkdir(parents=True, exist_ok=True)
            failures: Counter[str] = Counter()
            learned: dict[str, str] = {}
            for key, file in once.items():
                offers = [offer for origin in origins if (offer := origin.offer(file, listing)) is not None]
                learned[key] = download(file, offers, parts[key], patience, watch, failures)
                # Before the part takes its new name: killed in between, the next call still knows it.
                pins.learn(wanted.name, file.digest, learned[key])
                with telling(store.folder):
                    store.keep(parts[key], learned[key])
            stored = (StoredFile(f.path, f.sha256 or learned[str(f.digest)], f.size) for f in files)
            manifest = Manifest(wanted.name, tuple(stored), listing.source, listing.revision, wanted.licence)
            store.put(manifest)
            _clear(store, pins)
            return Pulled(manifest, left)
    finally:
        watch.done()


def _listing(
    pins: Pins, name: str, origins: Sequence[Origin], update: bool, patience: Patience, watch: Watch
) -> Listing:
    """What is pinned, or else what the first origin that answers holds, which is pinned then."""
    asked = {origin.source: origin.asked for origin in origins if origin.asked is not None}
    listing = None if update else pins.get(name, asked)
    if listing is not None:
        return listing
    failed: dict[int, NutshellError] = {}
    for tried in range(1, patience.tries + 1):
        for number, origin in enumerate(origins):
            if number in failed and not _transient(failed[number]):
                continue
            try:
                listing = origin.listing()
            except NutshellError as error:
                failed[number] = error
                continue
            return pins.put(name, origin.asked or "", listing)
        again = [error for error in failed.values() if isinstance(error, FetchError) and error.transient]
        if not again or tried == patience.tries:
            break
        seconds = patience.seconds(tried, again[0].wait_seconds)
        watch.wait(seconds, again[0].message)
        patience.sleep(seconds)
    # What a hub says matters more than that a stick or peer has no such model.
    told = [failed[number] for number, origin in enumerate(origins) if origin.asked is not None] or [*failed.values()]
    raise (
        told[0]
        if told
        else FetchError(tr("{name} has no source to fetch it from", name=name), tr("name a folder with --from"))
    )


def _transient(error: NutshellError) -> bool:
    return isinstance(error, FetchError) and error.transient


def _clear(store: Store, pins: Pins) -> None:
    """Delete parts of files that no pinned listing names any more: nobody would go on with them."""
    with telling(store.folder):
        for part in (store.folder / "blobs").glob("[!.]*.part"):
            if part.name.removesuffix(".part") not in pins.digests():
                part.unlink(missing_ok=True)


def _check_space(store: Store, name: str, need: int) -> None:
    """Raises StoreError before a byte is fetched that would not fit."""
    free = free_bytes(store.folder)
    if need and free is not None and need + SPARE_BYTES > free:
        raise StoreError(
            tr(
                "{name} needs {need:,.1f} MB of disk and {folder} has {free:,.1f} MB free",
                name=name,
                need=need / 1000000.0,
                folder=store.folder,
                free=free / 1000000.0,
            ),
            tr("free some space, or choose a folder on another disk with --store"),
        )


def remove(store: Store, name: str) -> int:
    """Delete a model, or what an interrupted fetch of it has left. Returns the bytes freed. Raises ModelNotFound."""
    with store.lock(), telling(store.folder):
        freed = 0
        try:
            freed = store.remove(name)
        except ModelNotFound:
            listing = Pins(store.folder).get(name, {})
            kept = {file.sha256 for manifest in store.manifests().values() for file in manifest.files}
            for file in listing.files if listing is not None else ():
                leavings = [store.folder / "blobs" / f"{file.digest}.part"]
                leavings += [store.blob_path(file.sha256)] if file.sha256 and file.sha256 not in kept else []
                for path in leavings:
                    freed += size_of(path)
                    path.unlink(missing_ok=True)
            if not freed:
                raise ModelNotFound(
                    tr("no model named {name!r} was fetched", name=name), tr("nutshell list shows those that were")
                ) from None
        return freed
