"""One file, from whichever source has it, on from where an earlier try ended.

The bytes gather in `blobs/<hash>.part`, whose name says what they are to become, so any source may go on with what
another began. Only when size and hash are right does the file become a blob.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nutshell.errors import FetchError, Offline
from nutshell.store.disk import telling
from nutshell.store.hashing import CHUNK_BYTES, Hasher
from nutshell.store.listing import Listed
from nutshell.store.watch import Patience, Watch
from nutshell.store.web import Body, RangeRefused

Open = Callable[[int], contextlib.AbstractContextManager[Body]]


@dataclass(frozen=True)
class Offer:
    """A source of one file. where: for people. open: the bytes from an offset on; raises FetchError."""

    where: str
    open: Open


class WrongContent(FetchError):
    """All bytes came, and they are not those that were listed."""


def download(
    file: Listed,
    offers: Sequence[Offer],
    part: Path,
    patience: Patience,
    watch: Watch,
    given_up: dict[str, FetchError],
) -> str:
    """Complete `part` from the first offer that can and return its SHA-256. Raises FetchError, StoreError.

    given_up: sources that failed for good, and why; they are not asked for another file. What was fetched stays
    in `part`, whatever happens.
    """
    worst: FetchError | None = None
    for offer in offers:
        watch.file(file.path, offer.where)
        try:
            if offer.where in given_up:
                raise given_up[offer.where]
            return _from_one(file, offer, part, patience, watch)
        except FetchError as error:
            if error.transient or isinstance(error, Offline):
                given_up[offer.where] = error
            # A source that merely lacks the file says less than one that failed.
            if worst is None or error.transient or isinstance(error, WrongContent):
                worst = error
    raise worst or FetchError(f"nobody offers {file.path}", "name another source with --from")


def _from_one(file: Listed, offer: Offer, part: Path, patience: Patience, watch: Watch) -> str:
    tried = 0
    while True:
        before = size_of(part)
        try:
            _receive(file, offer, part, watch)
            return _checked(file, offer, part, watch, resumed=before > 0)
        except RangeRefused as error:
            # Ours is no beginning of theirs, so it is worth nothing here.
            if before == 0:
                raise
            _drop(part, watch)
            failure: FetchError = error
        except FetchError as error:
            if not error.transient:
                raise
            failure = error
            if size_of(part) > before:
                tried = 0
        tried += 1
        if tried >= patience.tries:
            raise failure
        seconds = patience.seconds(tried, failure.wait_seconds)
        watch.wait(seconds, str(failure))
        patience.sleep(seconds)


def _receive(file: Listed, offer: Offer, part: Path, watch: Watch) -> None:
    """Append what is missing to `part`, or begin anew where the source cannot go on in the middle."""
    have = size_of(part)
    if have > file.size:
        _drop(part, watch, have)
        have = 0
    if have == file.size and part.exists():
        return
    with offer.open(have) as body:
        if body.start not in (0, have):
            raise FetchError(f"{offer.where} sends another part of {file.path} than was asked for", "try again")
        if body.total is not None and body.total != file.size:
            raise WrongContent(
                f"{offer.where} has a {file.path} of {body.total} bytes, not the listed {file.size}",
                "the source is out of date or damaged: try another",
            )
        if body.start < have:
            _drop(part, watch, have)
            have = 0
        with telling(part):
            target = open(part, "ab", buffering=0)  # noqa: SIM115 - closed below; reading must stay outside `telling`
        with target:
            for chunk in body.chunks:
                have += len(chunk)
                if have > file.size:
                    raise WrongContent(f"{offer.where} sends more than the listed {file.size} bytes of {file.path}")
                with telling(part):
                    _write(target.fileno(), chunk)
                watch.bytes(len(chunk))
    if have < file.size:
        raise FetchError(f"{offer.where} ended {file.path} too early", "try again; what was fetched is kept",
                         transient=True)  # fmt: skip


def _checked(file: Listed, offer: Offer, part: Path, watch: Watch, *, resumed: bool) -> str:
    """The SHA-256 of a part that has its size and its hash, safe on the disk; otherwise it is thrown away."""
    hasher = Hasher(file.digest, file.size)
    with telling(part), open(part, "r+b") as complete:
        while chunk := complete.read(CHUNK_BYTES):
            hasher.update(chunk)
        os.fsync(complete.fileno())
    if hasher.matches() and file.sha256 in ("", hasher.sha256):
        return hasher.sha256
    _drop(part, watch)
    # Bytes of an earlier try may be at fault (a power cut), so this source gets one more chance.
    raise WrongContent(
        f"{offer.where} sent a {file.path} with other content than was listed ({file.digest.kind} {file.digest.hex})",
        "the source is out of date or damaged: try another, or --update to take what it has now",
        transient=resumed,
    )


def size_of(path: Path) -> int:
    """Bytes in a file, 0 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _drop(part: Path, watch: Watch, size: int | None = None) -> None:
    watch.bytes(-(size_of(part) if size is None else size))
    with telling(part):
        part.unlink(missing_ok=True)


def _write(handle: int, data: bytes) -> None:
    """All of it: a disk that fills up takes a part first and refuses the rest."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
