"""The local network: the token and its file, the link, the QR code, the addresses that are shown."""

from __future__ import annotations

import errno
import os
import socket
from collections import namedtuple
from pathlib import Path

import psutil
import pytest
import segno

from nutshell.cli import serve_words
from nutshell.service.open_sockets import CannotListen, _cannot_listen, listen, port_of, private_addresses
from nutshell.service.token import FILE_NAME, kept_token, make_token, read_token
from nutshell.service.token_link import BORDER, link, qr_lines
from tests.cli.conftest import REAL
from tests.cli.terminal import Terminal
from tests.service.started import Started, home, run, state

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX permissions and terminals")
HALVES = {" ": (1, 1), "\u2580": (0, 1), "\u2584": (1, 0), "\u2588": (0, 0)}


@posix
def test_the_token_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    token = kept_token(folder)
    path = folder / FILE_NAME
    assert path.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert kept_token(folder) == read_token(folder) == token
    path.chmod(0o644)
    assert kept_token(folder) == token
    assert path.stat().st_mode & 0o777 == 0o600
    other = kept_token(folder, new=True)
    assert other != token
    assert read_token(folder) == other
    assert os.listdir(folder) == [FILE_NAME]


@pytest.mark.parametrize("content", ["", "short\n", "two words that are long enough\n", "\xff" * 40])
def test_what_is_no_token_is_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE_NAME).write_text(content, encoding="latin-1")
    assert read_token(tmp_path) == ""
    assert len(kept_token(tmp_path)) == 32


def matrix_of(lines: list[str]) -> list[tuple[int, ...]]:
    """The modules of half blocks, their border cut off."""
    rows = [tuple(HALVES[char][half] for char in line) for line in lines for half in (0, 1)]
    rows = rows[: len(rows[0])]
    return [row[BORDER:-BORDER] for row in rows[BORDER:-BORDER]]


def test_the_qr_code_holds_the_link() -> None:
    address = link("192.168.1.20", 8000, make_token())
    wanted = [
        tuple(1 if module else 0 for module in row)
        for row in segno.make_qr(address, error="l", boost_error=False).matrix
    ]
    assert matrix_of(qr_lines(address)) == wanted
    coloured = qr_lines(address, colours=True)
    assert all(line.startswith("\033[97;40m") and line.endswith("\033[0m") for line in coloured)
    # It has to fit a terminal of 80x24, under the links.
    assert len(coloured) <= 20


def test_links() -> None:
    assert link("192.168.1.20", 8000, "abc") == "http://192.168.1.20:8000/?token=abc"
    assert link("fd00::2", 80, "") == "http://[fd00::2]:80/"


def test_only_private_addresses_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    Address = namedtuple("Address", "family address")
    State = namedtuple("State", "isup")
    four, six = socket.AF_INET, socket.AF_INET6
    interfaces = {
        "lo": [Address(four, "127.0.0.1"), Address(six, "::1")],
        "wlan0": [Address(four, "192.168.1.20"), Address(six, "fe80::1%wlan0"), Address(six, "fd00::2")],
        "wan0": [Address(four, "203.0.113.9"), Address(four, "8.8.8.8"), Address(six, "2001:db8::1")],
        "gone0": [Address(four, "10.0.0.9")],
        "docker0": [Address(four, "10.0.0.1")],
        "eth0": [Address(four, "10.0.0.5"), Address(-1, "aa:bb:cc:dd:ee:ff")],
    }
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: interfaces)
    monkeypatch.setattr(psutil, "net_if_stats", lambda: {name: State(name != "gone0") for name in interfaces})
    assert private_addresses() == ["10.0.0.5", "192.168.1.20", "fd00::2", "10.0.0.1"]


def test_listening() -> None:
    sockets = listen("0.0.0.0", 0)
    try:
        port = port_of(sockets)
        assert port > 0
        assert {each.getsockname()[1] for each in sockets} == {port}
        with pytest.raises(CannotListen, match=f"port {port} of 127.0.0.1 is in use"):
            listen("127.0.0.1", port)
    finally:
        for each in sockets:
            each.close()
    # The port is free again at once.
    for each in listen("127.0.0.1", port):
        each.close()


