"""Read a safetensors file by memory map: check every structural rule, never touch the data.

    8 bytes      little-endian length n of the header
    n bytes      JSON header (see header.py), padded with spaces
    the rest     the tensors, back to back: no holes, no overlap, nothing left over

Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import math
import mmap
import os
import stat
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

from nutshell.errors import CorruptFile, ModelError, ModelNotFound, UnsupportedModel, os_reason
from nutshell.language import tr
from nutshell.weights.header import Entry, HeaderError, parse_header, shown
from nutshell.weights.suspects import HEAD_BYTES, refuse_by_name, what_else
from nutshell.weights.tensor import STORAGE, Tensor

MAX_HEADER_BYTES = 100_000_000  # the reference implementation's limit

# Of the format, but of no use to a network here.
_UNSUPPORTED = frozenset(
    {"F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "F8_E8M0", "F6_E2M3", "F6_E3M2", "F4", "C64"}
    | {"U16", "U32", "U64"}
)
_AGAIN = tr("download it again")
_LENGTH_BYTES = 8

# Python names the flag only from 3.13 on; this is its value on the machines listed (asm-generic/mman-common.h);
# some others (MIPS, PowerPC, SPARC, Alpha) number it otherwise and go without.
_MAP_NORESERVE = 0x4000
_NORESERVE_MACHINES = frozenset(
    {"x86_64", "i386", "i686", "aarch64", "armv6l", "armv7l", "armv8l", "riscv64", "s390x", "loongarch64"}
)


@dataclass(frozen=True)
class Layout:
    """Where everything lies in one checked file. Holds no file handle and no data.

    entries: by tensor name, offsets in bytes from `data_start`. size: of the file, in bytes.
    """

    path: Path
    size: int
    data_start: int
    entries: dict[str, Entry] = field(repr=False)
    metadata: dict[str, str] = field(repr=False)

    def only(self, names: Iterable[str]) -> Layout:
        """The same file, of which only some tensors are wanted."""
        return replace(self, entries={name: self.entries[name] for name in names})


def read_layout(path: Path) -> Layout:
    """Read and check the header. Raises CorruptFile, PickleRefused, UnsupportedModel or ModelNotFound."""
    try:
        size = _regular_size(path)
        refuse_by_name(path)
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            length = _header_length(path, head, size)
            file.seek(_LENGTH_BYTES)
            raw = file.read(length)
    except FileNotFoundError as error:
        raise ModelNotFound(tr("there is no file {path}", path=path), hint=tr("check the path")) from error
    except OSError as error:
        raise ModelError(
            tr("{path} cannot be read: {reason}", path=path, reason=os_reason(error)), hint=tr("check the disk")
        ) from error
    data_start = _LENGTH_BYTES + length
    try:
        entries, metadata = parse_header(raw.decode("utf-8"))
        _check_sizes(path, entries)
        needed = data_start + _check_order(entries)
    except UnicodeDecodeError as error:
        raise CorruptFile(tr("{path}: the header is damaged: it is not UTF-8 text", path=path), _AGAIN) from error
    except HeaderError as error:
        raise CorruptFile(tr("{path}: the header is damaged: {error}", path=path, error=error), _AGAIN) from error
    if size < needed:
        raise CorruptFile(
            tr(
                "{path} is incomplete: {missing} of {total} bytes are missing",
                path=path,
                missing=needed - size,
                total=needed,
            ),
            tr("resume the download"),
        )
    if size > needed:
        raise CorruptFile(tr("{path} has {size} bytes after its last tensor", path=path, size=size - needed), _AGAIN)
    return Layout(path, size, data_start, entries, metadata)


class MappedFile:
    """An open map of one file. `tensors` are views into it; reading one loads only its own pages.

    The map is private and writable (OpenVINO shares only writable arrays): pages stay clean unless
    somebody writes, and a write never reaches the file. A file that is cut short, or on a stick that is pulled
    out, while it is mapped ends the process when its pages are touched (SIGBUS): no code here can catch that.
    """

    def __init__(self, layout: Layout) -> None:
        self.path = layout.path
        self.size = layout.size
        self.metadata = layout.metadata
        self._map = _map_private(layout.path, layout.size)
        self.tensors = {
            name: Tensor(name, entry.dtype, entry.shape, self._map, layout.data_start + entry.start)
            for name, entry in layout.entries.items()
        }

    def release(self) -> None:
        """Drop the pages that were read; they come back from disk when touched. A no-op but on Linux."""
        if sys.platform == "linux" and not self._map.closed:
            self._map.madvise(mmap.MADV_DONTNEED)

    def close(self) -> None:
        """Unmap, or, while arrays still point into the map, drop its pages and let the last array unmap it."""
        try:
            self._map.close()
        except BufferError:
            self.release()

    def __enter__(self) -> MappedFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_safetensors(path: Path) -> MappedFile:
    """Check the file at `path` and map it."""
    return MappedFile(read_layout(path))


def _regular_size(path: Path) -> int:
    """Bytes in the file; a folder, pipe or device is refused before it is opened (a pipe would block)."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise CorruptFile(
            tr("{path} is a folder, not a safetensors file", path=path), hint=tr("name a .safetensors file in it")
        )
    if not stat.S_ISREG(status.st_mode):
        raise CorruptFile(tr("{path} is a device or pipe, not a safetensors file", path=path))
    return status.st_size


