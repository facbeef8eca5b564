"""`/docs`: the interface for programs, to read and to try; `/openapi.json`: the same for tools.

The viewer is Swagger UI (see THIRD_PARTY.md). Its files lie here, packed by gzip: nothing is asked for elsewhere.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response

from nutshell.service.http.errors import HttpTrouble

FOLDER = Path(__file__).parent / "assets"
_TYPES = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "start.js": "text/javascript; charset=utf-8",
}
_KEEP = "private, max-age=3600"


def router(description: Callable[[], dict[str, Any]]) -> APIRouter:
    """description: makes the OpenAPI of all routes."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/docs")
    async def docs() -> Response:
        page = await asyncio.to_thread((FOLDER / "docs.html").read_bytes)
        return Response(page, media_type="text/html; charset=utf-8", headers={"Cache-Control": "no-cache"})

    @routes.get("/docs/{name}")
    async def asset(name: str, request: Request) -> Response:
        kind = _TYPES.get(name)
        if kind is None:
            raise HttpTrouble(404)
        packs = "gzip" in request.headers.get("accept-encoding", "").lower()
        data, packed = await asyncio.to_thread(_file, name, packs)
        headers = {"Cache-Control": _KEEP, "Vary": "Accept-Encoding"}
        return Response(data, media_type=kind, headers={**headers, "Content-Encoding": "gzip"} if packed else headers)

    # The framework's own would make it on the event loop, which takes a while.
    @routes.get("/openapi.json")
    async def openapi() -> Response:
        return Response(await asyncio.to_thread(lambda: json.dumps(description())), media_type="application/json")

    return routes


def _file(name: str, packs: bool) -> tuple[bytes, bool]:
    """The file, and whether it is packed. name: one of ours."""
    path = FOLDER / f"{name}.gz"
    if not path.exists():
        return (FOLDER / name).read_bytes(), False
    data = path.read_bytes()
    return (data, True) if packs else (gzip.decompress(data), False)
