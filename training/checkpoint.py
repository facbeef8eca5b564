"""The state of a training on disk, in parts small enough to be carried between machines.

A checkpoint is a folder: `checkpoint.json` names the parts and their hash. It is replaced last, so that a
training that is cut off while it saves leaves the checkpoint before.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import torch

MANIFEST = "checkpoint.json"
PART_BYTES = 15 * 2**20


def save_state(state: dict[str, Any], folder: Path, part_bytes: int = PART_BYTES) -> None:
    """Write `state` (what `torch.save` takes) into `folder`, in parts of at most `part_bytes`."""
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    data = buffer.getvalue()
    digest = hashlib.sha256(data).hexdigest()
    names = []
    for number, start in enumerate(range(0, len(data), part_bytes)):
        names.append(f"{digest[:12]}-{number:03d}.part")
        (folder / names[-1]).write_bytes(data[start : start + part_bytes])
    new = folder / (MANIFEST + ".new")
    new.write_text(json.dumps({"sha256": digest, "parts": names}, indent=1), encoding="utf-8")
    new.replace(folder / MANIFEST)
    for old in set(folder.glob("*.part")) - {folder / name for name in names}:
        old.unlink()


def load_state(folder: Path, device: torch.device | str = "cpu") -> dict[str, Any] | None:
    """The last state saved in `folder`, or None where there is none.

    Raises `ValueError` if a part is missing or damaged.
    """
    if not (folder / MANIFEST).is_file():
        return None
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    missing = [name for name in manifest["parts"] if not (folder / name).is_file()]
    data = b"".join((folder / name).read_bytes() for name in manifest["parts"] if name not in missing)
    if missing or hashlib.sha256(data).hexdigest() != manifest["sha256"]:
        raise ValueError(f"the checkpoint in {folder} is damaged; delete that folder to start anew")
    state: dict[str, Any] = torch.load(io.BytesIO(data), map_location=device, weights_only=True)
    return state