@pytest.mark.parametrize(
    ("number", "said", "hint"),
    [
        (errno.EADDRINUSE, "in use by another program", "--port 81"),
        (errno.EACCES, "you may not listen on port 80", "--port 8000"),
        (errno.EADDRNOTAVAIL, "no address of this machine", "leave --host out"),
        (errno.ENOBUFS, "cannot listen on port 80 of 127.0.0.1: No buffer", "--port 8001"),
    ],
)
def test_why_it_cannot_listen(number: int, said: str, hint: str) -> None:
    error = _cannot_listen("127.0.0.1", 80, OSError(number, os.strerror(number)))
    assert said in error.message
    assert hint in error.hint


@posix
def test_a_token_is_wanted_and_shown(tmp_path: Path) -> None:
    env = home(tmp_path)
    with Started(env, "--lan", "--host", "127.0.0.1", command=REAL) as service:
        token = service.told["token"]
        assert read_token(state(tmp_path)) == token
        assert service.told["links"] == [f"{service.told['address']}/?token={token}"]
        assert service.client.get("/healthz").status_code == 200
        assert service.client.get("/api/jobs").status_code == 401
        assert service.client.get("/api/jobs", headers={"Authorization": f"Bearer {token}"}).status_code == 200
        # The link of the phone: the token once, then a cookie.
        page = service.client.get(service.told["links"][0], headers={"Accept": "text/html"}, follow_redirects=True)
        assert page.status_code == 200
        assert token not in str(page.url)
        assert service.client.get("/api/jobs").status_code == 200
        # A start that is refused must not take the token of the one that runs.
        assert run(env, "--lan", "--host", "127.0.0.1", "--new-token", "--port", "0").returncode == 1
        assert run(env, "--lan", "--host", "127.0.0.1", "--new-token", "--daemon").returncode == 0
        assert read_token(state(tmp_path)) == token
        # Status of the same user finds the token by itself.
        assert '"answers": true' in run(env, "status", "--json").stdout
        assert service.stop()[0] == 0
        assert token not in (state(tmp_path) / "service.log").read_text(encoding="utf-8")
    with Started(env, "--lan", "--host", "127.0.0.1", "--new-token") as service:
        assert service.told["token"] != token


@posix
def test_a_terminal_shows_the_code(tmp_path: Path) -> None:
    words = [*REAL, "serve", "--lan", "--host", "127.0.0.1", "--port", "0"]
    for term, shown in (("xterm", True), ("dumb", False)):
        env = {**home(tmp_path), "TERM": term}
        with Terminal(words, cwd=tmp_path, env=env, columns=100, rows=40) as terminal:
            screen = terminal.wait("/?token=", "Ctrl-C ends it.")
            terminal.press("\x03")
            assert terminal.end() == 0
        address = next(line.strip() for line in screen.splitlines() if "/?token=" in line)
        code = [line for line in screen.splitlines() if set(line.strip()) & set("\u2580\u2584\u2588")]
        assert bool(code) == shown
        if shown:
            width = max(map(len, code))
            assert matrix_of([line.ljust(width) for line in code]) == matrix_of(qr_lines(address))


def test_no_code_where_it_would_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve_words, "fancy", lambda stream: True)
    monkeypatch.setattr(serve_words, "colourful", lambda stream: False)
    address = link("192.168.1.20", 8000, make_token())
    for columns, lines, shown in ((80, 30, True), (30, 30, False), (80, 15, False)):
        size = os.terminal_size((columns, lines))
        monkeypatch.setattr(serve_words.shutil, "get_terminal_size", lambda size=size: size)
        with open(os.devnull, "w", encoding="utf-8") as terminal, monkeypatch.context() as patch:
            patch.setattr(serve_words.sys, "stdout", terminal)
            assert bool(list(serve_words.qr_code(address))) == shown
