"""Ten thousand requests of chance and malice: none is answered by a 5xx, and the service lives on.

A part of them unless NUTSHELL_SOAK=1 asks for all, as test.sh does.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import json
import logging
import os
import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from PIL import Image
from starlette.types import ASGIApp

from nutshell.service.http.a1111_request import ImageToImage
from nutshell.service.http.a1111_source import fitted
from nutshell.service.http.app import create_app
from nutshell.service.http.guard import guard
from nutshell.service.open import opened
from nutshell.service.options import ServiceOptions
from nutshell.service.wish import Limits, Wish
from tests.service.asgi import Answer, ask
from tests.service.hostile import PICTURES, Hostile, Requests, picture
from tests.service.serving import Served, serving
from tests.service.toy import ToyWorker
from tests.service.toy_models import ToyModels

SOAK = bool(int(os.environ.get("NUTSHELL_SOAK", "0")))
COUNT = 10_000 if SOAK else 4_000
SPOILT = 1_000 if SOAK else 200
AT_ONCE = 8
SEED = 20_261
LIMITS = Limits(
    prompt_characters=2_000, pixels=128 * 128, count=2, steps=5, input_bytes=300_000, input_pixels=1_000_000
)
GROWTH_BYTES = 150_000_000
# Where pictures are drawn, which more of the requests go to than elsewhere.
DRAWING = ("/api/jobs", "/v1/images/generations", "/v1/images/edits", "/sdapi/v1/txt2img", "/sdapi/v1/img2img")
FAVOURED = 15


def options(folder: Path, **changes: Any) -> ServiceOptions:
    plain = ServiceOptions(folder, "artist", requests_per_minute=0, limits=LIMITS, gallery_bytes=20_000_000, queue=50)
    return replace(plain, **changes)


def routes_of(app: Any) -> list[tuple[str, str]]:
    """Every method and path that the application tells of, and some that it does not."""
    told = [
        (method.upper(), path)
        for path, methods in app.openapi()["paths"].items()
        for method in methods
        if method in ("get", "post", "put", "delete", "patch")
    ]
    hidden = [("GET", "/"), ("GET", "/page/style.css"), ("GET", "/openapi.json"), ("GET", "/docs")]
    return [*told, *hidden, *[("POST", path) for path in DRAWING] * FAVOURED]


async def told(app: ASGIApp, hostile: Hostile) -> Answer:
    return await asyncio.wait_for(
        ask(
            app, hostile.method, hostile.path, hostile.headers, hostile.parts, query=hostile.query,
            client=hostile.client, host=hostile.host,
        ),
        60,
    )  # fmt: skip


def described(hostile: Hostile) -> str:
    parts = b"".join(hostile.parts)[:400]
    return f"{hostile.method} {hostile.path[:200]}?{hostile.query[:100]} {str(hostile.headers)[:300]} {parts!r}"


@dataclass
class Storm:
    """What came of it. growth_bytes: of memory, in the second half. drawn: wishes that reached the worker."""

    faults: list[str] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    growth_bytes: int = 0
    drawn: int = 0

    def told(self) -> str:
        return f"{len(self.faults)} faults, the first:\n" + "\n".join(self.faults[:5])


async def storm(folder: Path, count: int, **changes: Any) -> Storm:
    """Let it come over a service."""
    given = options(folder, **changes)
    found, sizes, worker = Storm(), list[int](), ToyWorker()
    faults, statuses = found.faults, found.statuses
    async with opened(given, worker, Elsewhere()) as parts:
        plain = create_app(parts)
        app = guard(plain, given)
        requests = Requests(SEED, routes_of(plain))
        forbidden = (str(folder), "somebody", str(Path(__file__).parent.parent.parent), "Traceback (most")

        async def some(number: int) -> None:
            for _ in range(number):
                hostile = requests.next()
                try:
                    answer = await told(app, hostile)
                except Exception as error:  # noqa: BLE001 - each is a fault, and the row goes on
                    faults.append(f"{type(error).__name__}: {error} after {described(hostile)}")
                    continue
                statuses[answer.status] = statuses.get(answer.status, 0) + 1
                text = answer.body[:100_000].decode("utf-8", "replace")
                if answer.status >= 500 or any(word in text for word in forbidden):
                    faults.append(f"{answer.status} {text[:300]} after {described(hostile)}")

        for _ in range(2):
            await asyncio.gather(*(some(count // 2 // AT_ONCE) for _ in range(AT_ONCE)))
            gc.collect()
            sizes.append(psutil.Process().memory_info().rss)
        # The service lives: an honest wish is drawn.
        honest = await ask(
            app, "POST", "/sdapi/v1/txt2img", body=[b'{"prompt": "an apple", "width": 64, "height": 64}']
        )
        if honest.status != 200 or len(honest.json()["images"]) != 1:
            faults.append(f"an honest wish afterwards: {honest.status} {honest.body[:300]!r}")
        stuck = await parts.queue.page(states=["queued", "running"])
        if stuck:
            for job in stuck:
                await asyncio.wait_for(parts.queue.wait(job.id), 60)
    found.growth_bytes, found.drawn = sizes[1] - sizes[0], len(worker.drawn)
    return found


class Elsewhere(ToyModels):
    """The default is a file somewhere on this machine, as with `nutshell serve --model PATH`."""

    default = "/home/somebody/models/fox.safetensors"

    def resolve(self, name: str | None) -> str:
        return self.default if name in (None, "", "fox.safetensors", self.default) else super().resolve(name)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


def test_hostile_requests(tmp_path: Path) -> None:
    found = asyncio.run(storm(tmp_path, COUNT))
    assert not found.faults, found.told()
    assert found.growth_bytes < GROWTH_BYTES
    # The row did reach the faces: many wishes were drawn, others refused, for each reason.
    assert found.drawn > COUNT // 50
    assert {200, 202, 400, 403, 404, 405, 413, 421, 422, 431} <= set(found.statuses), found.statuses
    assert sum(found.statuses.values()) >= COUNT - 2 * AT_ONCE


def test_hostile_requests_from_the_network(tmp_path: Path) -> None:
    """With a token that nobody of them has: nothing but the health is told."""
    found = asyncio.run(storm(tmp_path, COUNT // 10, lan=True, token="t0ken", amnesia=True))
    faults = [fault for fault in found.faults if not fault.startswith("an honest wish afterwards: 4")]
    assert not faults, found.told()
    assert found.drawn == 0
    assert found.statuses[401] + found.statuses.get(429, 0) > COUNT // 40


def test_hostile_pictures(tmp_path: Path) -> None:
    """Each to all that read what is written in one."""

    async def every() -> list[str]:
        given = options(tmp_path, amnesia=True)
        faults = []
        async with opened(given, ToyWorker(), ToyModels()) as parts:
            app = guard(create_app(parts), given)
            for data in PICTURES:
                text = json.dumps({"image": base64.b64encode(data).decode()}).encode()
                for path, body in (("/api/parameters", data), ("/sdapi/v1/png-info", text)):
                    answer = await ask(app, "POST", path, [("content-type", "application/json")], [body])
                    if answer.status >= 500:
                        faults.append(f"{answer.status} of {path} after {data[:60]!r}")
        return faults

    assert asyncio.run(every()) == []


def test_large_pictures_are_decoded_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may take a hundred megabytes, and many may come at once."""
    at_once, most = 0, 0
    copied = Image.Image.copy

    def counted(image: Image.Image) -> Image.Image:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        time.sleep(0.02)  # long enough for the others to come, were they let in
        at_once -= 1
        return copied(image)

    monkeypatch.setattr(Image.Image, "copy", counted)
    sent = base64.b64encode(picture((64, 64))).decode()
    asked = ImageToImage(init_images=[sent], mask=sent, width=64, height=64)
    image, mask = asked.pictures()
    wish = Wish("", "artist", width=64, height=64, image=image, mask=mask)
    with ThreadPoolExecutor(8) as pool:
        checked = [pool.submit(wish.check, Limits()) for _ in range(8)]
        shaped = [pool.submit(fitted, asked, wish) for _ in range(8)]
        for work in (*checked, *shaped):
            work.result(30)
    assert most == 1


