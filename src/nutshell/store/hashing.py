"""Hashes of files: SHA-256, and git's name of a blob, which is all that a hub tells of its small files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
    """SHA-256 of a stream, and git's name too where that is what can be compared; git's begins with the size."""

    def __init__(self, digest: Digest, size: int) -> None:
        self._digest = digest
        self._sha256 = hashlib.sha256()
        self._git = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False) if digest.kind == "git" else None

    def update(self, data: bytes) -> None:
        self._sha256.update(data)
        if self._git is not None:
            self._git.update(data)

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def matches(self) -> bool:
        return self._digest.hex == (self.sha256 if self._git is None else self._git.hexdigest())


def sha256_of(path: Path, on_bytes: Callable[[int], None] | None = None) -> str:
    """SHA-256 of a file. on_bytes: told how many more bytes were read."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            if on_bytes is not None:
                on_bytes(len(chunk))
    return digest.hexdigest()
