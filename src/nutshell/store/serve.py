"""Answers a `Peer` from a store, read-only. What listens, where and when is for a service to decide.

with serving_store(store, ("0.0.0.0", 8188)) as address: ...
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

from nutshell.store.hashing import CHUNK_BYTES
from nutshell.store.store import Store

_BLOB = re.compile(r"/blobs/sha256-([0-9a-f]{64})")
_MANIFEST = re.compile(r"/manifests/([A-Za-z0-9][A-Za-z0-9._+@-]*)\.json")
_RANGE = re.compile(r"bytes=(\d{1,18})-(\d{1,18})?")


class StoreHandler(BaseHTTPRequestHandler):
    """GET and HEAD of blobs (with Range) and manifests; nothing else is told, and no path is taken from a request."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    store: Store

    def do_GET(self) -> None:
        found = self._find()
        if found is None:
            self._answer(404, 0)
            return
        with found as file:
            size = file.seek(0, 2)
            first, last = 0, size - 1
            if match := _RANGE.fullmatch(self.headers.get("Range", "")):
                first, last = int(match[1]), min(last, int(match[2] or last))
                if first > last:
                    self._answer(416, 0, f"bytes */{size}")
                    return
            count = last - first + 1
            self._answer(206 if match else 200, count, f"bytes {first}-{last}/{size}" if match else "")
            if self.command == "GET":
                file.seek(first)
                while count and (chunk := file.read(min(CHUNK_BYTES, count))):
                    self.wfile.write(chunk)
                    count -= len(chunk)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Quiet: who asks for what is nobody's business."""

    def _find(self) -> IO[bytes] | None:
        path: Path | None = None
        if match := _BLOB.fullmatch(self.path):
            path = self.store.find_blob(match[1])
        elif match := _MANIFEST.fullmatch(self.path):
            path = self.store.folder / "manifests" / f"{match[1]}.json"
        try:
            return open(path, "rb") if path is not None else None
        except OSError:
            return None

    def _answer(self, status: int, count: int, content_range: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(count))
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Accept-Ranges", "bytes")
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that went away is no news."""


@contextlib.contextmanager
def serving_store(store: Store, address: tuple[str, int]) -> Iterator[tuple[str, int]]:
    """Serve for the length of a `with`; gives the address, with the port chosen for port 0."""
    server = _Server(address, type("Bound", (StoreHandler,), {"store": store}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield str(server.server_address[0]), int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
