"""Just as much of tar as a bundle needs: plain files one after another, each behind a header of 512 bytes.

POSIX ustar; sizes of 8 GiB and more in base 256, which every tar of today reads. The library's own reader follows
extended headers of any size and links of any kind; this one knows neither, so they cannot do harm.
https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html#tag_20_92_13_06
"""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path
from typing import IO

from nutshell.errors import CorruptFile, ModelError, os_reason
from nutshell.language import tr
from nutshell.store.bundle import LARGEST_MANIFEST, MANIFEST, Entry
from nutshell.store.hashing import CHUNK_BYTES

BLOCK = 512
END = bytes(2 * BLOCK)
MOST_PADDING = 20 * BLOCK  # other tools fill the last record
_LARGE = 8**11
_PLAIN = (tarfile.REGTYPE, tarfile.AREGTYPE)  # tarfile calls sparse files regular, too
_AGAIN = tr("copy the bundle again, or export it again")


def header(name: str, size: int) -> bytes:
    """The same for the same file: no owner, no time."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.USTAR_FORMAT if size < _LARGE else tarfile.GNU_FORMAT, "utf-8", "strict")


def padding(size: int) -> int:
    """Zeros that follow a file of that size."""
    return -size % BLOCK


def tar_bytes(sizes: list[int]) -> int:
    """What files of these sizes take, without the end."""
    return sum(BLOCK + size + padding(size) for size in sizes)


class Member:
    """The bytes of one entry, as a stream. left: how many are still to come."""

    def __init__(self, reader: Reader, size: int) -> None:
        self._reader = reader
        self.left = size

    def read(self, count: int = CHUNK_BYTES) -> bytes:
        """Up to `count` bytes, none at the end. Raises CorruptFile where the bundle ends too early."""
        chunk = self._reader.take(min(count, self.left))
        self.left -= len(chunk)
        return chunk


class Reader:
    """Goes through a bundle once. Raises CorruptFile for anything but the expected entry, ModelError if the disk
    cannot be read."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file = file
        self.path = path

    def manifest(self) -> bytes:
        """The first entry; anything else is no bundle."""
        info = self._header()
        if info is None or info.name != MANIFEST or info.type not in _PLAIN:
            raise CorruptFile(
                tr("{path} is no bundle of Nutshell", path=self.path), tr("nutshell export MODEL FILE.nut makes one")
            )
        if not 0 <= info.size <= LARGEST_MANIFEST:
            raise CorruptFile(
                tr(
                    "{path} has a list of contents of {size:,} bytes, which is no such list",
                    path=self.path,
                    size=info.size,
                ),
                tr("do not use it"),
            )
        raw = self.take(info.size)
        self.take(padding(info.size))
        return raw

    def open(self, entry: Entry) -> Member:
        """The next entry, which must be this one. Read it to its end, then call `close`."""
        info = self._header()
        if info is None or info.type not in _PLAIN or (info.name, info.size) != (entry.name, entry.size):
            found = (
                tr("its end") if info is None else tr("{name!r} ({size:,} bytes)", name=info.name[:80], size=info.size)
            )
            raise CorruptFile(
                tr(
                    "{path} is damaged: {name!r} ({size:,} bytes) should follow, not {found}",
                    path=self.path,
                    name=entry.name,
                    size=entry.size,
                    found=found,
                ),
                _AGAIN,
            )
        return Member(self, entry.size)

    def close(self, entry: Entry) -> None:
        """Past the zeros behind an entry that was read."""
        self.take(padding(entry.size))

    def skip(self, entry: Entry) -> None:
        """Past an entry that is not needed."""
        self.open(entry)
        try:
            self._file.seek(entry.size + padding(entry.size), 1)
        except OSError as error:
            raise self._unreadable(error) from error

    def check(self, entry: Entry) -> None:
        """Read an entry for its hash alone."""
        member, digest = self.open(entry), hashlib.sha256()
        while chunk := member.read():
            digest.update(chunk)
        self.close(entry)
        if digest.hexdigest() != entry.sha256:
            raise self.damaged(entry.name)

    def end(self) -> None:
        """Nothing may follow the last entry but zeros."""
        try:
            rest = self._file.read(MOST_PADDING + 1)
        except OSError as error:
            raise self._unreadable(error) from error
        if len(rest) < len(END) or len(rest) > MOST_PADDING or any(rest):
            raise CorruptFile(tr("{path} is damaged: something else follows its last file", path=self.path), _AGAIN)

    def damaged(self, what: str) -> CorruptFile:
        return CorruptFile(
            tr("{path} is damaged: {what} has other bytes than its list of contents says", path=self.path, what=what),
            _AGAIN,
        )

    def take(self, count: int) -> bytes:
        try:
            data = self._file.read(count)
        except OSError as error:
            raise self._unreadable(error) from error
        if len(data) < count:
            raise CorruptFile(tr("{path} is cut short", path=self.path), _AGAIN)
        return data

    def _header(self) -> tarfile.TarInfo | None:
        """None at the end of the tar."""
        block = self.take(BLOCK)
        if not any(block):
            return None
        try:
            return tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError, ValueError) as error:
            raise CorruptFile(
                tr("{path} is no bundle, or damaged: it is not read as a tar", path=self.path), _AGAIN
            ) from error

    def _unreadable(self, error: OSError) -> ModelError:
        return ModelError(
            tr("{path} cannot be read: {reason}", path=self.path, reason=os_reason(error)),
            tr("check the disk or stick"),
        )
