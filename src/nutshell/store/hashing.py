"""Hashes of files: SHA-256, and git's name of a blob, which is all that a hub tells of its small files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Digest:
    """What a file's bytes must hash to. kind: "sha256", or "git": SHA-1 of "blob <size>" NUL bytes
    (https://git-scm.com/book/en/v2/Git-Internals-Git-Objects). hex: lower case."""

    kind: str
    hex: str

    def __str__(self) -> str:
        return f"{self.kind}-{self.hex}"


class Hasher:
    """Both hashes of a stream; the size must be known before, for git's begins with it."""

    def __init__(self, size: int) -> None:
        self._sha256 = hashlib.sha256()
        self._git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        self.count = 0

    def update(self, data: bytes) -> None:
        self._sha256.update(data)
        self._git.update(data)
        self.count += len(data)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def matches(self, digest: Digest) -> bool:
        return digest.hex == (self._git.hexdigest() if digest.kind == "git" else self.sha256)

    def read(self, file: IO[bytes], on_bytes: Callable[[int], None] | None = None) -> None:
        """Take in the rest of an open file."""
        while chunk := file.read(CHUNK_BYTES):
            self.update(chunk)
            if on_bytes is not None:
                on_bytes(len(chunk))


def sha256_of(path: Path, on_bytes: Callable[[int], None] | None = None) -> str:
    """SHA-256 of a file. on_bytes: told how many more bytes were read."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            if on_bytes is not None:
                on_bytes(len(chunk))
    return digest.hexdigest()
