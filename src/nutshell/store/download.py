"""One file, from whichever source has it, on from where an earlier try ended.

The bytes gather in `blobs/<hash>.part`, whose name says what they are to become, so any source may go on with what
another began. Only when size and hash are right does the file become a blob.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nutshell.errors import FetchError
from nutshell.language import tr
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
    failures: Counter[str],
) -> str:
    """Complete `part` and return its SHA-256. Raises FetchError, StoreError.

    A source that fails is followed by the next at once; only when all have failed is there a wait. failures: how often
    each has failed so far, for any file; those that did are asked last. What was fetched stays in `part`.
    """
    left = sorted(offers, key=lambda offer: failures[offer.where])
    worst: FetchError | None = None
    tried = 0
    while left:
        before = size_of(part)
        waits: list[FetchError] = []
        for offer in list(left):
            watch.file(file.path, offer.where)
            try:
                return _once(file, offer, part, watch)
            except FetchError as error:
                # A source that merely lacks the file says less than one that failed.
                if worst is None or error.transient or isinstance(error, WrongContent):
                    worst = error
                if error.transient:
                    waits.append(error)
                    failures[offer.where] += 1
                else:
                    left.remove(offer)
        tried = 1 if size_of(part) > before else tried + 1
        if waits:
            if tried >= patience.tries:
                break
            seconds = patience.seconds(tried, waits[0].wait_seconds)
            watch.wait(seconds, waits[0].message)
            patience.sleep(seconds)
    raise worst or FetchError(tr("nobody offers {path}", path=file.path), tr("name another source with --from"))


def _once(file: Listed, offer: Offer, part: Path, watch: Watch) -> str:
    """One try with one source."""
    before = size_of(part)
    try:
        _receive(file, offer, part, watch)
    except RangeRefused:
        # Ours is no beginning of theirs.
        if before:
            _drop(part, watch)
        raise
    return _checked(file, offer, part, watch, resumed=before > 0)


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
            raise FetchError(
                tr("{where} sends another part of {path} than was asked for", where=offer.where, path=file.path),
                tr("try again"),
            )
        if body.total is not None and body.total != file.size:
            raise WrongContent(
                tr(
                    "{where} has a {path} of {total} bytes, not the listed {size}",
                    where=offer.where,
                    path=file.path,
                    total=body.total,
                    size=file.size,
                ),
                tr("the source is out of date or damaged: try another"),
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
                    raise WrongContent(
                        tr(
                            "{where} sends more than the listed {size} bytes of {path}",
                            where=offer.where,
                            size=file.size,
                            path=file.path,
                        )
                    )
                with telling(part):
                    _write(target.fileno(), chunk)
                watch.bytes(len(chunk))
    if have < file.size:
        raise FetchError(
            tr("{where} ended {path} too early", where=offer.where, path=file.path),
            tr("try again; what was fetched is kept"),
            transient=True,
        )


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
        tr(
            "{where} sent a {path} with other content than was listed ({kind} {hex})",
            where=offer.where,
            path=file.path,
            kind=file.digest.kind,
            hex=file.digest.hex,
        ),
        tr("the source is out of date or damaged: try another, or --update to take what it has now"),
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
