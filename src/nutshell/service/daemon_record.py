"""What a running service notes about itself, so that status and stop find it: a pid file that cannot lie.

A process number is given again when its process has ended, so the record also holds when that process began.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import NoReturn

from nutshell import __version__
from nutshell.errors import NutshellError, OutputError, StoreError
from nutshell.language import tr
from nutshell.service.options import ServiceOptions
from nutshell.service.private_file import ANOTHER_FOLDER, telling, unreadable, write_private
from nutshell.user_folders import Environment

FILE_NAME = "service.json"
_SHARED = Path("/dev/shm")
FOREGROUND, DETACHED, SYSTEMD = "foreground", "detached", "systemd"


class AlreadyRunning(NutshellError):
    """Another service holds the folder."""


@dataclass(frozen=True)
class Record:
    """pid, mark: the process, and what tells it from a later one of that number. since: seconds since 1970.

    manager: who keeps it (foreground, detached, systemd). token: with amnesia only, for then there is no file of it,
    and this one lies in memory.
    """

    pid: int
    mark: str
    since: float
    host: str
    port: int
    lan: bool
    manager: str
    amnesia: bool
    folder: str
    version: str
    token: str = ""

    @property
    def alive(self) -> bool:
        """Whether that very process still runs."""
        return bool(self.mark) and process_mark(self.pid) == self.mark


def record_of(options: ServiceOptions, manager: str) -> Record:
    """Of this process, which serves with these options."""
    return Record(
        pid=os.getpid(),
        mark=process_mark(os.getpid()),
        since=time.time(),
        host=options.host,
        port=options.port,
        lan=options.lan,
        manager=manager,
        amnesia=options.amnesia,
        folder=str(options.folder),
        version=__version__,
        token=options.token if options.amnesia else "",
    )


def process_mark(pid: int) -> str:
    """What a process has that a later one of its number has not; empty where there is none."""
    if sys.platform == "linux":
        # Not the time of day, which somebody may set while it runs: ticks since the start of the machine (proc(5)).
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
            told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        state, *rest = told.rpartition(")")[2].split()
        return "" if state in "ZX" else f"{boot}-{rest[18]}"
    import psutil

    try:
        return str(psutil.Process(pid).create_time())
    except psutil.Error:
        return ""


def memory_folder(environment: Environment | None = None) -> Path | None:
    """A folder of the user's that lies in memory; None where there is none. It need not exist."""
    environment = os.environ if environment is None else environment
    if environment.get("XDG_RUNTIME_DIR"):
        return Path(environment["XDG_RUNTIME_DIR"], "nutshell")
    if sys.platform == "linux" and _SHARED.is_dir():
        return _SHARED / f"nutshell-{os.getuid()}"
    return None


def record_folder(options: ServiceOptions) -> Path | None:
    """Where a service with these options notes itself; None: nowhere, for all there is is disks."""
    return memory_folder() if options.amnesia else options.folder


def find_record(folder: Path) -> Record | None:
    """The record of the service of this folder, or of one that forgets: a living one first.

    Raises OutputError where a record is there and cannot be read.
    """
    memory = memory_folder()
    # What another user put there would have this one's processes stopped.
    places = [folder, memory] if memory is not None and _is_ours(memory) else [folder]
    found = [record for place in places for record in _read(place)]
    return next((record for record in found if record.alive), found[0] if found else None)


@contextlib.contextmanager
def holding(folder: Path | None) -> Iterator[None]:
    """Be the only service of this folder, however two starts race; ends with the process. Raises AlreadyRunning."""
    if folder is None:
        yield
        return
    from nutshell.store.locking import locked

    with telling(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not _is_ours(folder):
        raise OutputError(
            tr("{path} belongs to somebody else, or is open to others", path=folder),
            tr("set XDG_RUNTIME_DIR to a folder of yours in memory"),
        )
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(folder, on_wait=lambda: _refuse(folder)))
        except StoreError as error:
            raise OutputError(error.message, ANOTHER_FOLDER) from error
        yield


@contextlib.contextmanager
def noted(folder: Path | None, record: Record) -> Iterator[None]:
    """Leave the record in `folder` for the length of a `with`."""
    if folder is None:
        yield
        return
    path = folder / FILE_NAME
    write_private(path, json.dumps(asdict(record), indent=1) + "\n")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def forget(record: Record) -> None:
    """Remove the record of a service that ended without doing so."""
    for place in filter(None, (Path(record.folder), memory_folder())):
        if record in _read(place):
            with contextlib.suppress(OSError):
                (place / FILE_NAME).unlink(missing_ok=True)


def _read(folder: Path) -> list[Record]:
    path = folder / FILE_NAME
    try:
        values = json.loads(path.read_bytes())
        return [Record(**{field.name: values[field.name] for field in fields(Record)})]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, KeyError, TypeError):
        return []  # of another version, or cut short by a crash: as good as none


def _refuse(folder: Path) -> NoReturn:
    running = next(iter(_read(folder)), None)
    hint = tr("nutshell serve status tells more, nutshell serve stop ends it")
    if running is None:
        raise AlreadyRunning(tr("another service is starting with the folder {folder}", folder=folder), hint)
    raise AlreadyRunning(
        tr("a service runs already, on port {port} (process {pid})", port=running.port, pid=running.pid), hint
    )


def _is_ours(folder: Path) -> bool:
    """In a place that all users share another one may have made the folder, to read or to mislead."""
    if sys.platform == "win32" or folder.parent != _SHARED:
        return True
    try:
        told = folder.lstat()
    except FileNotFoundError:
        return True
    return stat.S_ISDIR(told.st_mode) and told.st_uid == os.getuid() and not told.st_mode & 0o077
