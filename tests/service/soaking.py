"""Many clients of a service that may be killed and started again, and what each of them was promised."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil

from tests.service.started import home, state

SOAK = [sys.executable, str(Path(__file__).parent / "soak_serve.py")]
_ENDED = ("done", "failed", "cancelled")


@dataclass
class Soak:
    """A service in folders of its own. accepted: for each job that was answered with 202, how many pictures it has."""

    folder: Path
    command: Sequence[str] = field(default_factory=lambda: SOAK)
    words: tuple[str, ...] = ()
    accepted: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    _process: subprocess.Popen[str] | None = None
    _http: httpx2.AsyncClient | None = None
    _up: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        """Start the service; it answers when this returns."""
        words = [*self.command, "serve", "--port", "0", "--json", "--queue", "300", *self.words]
        self._process = process = await asyncio.to_thread(
            subprocess.Popen, words, env=home(self.folder), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert process.stdout is not None
        line = await asyncio.to_thread(process.stdout.readline)
        assert line, f"the service ended with status {process.wait()}"
        limits = httpx2.Limits(max_connections=None)
        self._http = httpx2.AsyncClient(base_url=json.loads(line)["address"], timeout=60, limits=limits)
        self._up.set()

    async def kill(self) -> None:
        """SIGKILL to the service, and see that no process of its own stays."""
        assert self._process is not None
        self._up.clear()
        children = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        await self._close()
        for _ in range(2400):
            if not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children):
                return
            await asyncio.sleep(0.05)
        raise AssertionError("a worker outlived its service")

    def kill_worker(self) -> bool:
        """SIGKILL to the process that draws; False where there is none now."""
        assert self._process is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self._process.pid).children():
                child.kill()
                return True
        return False

    async def stop(self) -> None:
        """End the service in order."""
        assert self._process is not None
        self._up.clear()
        self._process.terminate()
        await self._close()

    @property
    def web_bytes(self) -> int:
        """Resident memory of the web side."""
        assert self._process is not None
        return int(psutil.Process(self._process.pid).memory_info().rss)

    @property
    def worker_bytes(self) -> int:
        """Resident memory of what it has started."""
        assert self._process is not None
        return sum(child.memory_info().rss for child in psutil.Process(self._process.pid).children())

    async def get(self, path: str) -> Any:
        """The JSON of an answer, from this service or the one that takes its place."""
        while True:
            await self._up.wait()
            assert self._http is not None
            try:
                answer = await self._http.get(path)
            except httpx2.HTTPError:
                await asyncio.sleep(0.05)
                continue
            assert answer.status_code == 200, answer.text
            return answer.json()

    async def ask(self, **wish: Any) -> str | None:
        """Ask for pictures; None where nothing was promised: a full queue, a service that is gone."""
        await self._up.wait()
        assert self._http is not None
        try:
            answer = await self._http.post("/api/jobs", json=wish)
        except httpx2.HTTPError:
            await asyncio.sleep(0.05)
            return None
        if answer.status_code == 429 or answer.status_code == 503:
            assert float(answer.headers["Retry-After"]) > 0
            self.refused += 1
            await asyncio.sleep(0.5)
            return None
        assert answer.status_code == 202, answer.text
        id = str(answer.json()["id"])
        assert id not in self.accepted
        self.accepted[id] = int(wish.get("count", 1))
        return id

    async def ended(self, id: str) -> dict[str, Any]:
        """A job once it has ended, followed by its events."""
        while (job := await self.get(f"/api/jobs/{id}"))["state"] not in _ENDED:
            assert self._http is not None
            with contextlib.suppress(httpx2.HTTPError):
                async with self._http.stream("GET", f"/api/jobs/{id}/events") as answer:
                    async for _ in answer.aiter_bytes():
                        pass
            await asyncio.sleep(0.02)
        return dict(job)

    async def client(self, number: int, until: asyncio.Event, **wish: Any) -> None:
        """Asks for a picture and waits for it, again and again."""
        asked = 0
        while not until.is_set():
            asked += 1
            id = await self.ask(prompt=f"{wish.get('words', '')} of {number}", **_without_words(wish, number, asked))
            if id is not None:
                await self.ended(id)

    async def jobs(self) -> dict[str, dict[str, Any]]:
        """Every job that the service knows, by page."""
        found: dict[str, dict[str, Any]] = {}
        before = ""
        while True:
            page = await self.get(f"/api/jobs?limit=200{before}")
            for job in page["jobs"]:
                assert job["id"] not in found
                found[job["id"]] = job
            if page["next"] is None:
                return found
            before = f"&before={page['next']}"

    def pictures_on_disk(self) -> list[str]:
        """The names of the gallery's files, without their suffix."""
        return [path.stem for path in (state(self.folder) / "gallery").rglob("*.png")]

    async def _close(self) -> None:
        assert self._process is not None
        await asyncio.to_thread(self._process.wait, 60)
        if self._process.stdout is not None:
            self._process.stdout.close()
        if self._http is not None:
            await self._http.aclose()

    async def __aenter__(self) -> Soak:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            await self.kill()


def _without_words(wish: dict[str, Any], number: int, asked: int) -> dict[str, Any]:
    given = {key: value for key, value in wish.items() if key != "words"}
    # Another seed each time: equal wishes would share a drawing.
    return {"width": 64, "height": 64, "seed": 1000 * number + asked, **given}
