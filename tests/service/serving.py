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
from nutshell.service.http.guard import guard, uvicorn_options
from nutshell.service.models import Models
from nutshell.service.open import opened
from nutshell.service.options import ServiceOptions
from nutshell.service.parts import Parts
from tests.service.toy import ToyWorker
from tests.service.toy_models import ToyModels

_START_SECONDS = 60


@dataclass
class Served:
    """A service that listens. call: have a coroutine run on its event loop, and wait for what it returns."""

    url: str
    parts: Parts
    worker: Any
    call: Callable[[Any], Any]

    def client(self, **given: Any) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, timeout=30, **given)


@contextlib.contextmanager
def serving(folder: Path, worker: Any = None, models: Models | None = None, **changes: Any) -> Iterator[Served]:
    """Serve until the end of the `with`. changes: of the options."""
    worker = worker or ToyWorker()
    plain = ServiceOptions(folder, "artist", port=0, requests_per_minute=0, amnesia=True)
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    options = replace(plain, **{"port": port, **changes})
    ready, box = threading.Event(), {}

    async def run() -> None:
        async with opened(options, worker, models or ToyModels()) as parts:
            config = uvicorn.Config(
                guard(create_app(parts), options),
                log_config=None, lifespan="off", timeout_graceful_shutdown=1, **uvicorn_options(),
            )  # fmt: skip
            server = uvicorn.Server(config)
            box.update(parts=parts, server=server, loop=asyncio.get_running_loop())
            serve = asyncio.create_task(server.serve([listening]))
            ready.set()
            await serve

    def body() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:
            box["error"] = error
            raise
        finally:
            ready.set()

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    try:
        if not ready.wait(_START_SECONDS) or "error" in box:
            raise RuntimeError("the service did not start") from box.get("error")

        def call(coroutine: Any) -> Any:
            return asyncio.run_coroutine_threadsafe(coroutine, box["loop"]).result(30)

        yield Served(f"http://127.0.0.1:{port}", box["parts"], worker, call)
    finally:
        if "server" in box:
            box["server"].should_exit = True
        thread.join(30)
        listening.close()
