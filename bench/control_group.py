"""A memory control group with a hard limit and no swap: what runs in it and takes more is killed.

Files of the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst. Page cache is charged to whoever
reads a file first, so drop the cache before a run (`forget_files`), or the group seems smaller than it is.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.process import NotMeasured

_ROOT = Path("/sys/fs/cgroup")
_DROP = Path("/proc/sys/vm/drop_caches")


@dataclass(frozen=True)
class Group:
    """An empty group. first: of version 1."""

    folder: Path
    first: bool

    def joined(self, words: Sequence[str]) -> list[str]:
        """A command, made to run in the group from its first instruction on."""
        return ["sh", "-c", f'echo $$ > "{self.folder}/cgroup.procs" && exec "$@"', "sh", *words]

    @property
    def peak_bytes(self) -> int | None:
        """The most that was charged to the group, page cache included; None where the kernel does not count it."""
        path = self.folder / ("memory.max_usage_in_bytes" if self.first else "memory.peak")
        return int(path.read_text()) if path.is_file() else None

    @property
    def major_faults(self) -> int:
        """Pages that had to be read from the disk."""
        rows = dict(line.split() for line in (self.folder / "memory.stat").read_text().splitlines())
        return int(rows.get("pgmajfault", 0))


@contextlib.contextmanager
def limited(limit_bytes: int, root: Path = _ROOT) -> Iterator[Group]:
    """A group of that size. Raises NotMeasured where none can be made."""
    first = (root / "memory").is_dir()
    folder = (root / "memory" if first else root) / f"nutshell-bench-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        raise NotMeasured(f"no memory control group can be made here ({error}): run as root, on Linux") from error
    try:
        try:
            _limit(folder, first, limit_bytes)
        except OSError as error:
            raise NotMeasured(f"the control group's memory cannot be limited ({error}): run as root") from error
        yield Group(folder, first)
    finally:
        _remove(folder)


def forget_files() -> None:
    """Drop every clean page of files from memory. Raises NotMeasured where that is not allowed."""
    os.sync()
    try:
        _DROP.write_text("1")
    except OSError as error:
        raise NotMeasured(f"the page cache cannot be dropped ({error}): run as root") from error


def _limit(folder: Path, first: bool, limit_bytes: int) -> None:
    (folder / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(limit_bytes))
    # Memory and swap together in version 1, swap alone in version 2; neither exists in a kernel without swap.
    swap = folder / ("memory.memsw.limit_in_bytes" if first else "memory.swap.max")
    if swap.exists():
        swap.write_text(str(limit_bytes) if first else "0")


def _remove(folder: Path) -> None:
    """What ran in it may take a moment to be gone."""
    for _ in range(50):
        with contextlib.suppress(OSError):
            folder.rmdir()
            return
        time.sleep(0.1)
