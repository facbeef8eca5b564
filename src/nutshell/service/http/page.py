"""The web page: files that lie beside this package, served from memory."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import HTTPException

FOLDER = Path(__file__).parent.parent / "page"
# What the page consists of; a file of any other kind is not served. No table of this machine is asked: on some,
# mimetypes calls JavaScript text/plain, and a browser then refuses to run it.
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Asset:
    """A file of the page. etag: changes with its bytes. packed: the same bytes with gzip."""

    body: bytes
    packed: bytes
    kind: str
    etag: str

    @classmethod
    def of(cls, path: Path) -> Asset:
        """Read the file."""
        body = path.read_bytes()
        # Without a time in it, so that the same file always packs to the same bytes.
        packed = gzip.compress(body, mtime=0)
        return cls(body, packed, _TYPES[path.suffix], f'"{hashlib.sha256(body).hexdigest()[:20]}"')


def assets(folder: Path = FOLDER) -> dict[str, Asset]:
    """The files of the page by their path below `folder`, written with slashes."""
    found = sorted(path for path in folder.rglob("*") if path.suffix in _TYPES)
    return {path.relative_to(folder).as_posix(): Asset.of(path) for path in found}


def router(folder: Path = FOLDER) -> APIRouter:
    """`/`, and under `/page/` what it loads. Every file is looked up by name in memory: no path is ever built."""
    routes = APIRouter(include_in_schema=False)
    files = assets(folder)

    @routes.api_route("/", methods=["GET", "HEAD"])
    async def index(request: Request) -> Response:
        return _answer(files["index.html"], request.headers)

    @routes.api_route("/favicon.ico", methods=["GET", "HEAD"])
    async def icon(request: Request) -> Response:
        return _answer(files["icon.svg"], request.headers)

    @routes.api_route("/page/{name:path}", methods=["GET", "HEAD"])
    async def asset(name: str, request: Request) -> Response:
        found = files.get(name)
        if found is None:
            raise HTTPException(404)
        return _answer(found, request.headers)

    return routes


def _answer(asset: Asset, headers: Mapping[str, str]) -> Response:
    """The file, packed for who can unpack it; 304 for who has it. Asked for again each time, so an update is seen."""
    own = {"ETag": asset.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    known = {tag.strip().removeprefix("W/") for tag in headers.get("if-none-match", "").split(",")}
    if asset.etag in known:
        return Response(status_code=304, headers=own)
    body = asset.body
    if "gzip" in headers.get("accept-encoding", ""):
        own["Content-Encoding"] = "gzip"
        body = asset.packed
    return Response(body, media_type=asset.kind, headers=own)
