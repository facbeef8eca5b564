"""Whether files still are what they were: every byte is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nutshell.files import sync_folder
from nutshell.store.hashing import sha256_of
from nutshell.store.manifest import StoredFile
from nutshell.store.view import has_size

WELL, OTHER, MISSING = "well", "other", "missing"
OnBytes = Callable[[int], None]


@dataclass(frozen=True)
class Verdict:
    """What a check of one model found: files with other bytes than the manifest says, and files that are gone."""

    name: str
    damaged: tuple[StoredFile, ...] = ()
    missing: tuple[StoredFile, ...] = ()

    @property
    def bad(self) -> tuple[StoredFile, ...]:
        return self.damaged + self.missing


def look_at(places: Sequence[Path], file: StoredFile, on_bytes: OnBytes | None = None) -> str:
    """WELL if the file lies in at least one of the places and is right in all where it lies. on_bytes: told how many
    more bytes were read."""
    there = [path for path in places if path.is_file()]
    if len(there) == 2 and os.path.samefile(*there):
        there.pop()
    if not there:
        return MISSING
    return WELL if all(_is(path, file, on_bytes) for path in there) else OTHER


def put_away(places: Sequence[Path], file: StoredFile, aside: Path) -> None:
    """Move what lies in the places and is not the file to `aside`."""
    for path in [path for path in places if path.is_file() and not _is(path, file)]:
        # Two links to one file: renaming one over the other would leave both.
        aside.unlink(missing_ok=True)
        os.replace(path, aside)
    sync_folder(aside.parent)


def _is(path: Path, file: StoredFile, on_bytes: OnBytes | None = None) -> bool:
    """Whether the file there has the bytes it should have; one that cannot be read has not."""
    try:
        return has_size(path, file.size) and sha256_of(path, on_bytes) == file.sha256
    except OSError:
        return False