def _header_length(path: Path, head: bytes, size: int) -> int:
    """Bytes of the JSON header, found sane against the file's size."""
    length = int.from_bytes(head[:_LENGTH_BYTES], "little")
    starts_well = head[_LENGTH_BYTES : _LENGTH_BYTES + 1] == b"{"
    if not starts_well or length > MAX_HEADER_BYTES:
        suspect = what_else(path, head, size)
        if suspect is not None:
            raise suspect
    if size <= _LENGTH_BYTES:
        raise CorruptFile(
            tr("{path} has only {size} bytes and is not a safetensors file", path=path, size=size), _AGAIN
        )
    if not starts_well:
        raise CorruptFile(
            tr("{path} is not a safetensors file: no header follows its first 8 bytes", path=path), _AGAIN
        )
    if length > MAX_HEADER_BYTES:
        raise CorruptFile(
            tr("{path}: the header claims {length} bytes, more than any real model needs", path=path, length=length),
            _AGAIN,
        )
    if _LENGTH_BYTES + length > size:
        missing = _LENGTH_BYTES + length - size
        raise CorruptFile(
            tr("{path} is incomplete: {missing} bytes of its header are missing", path=path, missing=missing),
            tr("resume the download"),
        )
    return length


def _check_sizes(path: Path, entries: dict[str, Entry]) -> None:
    """Each tensor's bytes are what its shape and dtype need."""
    for name, entry in entries.items():
        storage = STORAGE.get(entry.dtype)
        if storage is None and entry.dtype in _UNSUPPORTED:
            raise UnsupportedModel(
                tr(
                    "{path} stores {name} as {dtype}, which cannot be computed with here",
                    path=path,
                    name=shown(name),
                    dtype=entry.dtype,
                ),
                hint=tr("use the float16, bfloat16 or float32 variant of the model"),
            )
        if storage is None:
            raise HeaderError(
                tr("it names an unknown dtype {dtype} for {name}", dtype=shown(entry.dtype), name=shown(name))
            )
        wanted = math.prod(entry.shape) * storage.itemsize
        # An empty tensor may not hide dimensions that NumPy cannot count either.
        if math.prod(max(n, 1) for n in entry.shape) * storage.itemsize >= 2**63:
            raise HeaderError(tr("it gives {name} a shape beyond any memory", name=shown(name)))
        if entry.stop - entry.start != wanted:
            raise HeaderError(
                tr(
                    "it gives {name} {count} bytes where its shape needs {wanted}",
                    name=shown(name),
                    count=entry.stop - entry.start,
                    wanted=shown(str(wanted)),
                )
            )


def _check_order(entries: dict[str, Entry]) -> int:
    """The tensors follow one another without hole or overlap; how many bytes they need in all."""
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].stop)):
        if entry.start != end:
            raise HeaderError(
                tr("it leaves a hole before {name}", name=shown(name))
                if entry.start > end
                else tr("it leaves an overlap before {name}", name=shown(name))
            )
        end = entry.stop
    return end


def _map_private(path: Path, size: int) -> mmap.mmap:
    """A private, writable map of the whole file."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != size:
                raise CorruptFile(
                    tr("{path} changed while it was being opened", path=path), hint=tr("wait until it is complete")
                )
            if sys.platform == "linux" and os.uname().machine in _NORESERVE_MACHINES:
                # A writable private map counts against the memory limit as if every page would be
                # written, so that a 4 GB file could not be mapped on a 4 GB machine. None will be.
                flags = mmap.MAP_PRIVATE | _MAP_NORESERVE
                return mmap.mmap(file.fileno(), size, flags=flags, prot=mmap.PROT_READ | mmap.PROT_WRITE)
            return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY)
    except (OSError, OverflowError, ValueError) as error:
        raise ModelError(
            tr(
                "{path} ({size:.0f} MB) cannot be mapped into memory: {error}",
                path=path,
                size=size / 1000000.0,
                error=error,
            ),
            hint=tr("a 32-bit system has no room for files of over 2 GB: use a smaller variant"),
        ) from error
