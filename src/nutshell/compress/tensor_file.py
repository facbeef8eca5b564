"""A safetensors file that is written tensor by tensor, and goes on where it was broken off.

The header of such a file stands before the tensors and is known only after them. So room for it is left, as much as it
can need at most, and what is left over is blank, which the format allows. Beside the file a journal notes each finished
piece with its hash: after a crash the pieces that are whole are kept, and the rest is written again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from nutshell.files import output_error
from nutshell.weights import Tensor

Array = npt.NDArray[Any]
Json = dict[str, Any]

_MOST_TENSORS = 3  # that one piece makes
_ENTRY_BYTES = 200  # of the header for each, beside its name
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Made:
    """Tensors of the output: (name, safetensors dtype, stored bits), and what the history should know of them."""

    tensors: Sequence[tuple[str, str, Array]]
    note: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(*tensors: Tensor) -> Made:
        """Tensors as they are stored."""
        return Made([(tensor.name, tensor.dtype, tensor.array()) for tensor in tensors])


@dataclass(frozen=True)
class Piece:
    """What is made in one go, at most three tensors: `nbytes` in all at most. name: unlike any other of its file.

    make must give the same again after a crash.
    """

    name: str
    nbytes: int
    make: Callable[[], Made]


@dataclass(frozen=True)
class Row:
    """One finished piece in the journal. tensors: (name, dtype, shape, bytes)."""

    piece: str
    sha256: str
    tensors: tuple[tuple[str, str, tuple[int, ...], int], ...]
    note: Mapping[str, Any]

    @property
    def nbytes(self) -> int:
        return sum(size for *_, size in self.tensors)

    def line(self) -> str:
        return json.dumps([self.piece, self.sha256, self.tensors, dict(self.note)]) + "\n"

    @staticmethod
    def read(line: str) -> Row:
        """Raises ValueError or TypeError for a line that was cut short."""
        piece, sha256, tensors, note = json.loads(line)
        return Row(piece, sha256, tuple((name, kind, tuple(shape), size) for name, kind, shape, size in tensors), note)


def write_tensors(
    path: Path,
    journal: Path,
    pieces: Sequence[Piece],
    on_piece: Callable[[Piece], None] = lambda piece: None,
    metadata: Mapping[str, str] | None = None,
) -> list[Row]:
    """Write `pieces` to `path`, those that the journal says are there left as they are. Returns all of their rows.

    on_piece is told after each. Raises OutputError.
    """
    start = _room(pieces, metadata or {})
    try:
        rows = _whole_rows(path, journal, pieces, start)
        for piece in pieces[: len(rows)]:
            on_piece(piece)
        with open(path, "r+b" if path.exists() else "w+b") as file, open(journal, "w", encoding="utf-8") as lines:
            lines.writelines(row.line() for row in rows)
            file.truncate(start + sum(row.nbytes for row in rows))
            file.seek(0, os.SEEK_END)
            for piece in pieces[len(rows) :]:
                rows.append(_written(file, piece))
                file.flush()
                lines.write(rows[-1].line())
                lines.flush()
                on_piece(piece)
            file.seek(0)
            file.write(_header(rows, start, metadata or {}))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise output_error(path, error) from error
    return rows


def most_bytes(pieces: Sequence[Piece]) -> int:
    """What a file of them takes on disk at most."""
    return _room(pieces, {}) + sum(piece.nbytes for piece in pieces)


def _written(file: BinaryIO, piece: Piece) -> Row:
    made, digest = piece.make(), hashlib.sha256()
    tensors = []
    for name, kind, values in made.tensors:
        data = np.ascontiguousarray(values).reshape(-1).view(np.uint8).data
        file.write(data)
        digest.update(data)
        tensors.append((name, kind, values.shape, data.nbytes))
    return Row(piece.name, digest.hexdigest(), tuple(tensors), made.note)


def _whole_rows(path: Path, journal: Path, pieces: Sequence[Piece], start: int) -> list[Row]:
    """The rows whose bytes are there and right, up to the first that is not."""
    if not path.exists() or not journal.exists():
        return []
    found: list[Row] = []
    with path.open("rb") as file:
        file.seek(start)
        for row, piece in zip(_rows(journal), pieces, strict=False):
            if row.piece != piece.name or _sha256(file, row.nbytes) != row.sha256:
                break
            found.append(row)
    return found


def _rows(journal: Path) -> Iterator[Row]:
    for line in journal.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            yield Row.read(line)
        except (ValueError, TypeError):
            return


def _sha256(file: BinaryIO, size: int) -> str:
    digest = hashlib.sha256()
    while size and (chunk := file.read(min(size, _CHUNK_BYTES))):
        digest.update(chunk)
        size -= len(chunk)
    return digest.hexdigest() if not size else ""


def _room(pieces: Sequence[Piece], metadata: Mapping[str, str]) -> int:
    """Bytes before the first tensor: a multiple of 64, so that tensors are aligned."""
    most = sum(_MOST_TENSORS * (len(piece.name.encode()) + _ENTRY_BYTES) for piece in pieces)
    most += len(json.dumps(dict(metadata)).encode()) + _ENTRY_BYTES
    return -(-(8 + most) // 64) * 64


def _header(rows: Sequence[Row], start: int, metadata: Mapping[str, str]) -> bytes:
    entries: Json = {"__metadata__": {"format": "pt", **metadata}}
    end = 0
    for row in rows:
        for name, kind, shape, size in row.tensors:
            entries[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [end, end + size]}
            end += size
    text = json.dumps(entries, separators=(",", ":")).encode()
    assert len(text) <= start - 8, "the header has no room"
    return (start - 8).to_bytes(8, "little") + text.ljust(start - 8)
