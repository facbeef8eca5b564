"""Files of the store reach the disk whole or not at all, and a failure says what to do about it."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from nutshell.errors import StoreError, os_reason
from nutshell.files import sync_folder
from nutshell.language import Text, tr

_CHOOSE = tr("choose another folder for models with --store, or NUTSHELL_STORE")
_RESUMES = tr("what was fetched is kept: free some space and run the same command again, or choose another --store")
# errno -> (what happened, what to do)
_REASONS: dict[int, tuple[Text, Text]] = {
    errno.ENOSPC: (tr("the disk is full"), _RESUMES),
    errno.EDQUOT: (tr("your disk quota is used up"), _RESUMES),
    errno.EROFS: (tr("the disk is read-only"), _CHOOSE),
    errno.EACCES: (tr("you have no permission to write there"), _CHOOSE),
    errno.EPERM: (tr("this is not permitted there"), _CHOOSE),
    errno.ENOTDIR: (tr("part of that path is a file, not a folder"), _CHOOSE),
    errno.EEXIST: (tr("a file lies where a folder should be"), _CHOOSE),
    errno.EFBIG: (tr("the file is too large for that disk (FAT32 holds files below 4 GB)"), _CHOOSE),
    errno.EIO: (tr("the disk failed"), tr("check the disk, or {choose}", choose=_CHOOSE)),
    errno.ENODEV: (tr("the disk is gone"), tr("put it back, and run the same command again")),
}


@contextlib.contextmanager
def telling(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into a StoreError about `path`."""
    try:
        yield
    except OSError as error:
        reason, hint = _REASONS.get(error.errno or 0, (os_reason(error), _CHOOSE))
        raise StoreError(tr("cannot write {path}: {reason}", path=path, reason=reason), hint) from error


def write_whole(path: Path, data: bytes) -> None:
    """Write `path` by way of a file beside it: after a crash there is the old content or the new one.

    That file always has the same name, so that crashes leave no heap of them; the caller holds the store's lock.
    """
    with telling(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        try:
            with open(part, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def protect(path: Path) -> None:
    """Against accidents: a blob's bytes never change. Windows would refuse to delete it, FAT knows no modes."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            path.chmod(0o444)


def free_bytes(folder: Path) -> int | None:
    """What an ordinary user can still write there; None where it cannot be told. The folder need not exist yet."""
    for place in (folder, *folder.parents):
        try:
            return shutil.disk_usage(place).free
        except FileNotFoundError:
            continue
        except OSError:
            break
    return None
