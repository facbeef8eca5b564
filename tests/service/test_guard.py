"""What stands before every face: addresses, names, origins, tokens, rates and sizes."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from nutshell.errors import OutputError
from nutshell.language import Translation, join, tr
from nutshell.service.http.guard import guard, uvicorn_options
from nutshell.service.http.guard_bodies import BodyLimit
from nutshell.service.http.guard_hosts import address_of, host_and_port, names_of
from nutshell.service.http.guard_paths import without_folders
from nutshell.service.http.guard_protocol import PatientProtocol
from nutshell.service.http.guard_rates import Buckets, client_key
from nutshell.service.options import ServiceOptions
from tests.service.asgi import Answer, ask

OPTIONS = ServiceOptions(Path("unused"), "artist")
LAN = replace(OPTIONS, host="0.0.0.0", lan=True, token="s3cret-token")
TOKEN = {"authorization": "Bearer s3cret-token"}


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the whole body and answers with its length."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message["body"])
        more = message["more_body"]
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(str(size))).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": str(size).encode()})


def asked(options: ServiceOptions = OPTIONS, *given: Any, app: ASGIApp = echo, **named: Any) -> Answer:
    return asyncio.run(ask(guard(app, options), *given, **named))


# ---------------------------------------------------------------- who, and under which name


@pytest.mark.parametrize(
    ("options", "peer", "status"),
    [
        (OPTIONS, "127.0.0.1", 200),
        (OPTIONS, "::1", 200),
        (OPTIONS, "::ffff:127.0.0.1", 200),
        (OPTIONS, "192.168.1.7", 403),
        (LAN, "192.168.1.7", 200),
        (LAN, "10.1.2.3", 200),
        (LAN, "172.31.0.1", 200),
        (LAN, "172.32.0.1", 403),
        (LAN, "fe80::1%eth0", 200),
        (LAN, "fd00::1", 200),
        (LAN, "2001:4860::1", 403),
        (LAN, "8.8.8.8", 403),
        (LAN, "::ffff:8.8.8.8", 403),
        (LAN, "testclient", 403),
        (replace(LAN, allow=("8.8.8.0/24",)), "8.8.8.8", 200),
        (replace(LAN, allow=("8.8.8.0/24",)), "8.8.9.8", 403),
    ],
)
def test_peers(options: ServiceOptions, peer: str, status: int) -> None:
    assert asked(options, headers=TOKEN, client=peer).status == status


@pytest.mark.parametrize(
    ("options", "host", "status"),
    [
        (OPTIONS, "127.0.0.1:8000", 200),
        (OPTIONS, "127.0.0.1", 200),
        (OPTIONS, "127.9.9.9", 200),
        (OPTIONS, "LocalHost:8000", 200),
        (OPTIONS, "nutshell.localhost", 200),
        (OPTIONS, "[::1]:8000", 200),
        (OPTIONS, "host.docker.internal:8000", 200),
        (OPTIONS, "attacker.example", 421),
        (OPTIONS, "localhost.attacker.example", 421),
        (OPTIONS, "127.0.0.1.nip.io", 421),
        (OPTIONS, "127.0.0.1:8000@attacker.example", 421),
        (OPTIONS, "192.168.1.5:8000", 421),
        (OPTIONS, "", 421),
        (OPTIONS, None, 421),
        (OPTIONS, "a b", 421),
        (LAN, "192.168.1.5:8000", 200),
        (LAN, "192.168.1.6:8000", 200),  # a port that a container or a router passes on
        (LAN, "8.8.8.8:8000", 421),
        (replace(OPTIONS, host=""), "", 421),
        (LAN, "attic.local:8000", 200),
        (LAN, "attic", 200),
        (LAN, "attic.attacker.example", 421),
        (replace(LAN, origins=("https://draw.example.org",)), "draw.example.org", 200),
        (replace(LAN, origins=("https://draw.example.org",)), "other.example.org", 421),
    ],
)
def test_names(options: ServiceOptions, host: str | None, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "attic")
    assert asked(options, headers=TOKEN, host=host, server="192.168.1.5").status == status


def test_this_machine_may_call_itself_by_any_of_its_addresses() -> None:
    own = {"client": "8.8.8.8", "server": "8.8.8.8", "host": "8.8.8.8:8000"}
    assert asked(LAN, headers=TOKEN, **own).status == 200
    assert asked(LAN, headers=TOKEN, **{**own, "client": "8.8.8.9"}).status == 403


def test_names_and_addresses_are_read_strictly() -> None:
    assert host_and_port("Example.org.:80") == ("example.org", 80)
    assert host_and_port("[FE80::1%eth0]:80") == ("fe80::1%eth0", 80)
    assert host_and_port("a/b") == ("", None)
    assert str(address_of("::ffff:10.0.0.1")) == "10.0.0.1"
    assert address_of("ten") is None
    assert names_of("") == set()
    assert "attic.fritz.box" in names_of("Attic.lan")


# ---------------------------------------------------------------- other origins


def page(origin: str | None = None, site: str | None = None, mode: str | None = None) -> dict[str, str]:
    given = {"origin": origin, "sec-fetch-site": site, "sec-fetch-mode": mode}
    return {name: value for name, value in given.items() if value is not None}


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", page(), 200),  # a program
        ("POST", page("http://127.0.0.1:8000", "same-origin", "cors"), 200),
        ("POST", page("http://127.0.0.1:9000", "same-site", "cors"), 403),  # another program's page on this machine
        ("POST", page("http://attacker.example", "cross-site", "cors"), 403),
        ("POST", page("http://attacker.example"), 403),
        ("POST", page("null"), 403),
        ("POST", page("http://127.0.0.1:8000.attacker.example"), 403),
        ("POST", page("http://127.0.0.1:99999999"), 403),
        ("POST", page("file://127.0.0.1:8000"), 403),
        ("POST", page(None, "cross-site", "navigate"), 403),  # a form of another site
        ("DELETE", page("http://attacker.example"), 403),
        ("GET", page(None, "none", "navigate"), 200),
        ("GET", page(None, "cross-site", "navigate"), 200),  # a link
        ("GET", page(None, "cross-site", "no-cors"), 403),  # <img> of another site
        ("GET", page("http://attacker.example", "cross-site", "cors"), 403),
        ("GET", page(None, "same-origin", "no-cors"), 200),
    ],
)
def test_origins(method: str, headers: dict[str, str], status: int) -> None:
    answer = asked(OPTIONS, method, headers=headers)
    assert answer.status == status
    assert "access-control-allow-origin" not in answer.headers


def test_an_origin_that_is_allowed() -> None:
    options = replace(OPTIONS, origins=("http://Friend.example:3000/",))
    headers = page("http://friend.example:3000", "cross-site", "cors")
    answer = asked(options, "POST", headers=headers)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "http://friend.example:3000")
    preflight = {**headers, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    answer = asked(options, "OPTIONS", headers=preflight)
    assert answer.status == 200
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "Authorization" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers
    other = asked(options, "OPTIONS", headers={**preflight, "origin": "http://other.example"})
    assert "access-control-allow-origin" not in other.headers


def test_a_refusal_says_so_in_the_form_of_the_face() -> None:
    for path, read in (
        ("/api/jobs", lambda told: told["error"]["message"]),
        ("/v1/images/generations", lambda told: told["error"]["message"]),
        ("/sdapi/v1/txt2img", lambda told: told["detail"]),
    ):
        answer = asked(OPTIONS, "POST", path, headers=page("http://attacker.example"))
        assert "another site" in read(answer.json())
    chinese = asked(OPTIONS, "POST", "/api/jobs", headers={**page("null"), "accept-language": "zh-CN"})
    assert chinese.status == 403


# ---------------------------------------------------------------- the token


def basic(name: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        (TOKEN, 200),
        ({"authorization": "bearer s3cret-token"}, 200),
        ({"authorization": "Bearer S3cret-token"}, 401),
        ({"authorization": "Bearer "}, 401),
        ({"authorization": "Bearer s3cret-token-and-more"}, 401),
        (basic("anyone", "s3cret-token"), 200),
        (basic("s3cret-token", ""), 401),
        ({"authorization": "Basic ???"}, 401),
        ({"authorization": "Digest s3cret-token"}, 401),
        ({"cookie": "nutshell_8000=s3cret-token"}, 401),  # the token itself is not what the cookie holds
        ({"cookie": "nutshell_8000=; ;;=\x7f"}, 401),
    ],
)
def test_tokens(headers: dict[str, str], status: int) -> None:
    answer = asked(LAN, "GET", "/api/jobs", headers=headers)
    assert answer.status == status
    assert "s3cret" not in answer.body.decode() + str(answer.headers)


def test_nobody_needs_a_token_where_there_is_none() -> None:
    assert asked(OPTIONS).status == 200


def test_watchers_need_no_token() -> None:
    assert asked(LAN, path="/healthz").status == 200
    assert asked(LAN, path="/healthz/../api/jobs").status == 401


def test_the_link_gives_a_browser_a_cookie_and_hides_the_token() -> None:
    answer = asked(LAN, query="token=s3cret-token&lang=zh", headers={"sec-fetch-site": "none"})
    assert (answer.status, answer.headers["location"]) == (303, "/?lang=zh")
    cookie = answer.headers["set-cookie"]
    assert "httponly" in cookie.lower()
    assert "samesite=strict" in cookie.lower()
    assert "s3cret" not in cookie
    kept = cookie.partition(";")[0]
    assert asked(LAN, "POST", "/api/jobs", headers={"cookie": f"other=1; {kept}"}).status == 200
    assert asked(replace(LAN, token="another"), headers={"cookie": kept}).status == 401
    assert asked(replace(LAN, port=8001), headers={"cookie": kept}).status == 401


def test_the_link_in_a_page_of_another_site_works_too() -> None:
    headers = page(None, "cross-site", "navigate") | {"accept": "text/html"}
    answer = asked(LAN, query="token=s3cret-token", headers=headers)
    assert answer.status == 200
    assert "set-cookie" in answer.headers
    assert b'url=/"' in answer.body


def test_a_plain_link_from_elsewhere_finds_the_cookie() -> None:
    """It does not go with the request that the other site made, so the page asks once more by itself."""
    headers = page(None, "cross-site", "navigate") | {"accept": "text/html"}
    first = asked(LAN, path="/docs", query='a="b', headers=headers)
    assert first.status == 401
    assert b'url=/docs?a=%22b"' in first.body or b'url=/docs?a=&quot;b"' in first.body
    again = asked(LAN, path="/docs", headers=headers | {"sec-fetch-site": "same-origin"})
    assert b'<input name="token"' in again.body  # and not for ever


def test_the_way_on_leads_nowhere_else() -> None:
    for path in ("//attacker.example/", "/\\attacker.example", "///attacker.example"):
        answer = asked(LAN, path=path, query="token=s3cret-token", headers={"accept": "text/html"})
        assert answer.headers["location"] in ("/attacker.example/", "/attacker.example", "/%5Cattacker.example")


def test_a_browser_without_the_token_is_asked_for_it() -> None:
    answer = asked(LAN, headers={"accept": "text/html", "accept-language": "en"}, query="token=wrong")
    assert answer.status == 401
    assert b'<input name="token"' in answer.body
    assert "basic" not in answer.headers["www-authenticate"].lower()  # no window of the browser's own


def test_guesses_are_slowed_down() -> None:
    """After thirty even the right one waits, or guessing would pay; who has the cookie does not."""
    app = guard(echo, LAN)
    elsewhere, peer = page(None, "cross-site", "navigate"), "192.168.1.66"
    cookie = asked(LAN, query="token=s3cret-token").headers["set-cookie"].partition(";")[0]

    async def guess() -> list[int]:
        tries = [await ask(app, "GET", "/api/jobs", client=peer) for _ in range(50)]  # shows none, so guesses nothing
        tries += [await ask(app, "GET", "/api/jobs", basic("me", str(n)), client=peer) for n in range(15)]
        tries += [await ask(app, headers=elsewhere, query=f"token={n}", client=peer) for n in range(25)]
        tries += [await ask(app, "GET", "/api/jobs", TOKEN, client=peer)]
        tries += [await ask(app, query="token=s3cret-token", client=peer)]
        tries += [await ask(app, "GET", "/api/jobs", {"cookie": cookie}, client=peer)]
        tries += [await ask(app, "GET", "/api/jobs", TOKEN, client="192.168.1.67")]
        return [answer.status for answer in tries]

    assert asyncio.run(guess()) == [401] * 80 + [429] * 12 + [200, 200]


# ---------------------------------------------------------------- how often


def test_a_bucket_fills_again() -> None:
    now = [0.0]
    buckets = Buckets(60, lambda: now[0])
    assert [buckets.wait("a") for _ in range(60)] == [0.0] * 60
    assert buckets.wait("a") == pytest.approx(1.0)
    assert buckets.wait("b") == 0.0
    assert (buckets.missing("a"), buckets.missing("c")) == (pytest.approx(1.0), 0.0)
    now[0] = 1.5
    assert buckets.wait("a") == 0.0
    assert buckets.wait("a") == pytest.approx(0.5)
    now[0] = 1e6
    assert sum(buckets.wait("a") == 0.0 for _ in range(100)) == 60


def test_buckets_do_not_grow_without_end() -> None:
    buckets = Buckets(60, most_clients=100)
    for number in range(10_000):
        buckets.wait(str(number))
    assert len(buckets) == 100


def test_one_household_is_one_client() -> None:
    keys = {client_key({"client": (peer, 1)}) for peer in ("2001:db8::1", "2001:db8::2:3")}
    assert keys == {"2001:db8::/64"}
    assert client_key({"client": ("::ffff:10.0.0.1", 1)}) == "10.0.0.1"


def test_those_who_ask_too_often_wait() -> None:
    async def often(options: ServiceOptions, path: str, peer: str) -> list[Answer]:
        app = guard(echo, options)
        return [await ask(app, "GET", path, TOKEN, client=peer) for _ in range(5)]

    few = replace(LAN, requests_per_minute=3)
    answers = asyncio.run(often(few, "/api/jobs", "192.168.1.7"))
    assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 20
    for options, path in ((few, "/healthz"), (replace(OPTIONS, requests_per_minute=3), "/api/jobs")):
        assert {answer.status for answer in asyncio.run(often(options, path, "127.0.0.1"))} == {200}


# ---------------------------------------------------------------- how much, how slowly


def test_a_body_is_counted_as_it_comes() -> None:
    app = BodyLimit(echo, most=1000)
    assert asyncio.run(ask(app, "POST", body=[b"x" * 500, b"x" * 500])).body == b"1000"
    assert asyncio.run(ask(app, "POST", body=[b"x" * 500, b"x" * 501])).status == 413
    assert asyncio.run(ask(app, "POST", body=[b"x"] * 1001)).status == 413
    announced = asyncio.run(ask(app, "POST", headers={"content-length": "1001"}))
    assert (announced.status, announced.headers["connection"]) == (413, "close")


def test_a_face_that_hides_the_reason_does_not() -> None:
    async def hiding(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            while (await receive())["more_body"]:
                pass
        except Exception:  # noqa: BLE001 - as FastAPI does
            await send({"type": "http.response.start", "status": 400, "headers": []})
            await send({"type": "http.response.body", "body": b"cannot be parsed"})

    assert asyncio.run(ask(BodyLimit(hiding, most=10), "POST", body=[b"x" * 11])).status == 413


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    app = BodyLimit(echo, most=1000, patience_seconds=0.05)
    assert asyncio.run(ask(app, "POST", body=[b"x", b"x"], pause_seconds=0.2)).status == 408


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({"headers": [(f"x-{n}", "1") for n in range(101)]}, 431),
        ({"headers": {"x-large": "x" * 40_000}}, 431),
        ({"path": "/" + "x" * 9000}, 414),
        ({"query": "x" * 9000}, 414),
    ],
)
def test_large_heads(given: dict[str, Any], status: int) -> None:
    assert asked(OPTIONS, **given).status == status


# ---------------------------------------------------------------- what is told


def test_every_answer_has_the_headers() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError

    for answer in (
        asked(),
        asked(OPTIONS, "POST", headers=page("null")),
        asked(LAN),
        asked(host="elsewhere"),
        asked(app=broken),
    ):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy


def test_what_nobody_foresaw_is_a_plain_500(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("/home/somebody/secret")

    with caplog.at_level(logging.ERROR):
        answer = asked(app=broken)
    assert answer.status == 500
    assert b"secret" not in answer.body
    assert "secret" in caplog.text


def test_half_an_answer_is_not_taken_for_a_whole_one() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="middle"):
        asked(app=broken)


def test_sockets_of_the_web_are_closed() -> None:
    told: list[Any] = []

    async def send(message: Any) -> None:
        told.append(message)

    asyncio.run(guard(echo, OPTIONS)({"type": "websocket"}, None, send))  # type: ignore[arg-type]
    assert told == [{"type": "websocket.close", "code": 1003}]


def test_folders_are_cut_and_sentences_stay_translatable() -> None:
    reason = OSError(28, "No space left on device", "/home/somebody/pictures/a b.png")
    error = OutputError(tr("cannot write {path}: {reason}", path=Path("/home/somebody/pictures/x.png"), reason=reason))
    told = without_folders(error.message)
    assert "somebody" not in told
    assert told.startswith("cannot write x.png: ")
    assert told.template == "cannot write {path}: {reason}"
    assert "somebody" not in Translation("zh")(told)
    assert without_folders(join("; ", [error.message, tr("/etc/passwd")])).endswith("; passwd")
    assert without_folders(tr("in C:\\Users\\Some\\x.png")) == "in x.png"
    assert without_folders(tr("{error}", error=error)) == told
    for harmless in ("see /api/models", "1/2 of http://127.0.0.1:8000/api/jobs", "a and/or b", "nutshell serve --lan"):
        assert without_folders(harmless) in (harmless, "see models")


# ---------------------------------------------------------------- connections


@contextlib.contextmanager
def listening(options: ServiceOptions = OPTIONS, app: ASGIApp = echo, **changes: float) -> Iterator[int]:
    """The port of a real server whose patience is as told."""
    protocol = type("Hurried", (PatientProtocol,), changes)
    hurried = {**uvicorn_options(), "http": protocol, "timeout_keep_alive": 1}
    config = uvicorn.Config(guard(app, options), log_config=None, lifespan="off", **hurried)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as here:
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([here])), daemon=True)
        thread.start()
        try:
            deadline = time.monotonic() + 30
            while not server.started and time.monotonic() < deadline:
                time.sleep(0.01)
            yield here.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join(30)


def closed_by_the_server(port: int, sent: bytes, *, trickle: Callable[[socket.socket], None] | None = None) -> bytes:
    """What came until the server closed the connection; socket.timeout where it does not."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(sent)
        if trickle is not None:
            trickle(client)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while part := client.recv(65536):
                received += part
        return received