# ---------------------------------------------------------------- below HTTP

HEAD = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
POST = b"POST /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
SMUGGLED = b"GET /api/machine HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
RAW = (
    b"", b"\r\n\r\n", b"\0" * 1000, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 500,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /healthz\r\n\r\n", b"GET /healthz HTTP/0.9\r\n\r\n",
    b"GET /healthz HTTP/9.9\r\nHost: a\r\n\r\n", b"GET /healthz HTTP/1.1\r\n\r\n",
    HEAD + b"Host: attacker.example\r\n\r\n",
    b"GET http://attacker.example/healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    HEAD + b"X: a\r\n b\r\n\r\n", HEAD + b"X : a\r\n\r\n", HEAD + b"X: a\0b\r\n\r\n", HEAD + b": a\r\n\r\n",
    HEAD + b"\xff: a\r\n\r\n",
    HEAD.replace(b"\r\n", b"\n") + b"\n", b"GET /\xff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n", HEAD + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
    HEAD + b"".join(b"X-%d: 1\r\n" % number for number in range(2000)) + b"\r\n", (HEAD + b"\r\n") * 50,
    # Two ways to say how long a body is (CWE-444).
    POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef" + SMUGGLED,
    POST + b"Content-Length: +5\r\n\r\nabcde" + SMUGGLED, POST + b"Content-Length: 0x5\r\n\r\nabcde",
    POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
    POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
    POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\n5;a=" + b"b" * 100_000,
    POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcdeXX0\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\n{\r\n" * 5000 + b"0\r\n\r\n",
    POST + b"Content-Length: 99999999999\r\n\r\n{", POST + b"Content-Length: 20\r\nExpect: 100-continue\r\n\r\n",
    POST + b"Content-Length: 20\r\nExpect: 200-never\r\n\r\n{",
    HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n",
)  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with serving(tmp_path_factory.mktemp("raw"), limits=LIMITS) as found:
        yield found


def lives(served: Served) -> bool:
    with served.client() as client:
        return client.get("/healthz").status_code == 200


def exchanged(served: Served, data: bytes, *, half: bool, whole: bool) -> bytes:
    """What is answered. half: then send no more; whole: wait for the answer rather than go."""
    port = int(served.url.rpartition(":")[2])
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=1.5) as client, contextlib.suppress(OSError):
        client.sendall(data)
        if half:
            client.shutdown(socket.SHUT_WR)
        while whole and (part := client.recv(65536)):
            received += part
    return received


