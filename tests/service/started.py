"""`nutshell serve` as a process, in folders of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx2

from tests.cli.conftest import REAL, environment

TOY = [sys.executable, str(Path(__file__).parent / "toy_serve.py")]
PATIENCE_SECONDS = 120.0  # of a machine that is busy


def home(folder: Path, **changes: str) -> dict[str, str]:
    """An environment whose user lives in `folder`."""
    places = {
        "HOME": folder / "home",
        "XDG_CONFIG_HOME": folder / "config",
        "XDG_DATA_HOME": folder / "data",
        "XDG_STATE_HOME": folder / "state",
        "XDG_CACHE_HOME": folder / "cache",
        "XDG_RUNTIME_DIR": folder / "run",
        # No systemd of this machine's.
        "PATH": folder / "bin",
    }
    for place in places.values():
        place.mkdir(exist_ok=True)
    return environment(**{name: str(place) for name, place in places.items()}, **changes)


def state(folder: Path) -> Path:
    """Where the service of `home(folder)` keeps what it keeps."""
    return folder / "state" / "nutshell" / "service"


def run(env: dict[str, str], *words: str, command: Sequence[str] = REAL) -> subprocess.CompletedProcess[str]:
    """`nutshell serve WORDS`, to its end."""
    return subprocess.run(
        [*command, "serve", *words], env=env, capture_output=True, encoding="utf-8", timeout=PATIENCE_SECONDS
    )


def tree(folder: Path) -> set[str]:
    """All that lies in a folder."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


class Started:
    """`nutshell serve` in the foreground on a free port; killed at the end of the `with` where it still runs."""

    def __init__(self, env: dict[str, str], *words: str, command: Sequence[str] = TOY) -> None:
        self.process = subprocess.Popen(
            [*command, "serve", "--port", "0", "--json", *words],
            env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.process.communicate()[1])
        self.told: dict[str, Any] = json.loads(line)
        self.client = httpx2.Client(base_url=self.told["address"], timeout=PATIENCE_SECONDS)

    def get(self, path: str, **given: Any) -> Any:
        """The JSON of an answer that went well."""
        return self.client.get(path, **given).raise_for_status().json()

    def ask(self, prompt: str, **given: Any) -> str:
        """Ask for a picture; gives the job's id."""
        return str(self.client.post("/api/jobs", json={"prompt": prompt, **given}).raise_for_status().json()["id"])

    def wait(self, id: str, *states: str) -> dict[str, Any]:
        """The job, once it is in one of these states."""
        end = time.monotonic() + PATIENCE_SECONDS
        while (job := self.get(f"/api/jobs/{id}"))["state"] not in states:
            assert time.monotonic() < end, job
            time.sleep(0.05)
        return dict(job)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Send a signal; gives exit code and what was said from then on."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, out, err

    def __enter__(self) -> Started:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
