"""A command run from its start to its first line, with its memory watched from outside."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.entries import Entry
from bench.models import WORK
from bench.packages import python_path
from bench.process import NotMeasured

# Calibration cards lie in the one, nothing in the other; what runs teach is kept in neither.
CARDS, BARE = WORK / "state-cards", WORK / "state-bare"
PROMPT = "a lighthouse at dusk"
SEED = 1
_PAUSE_SECONDS = 0.05
_FIELDS = {"VmHWM": "peak", "VmRSS": "resident", "RssAnon": "anonymous", "RssFile": "file"}


@dataclass
class Memory:
    """Bytes of a process over its life, read every twentieth of a second. peak: also between two readings."""

    peak: int = 0
    peak_anonymous: int = 0
    peak_file: int = 0
    resident: list[int] = field(default_factory=list)

    @property
    def steady(self) -> float | None:
        """The median over the second half of its life."""
        return statistics.median(self.resident[len(self.resident) // 2 :]) if self.resident else None

    def read(self, pid: int) -> bool:
        """Whether the process still had memory."""
        try:
            lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        except OSError:
            return False
        rows = [line.split() for line in lines]
        found = {_FIELDS[row[0][:-1]]: 1024 * int(row[1]) for row in rows if row and row[0][:-1] in _FIELDS}
        if len(found) < len(_FIELDS):
            return False
        self.peak = max(self.peak, found["peak"])
        self.peak_anonymous = max(self.peak_anonymous, found["anonymous"])
        self.peak_file = max(self.peak_file, found["file"])
        self.resident.append(found["resident"])
        return True


@dataclass(frozen=True)
class Ran:
    """line: the first that it said; seconds: from its start until then; memory: until its end."""

    line: str
    seconds: float
    memory: Memory

    def keep(self, entry: Entry, name: str = "picture_seconds") -> None:
        """Add to a row: its time as a sample, its memory as the most of all runs."""
        entry.samples.setdefault(name, []).append(self.seconds)
        for key, value in (
            ("peak_bytes", self.memory.peak),
            ("peak_anonymous_bytes", self.memory.peak_anonymous),
            ("peak_file_bytes", self.memory.peak_file),
            ("steady_bytes", self.memory.steady or 0),
        ):
            entry.values[key] = max(entry.values.get(key, 0), value)


def run(words: Sequence[str], home: Path | None = None) -> Ran:
    """Run to the end. home: where Nutshell keeps what it notes, `BARE` unless told. Raises NotMeasured if it fails."""
    home = home or BARE
    home.mkdir(parents=True, exist_ok=True)
    # An empty file of settings: the user's own would change the figures.
    (home / "config.toml").touch()
    memory = Memory()
    with tempfile.TemporaryFile("w+") as errors:
        begun = time.perf_counter()
        with subprocess.Popen(
            list(words), env=environment(home), stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process:
            watch = threading.Thread(target=_watch, args=(process, memory), daemon=True)
            watch.start()
            assert process.stdout is not None
            line = process.stdout.readline()
            seconds = time.perf_counter() - begun
            process.stdout.read()
        watch.join()
        if process.returncode != 0:
            errors.seek(0)
            said = [text.strip() for text in errors if text.strip()]
            killed = "killed, as one that takes more memory than it may" if process.returncode in (-9, 137) else ""
            reason = killed or " ".join(said[-2:])[-300:] or f"the process ended with status {process.returncode}"
            raise NotMeasured(reason)
    return Ran(line, seconds, memory)


def nutshell(*words: str) -> list[str]:
    """The command line, in this interpreter."""
    return [sys.executable, "-m", "nutshell.cli.main", *words]


def generate(model: str | Path, output: Path, threads: int, *flags: str) -> list[str]:
    """Words of `nutshell generate`, after its name."""
    words = ["generate", PROMPT, "--model", str(model), "--seed", str(SEED), "--threads", str(threads)]
    return [*words, "--no-learn", "--json", "--output", str(output), *flags]


def told(line: str) -> dict[str, Any]:
    """What `nutshell generate --json` said of its picture."""
    content: dict[str, Any] = json.loads(line)
    return content


def environment(home: Path) -> dict[str, str]:
    """Nothing of the user's own, and no connection."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NUTSHELL_")}
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    return kept | offline | {"PYTHONPATH": python_path(), "NUTSHELL_CONFIG": str(home / "config.toml")}


def _watch(process: subprocess.Popen[str], memory: Memory) -> None:
    while process.poll() is None and memory.read(process.pid):
        time.sleep(_PAUSE_SECONDS)
