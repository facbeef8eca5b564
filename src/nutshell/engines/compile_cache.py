"""Compiled networks, kept on disk from one start to the next, within a limit.

OpenVINO writes and reads the files (its property CACHE_DIR) and calls each by a hash of the graph, of the weights'
bytes and of how it compiles. It does not notice a damaged one, which then draws nonsense: so each network has a folder
of its own here with a seal, the size and checksum of what was written, and only what is as it was sealed is handed to
it. Whatever goes wrong here costs time and never a picture.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import shutil
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

_LOG = logging.getLogger(__name__)

_SEAL = "seal.json"
_PART = ".part"
_PIECE_BYTES = 1 << 20
# Left free on the disk for others. Less than that after a write may mean that it was cut short.
_SPARE_BYTES = 64_000_000
# What is still being written after so long was left by a process that died.
_ABANDONED_SECONDS = 3600
# What a compiled network may take beyond its packed weights.
_GENEROUS = 1.2


class CompileCache:
    """A folder of compiled networks. folder: made when it is needed. limit_bytes: of all of it; the oldest go first."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes

    @contextlib.contextmanager
    def entry(self, key: str, expected_bytes: int) -> Iterator[Path | None]:
        """The folder that one network may be read from and written to, for the length of a block that compiles it.

        key: a file name that says everything that matters. expected_bytes: of its packed weights. None where there is
        no room, or none that can be written. What is written is kept if the block ends well.
        """
        ready = self._folder / key
        if self._is_sound(ready):
            yield ready
            # Written over or added to: OpenVINO did not want what lay there.
            if not self._is_sound(ready):
                self.discard(key)
            return
        self.discard(key)
        part = self._begin(key, int(_GENEROUS * expected_bytes))
        if part is None:
            yield None
            return
        try:
            yield part
            self._finish(part, ready)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def discard(self, key: str) -> None:
        """Throw an entry away."""
        shutil.rmtree(self._folder / key, ignore_errors=True)

    def _is_sound(self, entry: Path) -> bool:
        """Whether it holds what was sealed, to the byte. Using one makes it young."""
        try:
            seal = json.loads((entry / _SEAL).read_text("utf-8"))
            if not isinstance(seal, dict) or seal != _sealed(entry):
                return False
            os.utime(entry / _SEAL)
        except (OSError, ValueError, RecursionError):
            return False
        return True

    def _begin(self, key: str, size: int) -> Path | None:
        """A folder to write to, with room for `size` bytes."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._make_room(size)
            if size > self._limit_bytes or shutil.disk_usage(self._folder).free < size + _SPARE_BYTES:
                _LOG.debug("no room to keep the compiled network %s", key)
                return None
            part = self._folder / f"{key}.{secrets.token_hex(4)}{_PART}"
            part.mkdir()
        except OSError as error:
            _LOG.debug("compiled networks are not kept: %s", error)
            return None
        return part

    def _finish(self, part: Path, ready: Path) -> None:
        """Seal what was written, and give it its name in one step."""
        try:
            seal = _sealed(part)
            if not seal or shutil.disk_usage(part).free < _SPARE_BYTES:
                return
            (part / _SEAL).write_text(json.dumps(seal), "utf-8")
            # Another process may have been quicker; then its entry stays.
            part.rename(ready)
            self._make_room(0)
        except OSError as error:
            _LOG.debug("a compiled network was not kept: %s", error)

    def _make_room(self, size: int) -> None:
        """Throw the oldest away until `size` bytes more fit the limit, and what a process left that died."""
        entries = []
        for entry in self._folder.iterdir():
            if entry.name.endswith(_PART):
                with contextlib.suppress(OSError):
                    if time.time() - entry.stat().st_mtime > _ABANDONED_SECONDS:
                        shutil.rmtree(entry, ignore_errors=True)
                continue
            with contextlib.suppress(OSError):
                used = (entry / _SEAL).stat().st_mtime if (entry / _SEAL).exists() else 0.0
                entries.append((used, entry, sum(file.stat().st_size for file in entry.iterdir())))
        total = sum(taken for _, _, taken in entries)
        for _, entry, taken in sorted(entries):
            if total + size <= self._limit_bytes:
                break
            shutil.rmtree(entry, ignore_errors=True)
            total -= taken


def _sealed(entry: Path) -> dict[str, list[int]]:
    """Size and checksum of every file of an entry but the seal."""
    return {file.name: _checked(file) for file in sorted(entry.iterdir()) if file.name != _SEAL}


def _checked(file: Path) -> list[int]:
    size = checksum = 0
    with file.open("rb", buffering=0) as stream:
        while piece := stream.read(_PIECE_BYTES):
            size += len(piece)
            checksum = zlib.crc32(piece, checksum)
    return [size, checksum]
