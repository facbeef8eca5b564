"""Offline means offline: no connection, in any library, nor a look-up of a name."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import REAL, environment

TRY = """
import socket, sys
from nutshell.errors import Offline
from nutshell.store.offline import forbid_connections
forbid_connections()
forbid_connections()
def refused(work):
    try:
        work()
    except Offline:
        return True
    except OSError as error:
        print(error)
    return False
stream, packet = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
assert refused(lambda: stream.connect(("192.0.2.1", 80)))
assert refused(lambda: stream.connect_ex(("192.0.2.1", 80)))
assert refused(lambda: packet.sendto(b"x", ("192.0.2.1", 53)))
assert refused(lambda: socket.create_connection(("example.org", 443)))
assert refused(lambda: socket.getaddrinfo("example.org", 443))
import urllib.request
assert refused(lambda: urllib.request.urlopen("http://example.org/"))
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname()).close()
"""
# Tells of every attempt, wherever it is made, by ending the program with a code of its own.
WATCHED = """
import os, sys
def hook(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.gethostbyname"):
        os.write(2, f"CONNECTION {event} {arguments}".encode())
        os._exit(99)
sys.addaudithook(hook)
from nutshell.cli.main import main
code = main(sys.argv[1:])
heavy = {"httpx2", "httpcore2", "ssl", "http.client"} & set(sys.modules)
sys.exit(code if not heavy else f"imported {heavy}")
"""
DRAW = ["generate", "a red apple", "--steps", "1", "--size", "64", "--seed", "1", "--output"]


def test_python_code_is_cut_off() -> None:
    done = subprocess.run([sys.executable, "-c", TRY], env=environment(), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@pytest.mark.parametrize("offline", [[], ["--offline"]])
def test_a_whole_run_connects_to_nothing(tmp_path: Path, offline: list[str]) -> None:
    words = [sys.executable, "-c", WATCHED, *DRAW, str(tmp_path / "apple.png"), *offline]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "apple.png").is_file()


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare on this system")
def test_a_whole_run_needs_no_network_at_all(tmp_path: Path) -> None:
    probe = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"no network namespaces here: {probe.stderr.strip()}")
    words = ["unshare", "--net", *REAL, *DRAW, str(tmp_path / "apple.png")]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "apple.png").is_file()


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace on this system")
def test_no_part_of_the_program_opens_a_connection(tmp_path: Path) -> None:
    """Engines are not Python: this sees their system calls too."""
    log = tmp_path / "log"
    words = ["strace", "-f", "-qq", "-e", "trace=connect,sendto", "-o", str(log), *REAL, *DRAW, str(tmp_path / "a.png")]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "AF_INET" not in log.read_text()
