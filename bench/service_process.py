"""`nutshell serve` as a process in folders of its own, and a client of it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from bench.process import NotMeasured

_SOURCE = Path(__file__).parents[1] / "src"
_PATIENCE_SECONDS = 300.0
_ENDS = ("done", "failed", "cancelled")


def clean_environment(folder: str) -> dict[str, str]:
    """Nothing of the user's own: neither settings nor jobs nor what runs have taught."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUTSHELL_")}
    homes = dict.fromkeys(("XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"), folder)
    paths = os.pathsep.join((str(_SOURCE), str(_SOURCE.parent)))
    return environment | homes | {"PYTHONPATH": paths, "NUTSHELL_CONFIG": ""}


class Service:
    """A started service. ready_seconds: from the start of the process to its first answer. Leaving the `with` ends it.

    begun: when the process was started, by `time.perf_counter`.
    """

    def __init__(self, model: str, threads: int, *flags: str) -> None:
        self._folder = tempfile.TemporaryDirectory()
        words = ["serve", "--port", "0", "--json", "--model", model, "--threads", str(threads), "--no-learn", *flags]
        self.begun = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nutshell.cli.main", *words],
            env=clean_environment(self._folder.name),
            cwd=self._folder.name,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise NotMeasured(f"nutshell serve ended with status {self._process.wait()}")
        host, port = json.loads(line)["address"].removeprefix("http://").rstrip("/").split(":")
        self._host, self._port = host, int(port)
        self._connection = self.connect()
        self.get("/healthz")
        self.ready_seconds = time.perf_counter() - self.begun

    def connect(self) -> http.client.HTTPConnection:
        """A connection of its own: one carries one request at a time."""
        return http.client.HTTPConnection(self._host, self._port, timeout=_PATIENCE_SECONDS)

    def get(self, path: str) -> bytes:
        """The body of an answer that went well."""
        return self._answer("GET", path)

    def ask(self, **wish: Any) -> str:
        """Queue a job; gives its id."""
        return str(json.loads(self._answer("POST", "/api/jobs", json.dumps(wish)))["id"])

    def wait(self, id: str) -> float:
        """Follow a job to its end; gives when it came, by `time.perf_counter`. Raises NotMeasured where it failed."""
        for kind in self.events(id):
            if kind in _ENDS:
                ended = time.perf_counter()
                if kind != "done":
                    raise NotMeasured(f"the job {kind}")
                return ended
        raise NotMeasured("the events ended before the job")

    def events(self, id: str) -> Iterator[str]:
        """The kinds of a job's events as they come."""
        connection = self.connect()
        try:
            connection.request("GET", f"/api/jobs/{id}/events")
            for line in connection.getresponse():
                if line.startswith(b"event: "):
                    yield line.removeprefix(b"event: ").strip().decode()
        finally:
            connection.close()

    def follow_aside(self, id: str) -> threading.Thread:
        """Read a job's events on a thread, as a page in a browser would."""
        thread = threading.Thread(target=lambda: list(self.events(id)), daemon=True)
        thread.start()
        return thread

    def cancel(self, id: str) -> None:
        """Stop a job."""
        self._answer("DELETE", f"/api/jobs/{id}")

    @property
    def web_bytes(self) -> int:
        """Resident memory of the web side."""
        return int(psutil.Process(self._process.pid).memory_info().rss)

    @property
    def worker_bytes(self) -> int:
        """Resident memory of the processes that it has started."""
        return sum(child.memory_info().rss for child in psutil.Process(self._process.pid).children(recursive=True))

    def _answer(self, method: str, path: str, body: str | None = None) -> bytes:
        headers = {"Content-Type": "application/json"} if body else {}
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 400:
            raise NotMeasured(f"{method} {path}: {answer.status} {content[:200]!r}")
        return content

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._folder.cleanup()
