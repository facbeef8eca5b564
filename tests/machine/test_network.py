"""Asking hubs, against servers of this machine that answer, refuse, redirect, drip and say nothing."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from nutshell.machine.network import ask_hubs

PATIENT = 60.0  # Seconds: a busy machine answers late, and that is not what is tested.
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        code = int(self.path.strip("/") or 200)
        self.send_response_only(code)
        if code == 302:
            self.send_header("Location", "http://nutshell.invalid/")
        self.send_header("Date", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()


@pytest.fixture
def mute() -> Iterator[str]:
    """Takes connections and never says a word: a proxy or firewall that swallows everything."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_hubs_that_answer(server: str) -> None:
    found = ask_hubs({str(code): f"{server}/{code}" for code in (200, 302, 403, 404, 405)}, seconds=PATIENT)
    assert [hub.answers for hub in found] == [True] * 5
    assert all(hub.clock_ahead_seconds is not None for hub in found)
    assert found[0].clock_ahead_seconds == pytest.approx(time.time() - 1767225600, abs=60)


def test_hubs_that_do_not(server: str, mute: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    hubs = {"bad": f"{server}/503", "proxy": f"{server}/407", "closed": f"http://127.0.0.1:{port}"}
    asked = (
        *ask_hubs({**hubs, "odd": "nothing://x", "empty": ""}, seconds=PATIENT),
        *ask_hubs({"mute": mute}, seconds=0.5),
    )
    found = {hub.name: hub for hub in asked}
    assert not any(hub.answers for hub in found.values())
    assert "503" in found["bad"].reason
    assert "407" in found["proxy"].reason
    assert "refused" in found["closed"].reason
    assert all(hub.reason for hub in found.values())


def test_a_proxy_that_swallows_everything(server: str, mute: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", mute)
    (found,) = ask_hubs({"hub": "http://hub.invalid/"}, seconds=0.5)
    assert not found.answers


def test_nobody_to_ask() -> None:
    assert ask_hubs({}) == ()


def test_a_proxy_that_the_library_cannot_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Told as it will be when a model is fetched."""
    monkeypatch.setenv("ALL_PROXY", "gopher://127.0.0.1:9")
    (found,) = ask_hubs({"hub": "http://hub.invalid/"}, seconds=PATIENT)
    assert not found.answers
    assert found.reason
