"""A server on this machine that speaks the URL layouts of both hubs, and misbehaves as it is told."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34
LARGE = 1000  # bytes; what is larger is an LFS file, of which the listing tells the SHA-256
Fault = Callable[["Handler", bytes], bool]


@dataclass
class Hub:
    """files: of the one repository owner/name. faults: taken one by one by requests for a file's content; each may
    answer itself and return True. asked: (path, start) of every request for content; listings: how many were asked."""

    files: dict[str, bytes]
    faults: list[Fault] = field(default_factory=list)
    listing_faults: list[Fault] = field(default_factory=list)
    asked: list[tuple[str, int]] = field(default_factory=list)
    by_run: list[tuple[int, str, int]] = field(default_factory=list)  # run: of an address that begins with /run7
    sent: int = 0
    listings: int = 0
    tokens: list[str] = field(default_factory=list)
    page: int = 3
    storage: str = ""  # another server's address, to which large files are redirected with a signature
    extra_rows: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""


def git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub
    run = 0

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        if match := re.match(r"/run(\d+)/", self.path):
            self.run, self.path = int(match[1]), self.path[match.end() - 1 :]
        hub, url = self.hub, urlsplit(self.path)
        hub.tokens.append(self.headers.get("Authorization", ""))
        query = parse_qs(url.query)
        if url.path == "/api/models/owner/name/revision/main":
            self.listing({"sha": COMMIT})
        elif match := re.fullmatch(r"/api/models/owner/name/tree/(\w+)", url.path):
            self.tree(match[1], int(query.get("cursor", ["0"])[0]))
        elif match := re.fullmatch(rf"/owner/name/resolve/{COMMIT}/(.+)", url.path):
            path = unquote(match[1])
            if hub.storage and len(hub.files.get(path, b"")) > LARGE:
                self.answer(302, b"", {"Location": f"{hub.storage}/signed/{match[1]}?Signature=abc"})
            else:
                self.content(path)
        elif url.path.startswith("/signed/") and query.get("Signature") == ["abc"]:
            self.content(unquote(url.path[len("/signed/") :]))
        elif url.path == "/api/v1/models/owner/name/repo/files":
            rows = [
                {"Type": "blob", "Path": path, "Name": path, "Size": len(data), "Sha256": sha256(data)}
                for path, data in hub.files.items()
            ]
            rows.append({"Type": "tree", "Path": "unet", "Name": "unet", "Size": 0, "Sha256": ""})
            self.listing({"Code": 200, "Data": {"Files": [*rows, *hub.extra_rows]}})
        elif url.path == "/api/v1/models/owner/name/repo":
            self.content(query["FilePath"][0])
        else:
            self.answer(404, b'{"error": "Repository not found"}')

    def tree(self, commit: str, cursor: int) -> None:
        if commit != COMMIT:
            self.answer(404, b"")
            return
        rows: list[dict[str, Any]] = [{"type": "directory", "path": "unet", "oid": "0" * 40, "size": 0}]
        for path, data in self.hub.files.items():
            row: dict[str, Any] = {"type": "file", "path": path, "oid": git_oid(data), "size": len(data)}
            if len(data) > LARGE:
                row["lfs"] = {"oid": sha256(data), "size": len(data), "pointerSize": 134}
            rows.append(row)
        rows += self.hub.extra_rows
        chosen = rows[cursor : cursor + self.hub.page]
        following = cursor + self.hub.page
        link = f'<{self.hub.url}{urlsplit(self.path).path}?recursive=true&cursor={following}>; rel="next"'
        self.listing(chosen, {"Link": link} if following < len(rows) else {})

    def listing(self, value: Any, headers: dict[str, str] | None = None) -> None:
        self.hub.listings += 1
        data = json.dumps(value).encode()
        if not (self.hub.listing_faults and self.hub.listing_faults.pop(0)(self, data)):
            self.answer(200, data, {"Content-Type": "application/json", **(headers or {})})

    def content(self, path: str) -> None:
        start = self.start()
        self.hub.asked.append((path, start))
        self.hub.by_run.append((self.run, path, start))
        data = self.hub.files.get(path)
        if data is None:
            self.answer(404, b"Entry not found")
        elif not (self.hub.faults and self.hub.faults.pop(0)(self, data)):
            self.send(data)

    def start(self) -> int:
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(match[1]) if match else 0

    def send(self, data: bytes, most: int | None = None) -> None:
        """The content as asked for; most: cut the connection after that many bytes."""
        start = self.start()
        if start and start >= len(data):
            self.answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            return
        rest = data[start:]
        headers = {"Content-Length": str(len(rest)), "Content-Type": "application/octet-stream"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.send_response(206 if start else 200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        body = rest if most is None else rest[:most]
        with contextlib.suppress(OSError):
            self.wfile.write(body)
            self.wfile.flush()
        self.hub.sent += len(body)
        if most is not None and most < len(rest):
            self.close_connection = True

    def answer(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(data)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """Clients that are killed are what these tests are about."""


@contextlib.contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Serve for the length of a `with`; `hub.url` says where."""
    server = Server(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
