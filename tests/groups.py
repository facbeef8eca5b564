"""Memory control groups: a run in one is killed if it takes more. Linux's, and only where one may be made."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

REPOSITORY = Path(__file__).parents[1]
MB = 1 << 20
GROUPS = Path("/sys/fs/cgroup")
DRAW = "import sys; from nutshell.cli.main import main; sys.exit(main())"


@contextlib.contextmanager
def memory_group(limit_mb: int) -> Iterator[Path]:
    """An empty group with that limit, of either version of control groups; skips the test where there can be none."""
    if sys.platform != "linux":
        pytest.skip("control groups are Linux's")
    first = (GROUPS / "memory").is_dir()
    folder = (GROUPS / "memory" if first else GROUPS) / f"nutshell-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        (folder / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(limit_mb * MB))
        yield folder
    except OSError as error:
        pytest.skip(f"the group's memory cannot be limited: {error}")
    finally:
        folder.rmdir()


def peak_bytes(group: Path) -> int:
    """The most that was charged to it, pages of files and all."""
    peak = next(path for path in (group / "memory.max_usage_in_bytes", group / "memory.peak") if path.exists())
    return int(peak.read_text())


def drawn(output: Path, *words: str, group: Path | None = None, timeout: float = 300) -> Image.Image:
    """What `nutshell generate "a red apple" WORDS` draws in a process of its own."""
    command = [sys.executable, "-c", DRAW, "generate", "a red apple", "--seed", "7", "--quiet"]
    join = f'echo $$ > "{group}/cgroup.procs" && exec "$@"' if group else 'exec "$@"'
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), "NUTSHELL_CONFIG": ""}
    done = subprocess.run(
        ["sh", "-c", join, "sh", *command, "--output", str(output), *words],
        env=environment, capture_output=True, encoding="utf-8", timeout=timeout, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Image.open(output)


def forgotten(folder: Path) -> None:
    """Drop what the page cache holds of a folder's files: pages are charged to the group that reads them first."""
    for path in folder.rglob("*"):
        if path.is_file():
            file = os.open(path, os.O_RDONLY)
            os.fsync(file)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)


def psnr(got: Image.Image, wanted: Image.Image) -> float:
    difference = np.asarray(got, np.float64) - np.asarray(wanted, np.float64)
    return float(10 * np.log10(255**2 / max(np.mean(difference**2), 1e-9)))
