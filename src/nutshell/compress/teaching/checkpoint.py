"""The state of a training on disk, in parts small enough to be carried between machines.

A checkpoint is a folder: `checkpoint.json` names the parts and their hash. It is replaced last, so that a
training that is cut off while it saves leaves the checkpoint before. Parts are written as the state is packed, so
that saving takes no second copy of it in memory.
"""

from __future__ import annotations

import hashlib
import io
import json
import secrets
from pathlib import Path
from typing import Any, BinaryIO

import torch

from nutshell.errors import CorruptFile
from nutshell.files import output_error, write_bytes
from nutshell.language import tr

MANIFEST = "checkpoint.json"
PART_BYTES = 15 * 2**20


def save_state(state: dict[str, Any], folder: Path, part_bytes: int = PART_BYTES) -> None:
    """Write `state` (what `torch.save` takes) into `folder`, in parts of at most `part_bytes`. Raises OutputError."""
    parts = _Parts(folder, part_bytes)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(state, parts)
        parts.close()
        manifest = {"sha256": parts.digest.hexdigest(), "parts": parts.names}
        write_bytes(folder / MANIFEST, json.dumps(manifest, indent=1).encode())
        kept = parts.names
    except OSError as error:
        raise output_error(folder, error) from error
    finally:
        parts.close()
    for old in set(folder.glob("*.part")) - {folder / name for name in kept}:
        old.unlink()


def load_state(folder: Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """The last state saved in `folder`, or None where there is none.

    Raises CorruptFile if a part is missing or damaged.
    """
    if not (folder / MANIFEST).is_file():
        return None
    digest, whole = hashlib.sha256(), io.BytesIO()
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        for name in manifest["parts"]:
            data = (folder / name).read_bytes()
            digest.update(data)
            whole.write(data)
        sound = digest.hexdigest() == manifest["sha256"]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        sound = False
    if not sound:
        raise CorruptFile(
            tr("the checkpoint in {folder} is damaged", folder=folder), tr("delete that folder to begin anew")
        )
    whole.seek(0)
    state: dict[str, Any] = torch.load(whole, map_location=device, weights_only=True)
    return state


class _Parts:
    """A file that is cut into parts while it is written. names: of those written; digest: of all bytes."""

    def __init__(self, folder: Path, part_bytes: int) -> None:
        self.names: list[str] = []
        self.digest = hashlib.sha256()
        self._folder, self._part_bytes = folder, part_bytes
        self._series = secrets.token_hex(6)
        self._file: BinaryIO | None = None
        self._room = 0

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self.digest.update(view)
        count = len(view)
        while len(view):
            if not self._room:
                self._next()
            assert self._file is not None
            piece = view[: self._room]
            self._file.write(piece)
            self._room -= len(piece)
            view = view[len(piece) :]
        return count

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _next(self) -> None:
        self.close()
        self.names.append(f"{self._series}-{len(self.names):04d}.part")
        self._file = open(self._folder / self.names[-1], "wb")  # noqa: SIM115 - closed by `close`
        self._room = self._part_bytes