def test_half_a_head_is_not_waited_for() -> None:
    with listening(head_seconds=0.3) as port:
        assert closed_by_the_server(port, b"") == b""
        assert closed_by_the_server(port, b"GET / HT") == b""
        first = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        assert closed_by_the_server(port, first + b"GET /again HTTP/1.1\r\nHo").count(b"200 OK") == 1


def test_a_head_that_trickles_in_is_not_waited_for() -> None:
    def trickle(client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            for _ in range(200):
                client.sendall(b"X")
                time.sleep(0.02)

    started = time.monotonic()
    with listening(head_seconds=0.3) as port:
        closed_by_the_server(port, b"GET / HTTP/1.1\r\nX-Slow: ", trickle=trickle)
    assert time.monotonic() - started < 20


def test_who_does_not_read_is_let_go() -> None:
    ended = threading.Event()

    async def long(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
                if ended.is_set():
                    return
                waiting = asyncio.ensure_future(receive())
                await asyncio.sleep(0)
                if waiting.done():
                    return
                waiting.cancel()
        finally:
            ended.set()

    with listening(app=long, read_seconds=0.3) as port, socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert ended.wait(30)


def test_requests_after_one_another_keep_their_connection() -> None:
    with listening(head_seconds=0.3) as port:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        for size in (0, 10, 300_000):
            client.request("POST", "/", body=b"x" * size)
            assert client.getresponse().read() == str(size).encode()
            kept = client.sock
        time.sleep(0.5)  # idle for longer than a head may take, but within what is kept alive
        client.request("POST", "/", body=b"x")
        assert client.getresponse().read() == b"1"
        assert client.sock is kept
        client.close()


def test_a_large_body_that_is_sent_all_the_same_gets_its_answer() -> None:
    small = replace(OPTIONS, limits=replace(OPTIONS.limits, input_bytes=1000))
    with listening(small) as port:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        client.request("POST", "/", body=b"x" * 3_000_000)
        assert client.getresponse().status == 413
        client.request("GET", "/")
        assert client.getresponse().status == 200
        client.close()


def test_what_a_client_says_of_others_is_not_believed() -> None:
    async def peer(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["client"][0].encode()})

    with listening(app=peer) as port:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        client.request("GET", "/", headers={"X-Forwarded-For": "192.168.1.1", "Forwarded": "for=192.168.1.1"})
        answer = client.getresponse()
        assert answer.read() == b"127.0.0.1"
        assert answer.getheader("server") is None
        client.close()
