"""A whole service on a port of its own, with a toy for a worker: what tests of the faces talk to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx2
import uvicorn

from nutshell.service.http.app import create_app
from nutshell.service.options import ServiceOptions
from nutshell.service.parts import Parts
from tests.service.toy import ToyWorker
from tests.service.toy_queue import ToyGallery, ToyModels, ToyQueue


@dataclass
class Served:
    """A service that listens. call: run a coroutine function's result on its loop and wait for it."""

    url: str
    parts: Parts
    worker: Any
    call: Callable[[Any], Any]

    def client(self, **given: Any) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, timeout=30, **given)


@contextlib.contextmanager
def serving(folder: Path, worker: Any = None, **changes: Any) -> Iterator[Served]:
    """Serve until the end of the `with`. changes: of the options."""
    worker = worker or ToyWorker()
    options = replace(ServiceOptions(folder, "artist", requests_per_minute=0), **changes)
    ready, box = threading.Event(), {}

    async def run() -> None:
        gallery = ToyGallery()
        queue = ToyQueue(worker, gallery, options.limits, options.queue)
        parts = Parts(options, queue, gallery, worker, ToyModels())
        listening = socket.create_server((options.host, 0))
        config = uvicorn.Config(create_app(parts), log_level="warning", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        box.update(parts=parts, server=server, loop=asyncio.get_running_loop(), port=listening.getsockname()[1])
        ready.set()
        await server.serve([listening])

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    try:
        if not ready.wait(30):
            raise RuntimeError("the service did not start")
        url = f"http://{options.host}:{box['port']}"

        def call(coroutine: Any) -> Any:
            return asyncio.run_coroutine_threadsafe(coroutine, box["loop"]).result(30)

        yield Served(url, box["parts"], worker, call)
    finally:
        if "server" in box:
            box["server"].should_exit = True
        thread.join(30)
