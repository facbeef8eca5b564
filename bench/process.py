"""A worker process seen from its parent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from bench.packages import python_path
from bench.peers import Job
from bench.worker import MARK

_REPOSITORY = Path(__file__).parents[1]

C = TypeVar("C", bound="Child")


class NotMeasured(Exception):
    """A row that could not be run; the text is the reason that the table shows."""


class Child:
    """A started module of `bench` that answers in lines of JSON. Leaving the `with` ends it."""

    def __init__(self, module: str, given: Mapping[str, Any], variables: Mapping[str, str] | None = None) -> None:
        """given: its argument, as JSON. variables: of its environment, beside the usual ones."""
        environment = {
            **os.environ,
            "PYTHONPATH": python_path(),
            "HF_HUB_OFFLINE": "1",
            "TRANSFORMERS_OFFLINE": "1",
            "NUTSHELL_CONFIG": "",
            **(variables or {}),
        }
        self._begun = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, json.dumps(given)],
            cwd=_REPOSITORY,
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def answer(self) -> dict[str, Any]:
        """The worker's next answer; "wall_seconds" is the time since the process was started."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(MARK):
                said: dict[str, Any] = json.loads(line.removeprefix(MARK))
                if "error" in said:
                    raise NotMeasured(said["error"])
                return {**said, "wall_seconds": time.perf_counter() - self._begun}
        raise NotMeasured(f"the process ended with status {self._process.wait()}")

    def ask(self, what: str) -> dict[str, Any]:
        """Send a line, wait for the answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(what + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise NotMeasured(f"the process ended with status {self._process.wait()}") from error
        return self.answer()

    def close(self) -> None:
        """End it, gently if it has been told to end already."""
        if self._process.poll() is None:
            try:
                self._process.wait(0.5)
            except subprocess.TimeoutExpired:
                self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()

    def __enter__(self: C) -> C:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Worker(Child):
    """A started `bench.worker`."""

    def __init__(self, task: str, job: Job, steps: int = 0, config: str = "") -> None:
        """config: Nutshell's file of settings, beside which calibration cards are looked for; "" for none."""
        super().__init__("bench.worker", {"task": task, "steps": steps, **asdict(job)}, {"NUTSHELL_CONFIG": config})