@pytest.mark.parametrize("number", range(len(RAW)))
def test_raw_bytes(served: Served, number: int) -> None:
    # What ends the request for sure, so that no answer has to be waited for that never comes.
    received = exchanged(served, RAW[number], half=True, whole=True)
    for line in received.split(b"HTTP/1.1 ")[1:]:
        assert line[:1] in b"1234", received[:300]
    assert b"worker_memory" not in received, "a request was smuggled in"
    assert lives(served)


def test_requests_with_spoilt_bytes(served: Served) -> None:
    """Good requests in which some bytes are others, are missing, or come twice."""
    chance = random.Random(SEED)
    body = b'{"prompt": "an apple", "width": 64, "height": 64, "steps": 2}'
    good = (
        HEAD + b"\r\n",
        POST + b"Content-Length: %d\r\n\r\n" % len(body) + body,
        POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body),
        b"GET /api/jobs?limit=3 HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept-Language: zh\r\n\r\n",
    )
    for number in range(SPOILT):
        data = bytearray(chance.choice(good))
        for _ in range(chance.choice((1, 1, 2, 5))):
            at, how = chance.randrange(len(data) + 1), chance.randrange(4)
            if how == 0:
                data[at : at + 1] = chance.randbytes(1)
            elif how == 1:
                del data[at : at + chance.choice((1, 2, 20))]
            elif how == 2:
                data[at:at] = data[at : at + 40]
            else:
                data[at:at] = chance.choice((b"\r\n", b"\n", b"\0", b" ", b":", b"\x85", b"%00"))
        # What is well, and only too short, is waited for: go then.
        received = exchanged(served, bytes(data), half=True, whole=number % 4 != 0)
        for line in received.split(b"HTTP/1.1 ")[1:]:
            assert line[:1] in b"1234", (bytes(data), received[:300])
    assert lives(served)


def test_clients_that_go_or_stay(served: Served) -> None:
    """Half a request, then silence, a reset, or the end of what they say."""
    port = int(served.url.rpartition(":")[2])
    waiting = []
    try:
        for number in range(100):
            client = socket.create_connection(("127.0.0.1", port), timeout=5)
            data = RAW[number % len(RAW)]
            with contextlib.suppress(OSError):
                client.sendall(data[: len(data) // 2])
                if number % 3 == 0:
                    client.shutdown(socket.SHUT_WR)
                elif number % 3 == 1:
                    # Closed with a reset rather than in order.
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                    client.close()
            waiting.append(client)
            if number % 25 == 0:
                assert lives(served)
        assert lives(served)
    finally:
        for client in waiting:
            client.close()
    assert lives(served)
