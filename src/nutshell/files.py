"""Files are written whole or not at all, and a failure says what to do about it.

with writing(Path("picture.png")) as file:
    image.save(file, "PNG")

with reserved(folder, "nutshell-a-red-apple-7", ".png") as path:   # a name that no other process has
    picture.save(path)
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from nutshell.errors import OutputError, os_reason
from nutshell.language import Text, tr

PROBE_BYTES = 256 * 1024  # about one small picture
MOST_NUMBERS = 100_000

# errno -> (what happened, what to do)
_REASONS: dict[int, tuple[Text, Text]] = {
    errno.ENOSPC: (tr("the disk is full"), tr("free some space, or write to another disk with --output")),
    errno.EACCES: (tr("you have no permission to write there"), tr("choose a folder of yours with --output")),
    errno.EPERM: (tr("this is not permitted there"), tr("choose a folder of yours with --output")),
    errno.EROFS: (tr("the disk is read-only"), tr("choose a folder on another disk with --output")),
    errno.ENOENT: (tr("there is no such folder"), tr("make the folder first, or name another with --output")),
    errno.ENOTDIR: (tr("part of that path is a file, not a folder"), tr("check the path")),
    errno.EISDIR: (tr("that is a folder"), tr("name a file in it")),
    errno.ENAMETOOLONG: (tr("the name is too long"), tr("choose a shorter name with --output")),
    errno.EINVAL: (tr("the name is not allowed there"), tr('avoid the characters < > : " | ? * in the name')),
    errno.ELOOP: (tr("its links lead in a circle"), tr("check the path")),
    errno.EIO: (tr("the disk failed"), tr("check the disk, or write to another with --output")),
    errno.EFBIG: (tr("the file is too large for that disk"), tr("write to another disk with --output")),
    errno.EMFILE: (tr("too many files are open"), tr("close other programs, or raise the limit (ulimit -n)")),
    errno.EDQUOT: (tr("your disk quota is used up"), tr("free some space, or write to another disk with --output")),
}


def output_error(path: Path, error: OSError) -> OutputError:
    """Tell what kept `path` from being written."""
    reason, hint = _REASONS.get(error.errno or 0, (os_reason(error), tr("try another folder with --output")))
    return OutputError(tr("cannot write {path}: {reason}", path=path, reason=reason), hint)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """Give a binary file that becomes `path` when the block ends well, and nothing otherwise.

    The bytes go to a hidden file in the same folder, reach the disk, and then take the name in one step.
    A link is followed, so that its target is replaced. Devices and pipes are written to directly.
    """
    try:
        target = Path(os.path.realpath(path))
        mode = _mode_of(target)
        if mode is not None and not stat.S_ISREG(mode):
            with open(target, "wb") as device:
                yield device
            return
        if mode is not None and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, "read-only", str(target))
        file, part = _open_part(target.parent)
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if mode is not None:
                _keep_mode(part, mode)
            os.replace(part, target)
        except BaseException:
            # Ctrl-C and signals that raise come through here too.
            part.unlink(missing_ok=True)
            raise
        sync_folder(target.parent)
    except OSError as error:
        raise output_error(path, error) from error


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` whole or not at all."""
    with writing(path) as file:
        file.write(data)


def make_folder(folder: Path) -> None:
    """Make `folder` and those it lies in, as far as they are not there. Raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error


def unique_path(folder: Path, stem: str, suffix: str) -> Path:
    """Make an empty file in `folder` called stem + suffix, or stem-2 + suffix and so on, and return its path.

    The file is made with O_EXCL, so of two processes that ask at once each gets a name of its own.
    """
    for number in range(1, MOST_NUMBERS):
        path = folder / (f"{stem}{suffix}" if number == 1 else f"{stem}-{number}{suffix}")
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except FileExistsError:
            continue
        except OSError as error:
            raise output_error(path, error) from error
        return path
    raise OutputError(
        tr(
            "{folder} already holds {most_numbers} files called {stem}",
            folder=folder,
            most_numbers=MOST_NUMBERS - 1,
            stem=stem,
        ),
        tr("move some of them away"),
    )


@contextlib.contextmanager
def reserved(folder: Path, stem: str, suffix: str) -> Iterator[Path]:
    """`unique_path` for the length of a block; if the block fails, the empty file goes away again."""
    path = unique_path(folder, stem, suffix)
    try:
        yield path
    except BaseException:
        with contextlib.suppress(OSError):
            if path.stat().st_size == 0:
                path.unlink()
        raise


def check_folder(folder: Path) -> None:
    """Raise OutputError now if a small file cannot be written into `folder`, before hours of work."""
    part: Path | None = None
    try:
        file, part = _open_part(folder)
        with file:
            file.write(bytes(PROBE_BYTES))
    except OSError as error:
        raise output_error(folder, error) from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def _open_part(folder: Path) -> tuple[IO[bytes], Path]:
    """A new hidden file in `folder`, with the permissions that the user's umask gives."""
    part = folder / f".nutshell-{secrets.token_hex(6)}.part"
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(part, flags, 0o666), "w+b"), part


def _mode_of(path: Path) -> int | None:
    """The type and permissions of a file, None if there is none; a folder is an error."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "is a folder", str(path))
    return mode


def _keep_mode(part: Path, mode: int) -> None:
    # FAT and network disks have no permissions to keep.
    with contextlib.suppress(OSError):
        part.chmod(stat.S_IMODE(mode))


def sync_folder(folder: Path) -> None:
    """Bring new names in `folder` to the disk, where the system can do that for a folder."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
