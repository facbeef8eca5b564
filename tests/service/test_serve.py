"""`nutshell serve` in the foreground: it starts, answers, ends in order, and says what is wrong."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import REAL
from tests.service.started import PATIENCE_SECONDS, TOY, Started, home, run, state, tree

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX signals")


@posix
def test_it_answers_and_ends_in_order(tmp_path: Path) -> None:
    env = home(tmp_path)
    with Started(env, command=REAL) as service:
        assert service.told == {"address": f"http://127.0.0.1:{service.told['port']}", "port": service.told["port"]}
        assert service.get("/healthz") == {"status": "ok"}
        record = json.loads((state(tmp_path) / "service.json").read_text(encoding="utf-8"))
        assert (record["pid"], record["port"]) == (service.process.pid, service.told["port"])
        told = run(env, "status", "--json")
        assert (told.returncode, json.loads(told.stdout)["manager"]) == (0, "foreground")
        assert service.stop() == (0, "", "")
    assert not (state(tmp_path) / "service.json").exists()
    assert run(env, "status").returncode == 3


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_was_not_drawn_is_drawn_after_the_next_start(tmp_path: Path, number: int) -> None:
    env = home(tmp_path)
    with Started({**env, "TOY_SECONDS": "0.05"}) as service:
        running = service.ask("one", steps=150, seed=1)
        waiting = service.ask("two", steps=2, seed=2)
        service.wait(running, "running")
        assert service.stop(number)[0] == 0
    with Started(env) as service:
        for id in (running, waiting):
            job = service.wait(id, "done", "failed")
            assert (job["state"], len(job["pictures"])) == ("done", 1)
        # To be stopped is nobody's fault: that attempt does not count.
        assert service.wait(running, "done")["attempts"] == 1


@posix
def test_a_second_signal_waits_for_nobody(tmp_path: Path) -> None:
    env = home(tmp_path)
    # A step that never ends, and a stop that would wait for it.
    with Started({**env, "TOY_SECONDS": "100000", "TOY_GRACE": "100000"}) as service:
        id = service.ask("one")
        service.wait(id, "running")
        log = state(tmp_path) / "service.log"
        service.process.send_signal(signal.SIGTERM)
        while '"message": "stopping"' not in log.read_text(encoding="utf-8"):
            assert service.process.poll() is None
            time.sleep(0.05)
        assert service.stop()[0] == 0
    with Started(env) as service:
        assert service.wait(id, "done", "failed")["attempts"] == 1


@posix
def test_followers_are_let_go(tmp_path: Path) -> None:
    """A page that follows a job must not keep the service from ending."""
    with Started(home(tmp_path, TOY_SECONDS="0.05")) as service:
        id = service.ask("one", steps=150)
        with service.client.stream("GET", f"/api/jobs/{id}/events") as events:
            pieces = events.iter_bytes()
            next(pieces)
            service.process.send_signal(signal.SIGTERM)
            for _ in pieces:
                pass
        assert service.process.wait(PATIENCE_SECONDS) == 0


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        for words in ((), ("--daemon",)):
            told = run(home(tmp_path), "--port", str(port), *words)
            assert (told.returncode, told.stdout) == (1, "")
            error, hint = told.stderr.splitlines()
            assert f"port {port} of 127.0.0.1 is in use" in error
            assert f"--port {port + 1}" in hint


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--host", "192.0.2.1"), "add --lan"),
        (("--host", "192.0.2.1", "--lan"), "192.0.2.1 is no address of this machine"),
        (("--host", "no-such-name.invalid", "--lan"), "no address of the name no-such-name.invalid"),
        (("--port", "70000"), "--port must be a whole number from 0 to 65535"),
        (("--queue", "0"), "--queue must be at least 1"),
        (("--allow", "my network"), "--allow must be networks such as"),
        (("--token", "short"), "--token must be 16 to 128 letters"),
        (("--new-token",), "--new-token goes with --lan"),
        (("status", "--daemon"), "--daemon does not go with status"),
        (("restart",), "invalid choice"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    told = run(home(tmp_path), *words)
    assert told.returncode in (1, 2)
    assert told.stdout == ""
    assert said in told.stderr
    assert "hint: " in told.stderr


@posix
def test_what_it_keeps_is_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o755)
    with Started(home(tmp_path), "--service-folder", str(folder)) as service:
        service.wait(service.ask("a red apple", steps=1, width=64, height=64), "done")
        files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]
        assert {path.suffix for path in files} >= {".sqlite", ".png", ".log", ".json"}
        assert [path for path in files if path.stat().st_mode & 0o077] == []


@posix
def test_two_services_in_one_folder(tmp_path: Path) -> None:
    env = home(tmp_path)
    with Started(env) as service:
        told = run(env, "--port", "0")
        assert told.returncode == 1
        assert f"a service runs already, on port {service.told['port']}" in told.stderr
        assert "nutshell serve stop" in told.stderr
        assert service.get("/healthz") == {"status": "ok"}


@posix
@pytest.mark.parametrize("command", [TOY, REAL], ids=["toy", "artist"])
def test_amnesia_leaves_nothing(tmp_path: Path, command: list[str]) -> None:
    """The engines' own caches and notes included."""
    env = home(tmp_path)
    before = tree(tmp_path)
    with Started(env, "--amnesia", command=command) as service:
        job = service.wait(service.ask("a red apple", steps=1, width=64, height=64), "done", "failed")
        assert service.client.get(f"/api/gallery/{_picture(job)}.png").content.startswith(b"\x89PNG")
        # What there is lies in memory.
        assert {path.split(os.sep)[0] for path in tree(tmp_path) - before} <= {"run"}
        assert service.stop()[0] == 0
    assert {path for path in tree(tmp_path) - before if not path.startswith("run")} == set()
    assert not (tmp_path / "run" / "nutshell" / "service.json").exists()


def _picture(job: dict[str, object]) -> str:
    pictures = job["pictures"]
    assert isinstance(pictures, list)
    return str(pictures[0]["id"])


@posix
def test_people_are_told_where_it_is(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*REAL, "serve", "--port", "0"], env=home(tmp_path), stdout=subprocess.PIPE, encoding="utf-8"
    )
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline() for _ in range(3)]
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=PATIENCE_SECONDS)[0]
    finally:
        process.kill()
        process.wait()
    assert lines[0].startswith("Nutshell serves on http://127.0.0.1:")
    assert "/v1 (OpenAI)" in lines[1]
    assert lines[2] == "Ctrl-C ends it.\n"
    assert rest == "stopped\n"
    assert process.returncode == 0


@posix
def test_the_page_is_opened_if_asked_for(tmp_path: Path) -> None:
    env = home(tmp_path)
    browser, shown = tmp_path / "bin" / "browser", tmp_path / "shown"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" >"{shown}.part"\n/bin/mv "{shown}.part" "{shown}"\n')
    browser.chmod(0o755)
    with Started({**env, "BROWSER": str(browser)}, "--open") as service:
        end = time.monotonic() + PATIENCE_SECONDS
        while not shown.exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        assert shown.read_text() == service.told["address"] + "/"


def test_the_web_side_opens_no_engine(tmp_path: Path) -> None:
    code = "import sys, nutshell.service.open; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], env=home(tmp_path), capture_output=True, text=True, check=True, timeout=120
    )
    assert not {"openvino", "onnxruntime", "onnx_ir", "torch", "tokenizers"} & set(done.stdout.split())
