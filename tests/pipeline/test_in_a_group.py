"""The built-in model in a memory control group of 192 MB, without swap: a whole run, killed if it takes more."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

REPOSITORY = Path(__file__).parents[2]
LIMIT_MB = 192
MB = 1 << 20
GROUPS = Path("/sys/fs/cgroup")
DRAW = "import sys; from nutshell.cli.main import main; sys.exit(main())"


@pytest.fixture
def group() -> Iterator[Path]:
    """An empty group with that limit, of either version of control groups."""
    first = (GROUPS / "memory").is_dir()
    folder = (GROUPS / "memory" if first else GROUPS) / f"nutshell-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        (folder / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(LIMIT_MB * MB))
        yield folder
    except OSError as error:
        pytest.skip(f"the group's memory cannot be limited: {error}")
    finally:
        folder.rmdir()


def drawn(output: Path, *words: str, group: Path | None = None) -> Image.Image:
    command = [sys.executable, "-c", DRAW, "generate", "a red apple", "--seed", "7", "--steps", "3", "--quiet"]
    join = f'echo $$ > "{group}/cgroup.procs" && exec "$@"' if group else 'exec "$@"'
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), "NUTSHELL_CONFIG": ""}
    done = subprocess.run(
        ["sh", "-c", join, "sh", *command, "--model", "artist", "--output", str(output), *words],
        env=environment, capture_output=True, encoding="utf-8", timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Image.open(output)


@pytest.mark.skipif(sys.platform != "linux", reason="control groups are Linux's")
def test_the_artist_draws_in_192_megabytes(group: Path, tmp_path: Path) -> None:
    lean = drawn(tmp_path / "lean.png", "--max-memory", f"{LIMIT_MB}M", group=group)
    peak = next(path for path in (group / "memory.max_usage_in_bytes", group / "memory.peak") if path.exists())
    assert 0 < int(peak.read_text()) <= LIMIT_MB * MB
    resident = drawn(tmp_path / "resident.png", "--precision", "f32")
    difference = np.asarray(lean, np.float64) - np.asarray(resident, np.float64)
    assert 10 * np.log10(255**2 / max(np.mean(difference**2), 1e-9)) >= 45
