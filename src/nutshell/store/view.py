"""A stored model as the folder that engines open: `models/<name>/unet/...`, hard links to the blobs.

Hard links and not symbolic ones: ONNX Runtime refuses weights behind a symbolic link. Where a disk knows no links
(FAT, exFAT) the blob itself moves into the view, and a second model that needs it gets a copy.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from nutshell.files import sync_folder
from nutshell.store.manifest import Manifest, StoredFile

# What a system says where a disk has no hard links, or no room for one more on this file.
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV, errno.EINVAL}
_NO_LINKS_WINDOWS = {1, 50}  # ERROR_INVALID_FUNCTION, ERROR_NOT_SUPPORTED

Link = Callable[[Path, Path], None]


def whole(folder: Path, manifest: Manifest) -> bool:
    """Whether every file lies in the view with its size. Cheap: no file is opened."""
    return all(has_size(folder / file.path, file.size) for file in manifest.files)


def has_size(path: Path, size: int) -> bool:
    """Whether a plain file of that many bytes lies there."""
    try:
        return path.is_file() and path.stat().st_size == size
    except OSError:
        return False


def place(source: Path, target: Path, *, may_move: bool, link: Link = os.link) -> None:
    """Let `target` be the file `source`: a link, or where there are none, the file itself or a copy."""
    if target.exists() and os.path.samefile(source, target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        link(source, part)
    except OSError as error:
        if error.errno not in _NO_LINKS and getattr(error, "winerror", None) not in _NO_LINKS_WINDOWS:
            raise
        if may_move:
            os.replace(source, target)
            sync_folder(source.parent)
            sync_folder(target.parent)
            return
        _copy(source, part)
    os.replace(part, target)
    sync_folder(target.parent)


def _copy(source: Path, target: Path) -> None:
    try:
        with open(source, "rb") as original, open(target, "wb") as copy:
            shutil.copyfileobj(original, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            target.unlink(missing_ok=True)
        raise


def take_out(folder: Path, files: tuple[StoredFile, ...], blob_path: Callable[[str], Path]) -> None:
    """Take files out of a view; what lies only there goes back among the blobs first."""
    for file in files:
        path = folder / file.path
        if has_size(path, file.size) and not blob_path(file.sha256).exists():
            blob_path(file.sha256).parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, blob_path(file.sha256))
        else:
            path.unlink(missing_ok=True)
    clear_empty(folder)


def clear_empty(folder: Path) -> None:
    """Remove `folder` and the folders in it as far as they are empty; what is not ours stays."""
    for root, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(root)
