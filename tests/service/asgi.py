"""An ASGI application asked in process: quick, and with any peer, header and body."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp


@dataclass(frozen=True)
class Answer:
    """names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    app: ASGIApp,
    method: str = "GET",
    path: str = "/",
    headers: Iterable[tuple[str, str]] | dict[str, str] = (),
    body: Iterable[bytes] = (b"",),
    *,
    query: str = "",
    client: str = "127.0.0.1",
    server: str = "127.0.0.1",
    host: str | None = "127.0.0.1:8000",
    pause_seconds: float = 0.0,
) -> Answer:
    """body: the parts in which it comes, with `pause_seconds` before each. After it the client waits."""
    pairs = list(headers.items() if isinstance(headers, dict) else headers)
    if host is not None:
        pairs.insert(0, ("host", host))
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode("utf-8", "replace"), "query_string": query.encode(), "root_path": "",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs],
        "client": (client, 50000), "server": (server, 8000), "state": {},
    }  # fmt: skip
    parts = list(body)
    told: list[Any] = []

    async def receive() -> Any:
        if not parts:
            await asyncio.Event().wait()
        await asyncio.sleep(pause_seconds)
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message: Any) -> None:
        told.append(message)

    await app(scope, receive, send)
    starts = [message for message in told if message["type"] == "http.response.start"]
    assert len(starts) == 1, f"{len(starts)} answers"
    assert told[-1]["type"] == "http.response.body"
    assert not told[-1].get("more_body", False), "half an answer"
    found = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in starts[0]["headers"]}
    content = b"".join(message.get("body", b"") for message in told[1:])
    return Answer(starts[0]["status"], found, content)
