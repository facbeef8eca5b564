"""Killed at random moments, two hundred times; two processes at once."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nutshell.store.pins import Pins
from nutshell.store.store import Store
from tests.store.conftest import content, model_files, needed
from tests.store.hub import Handler, Hub, git_oid, serving, sha256

KILLS = 200
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
PULLER = [sys.executable, "-m", "tests.store.puller"]


def slowly(handler: Handler, data: bytes) -> bool:
    """In pieces, so that a kill hits the middle of a file."""
    start = handler.start()
    rest = data[start:]
    handler.send_response(206 if start else 200)
    if start:
        handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
    handler.send_header("Content-Length", str(len(rest)))
    handler.end_headers()
    step = len(rest) // 4 + 1
    for place in range(0, len(rest), step):
        handler.wfile.write(rest[place : place + step])
        handler.wfile.flush()
        time.sleep(0.001)
    return True


@pytest.fixture
def slow_hub() -> Iterator[Hub]:
    with serving(Hub(model_files(size=9_000), page=100)) as hub:
        hub.faults = [slowly] * 100_000
        yield hub


def good(store: Store, hub: Hub) -> dict[str, int]:
    """Path -> bytes of it that are here; checks that nothing half is taken for whole."""
    have = {}
    for blob in (store.folder / "blobs").glob("sha256-*"):
        if blob.suffix != ".part":
            assert blob.name == f"sha256-{hashlib.sha256(blob.read_bytes()).hexdigest()}"
    for path, data in needed(hub).items():
        names = (f"sha256-{sha256(data)}.part", f"git-{git_oid(data)}.part")
        sizes = [(store.folder / "blobs" / name).stat().st_size for name in names
                 if (store.folder / "blobs" / name).exists()]  # fmt: skip
        have[path] = len(data) if store.find_blob(sha256(data)) else max(sizes, default=0)
    if "tiny" in store.manifests():
        assert not store.verify("tiny").bad
        assert content(store.repair("tiny")) == needed(hub)
    Pins(store.folder)
    return have


def test_killed_two_hundred_times(slow_hub: Hub, tmp_path: Path, repository: Path) -> None:
    chance = random.Random(5)
    environment = {**os.environ, "PYTHONPATH": f"{repository / 'src'}{os.pathsep}{repository}"}
    kills = finished = middle = 0
    whole_seconds = 0.0  # that a fetch takes which nobody kills: the first
    with subprocess.Popen(PULLER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        store, run, have = Store(tmp_path / "0"), 0, dict.fromkeys(needed(slow_hub), 0)
        while kills < KILLS:
            run += 1
            print(f"{slow_hub.url}/run{run}", store.folder, file=server.stdin, flush=True)
            child, begun = int(server.stdout.readline()), time.perf_counter()
            if run > 1:
                time.sleep(chance.random() * whole_seconds)
                os.kill(child, signal.SIGKILL)
            print(file=server.stdin, flush=True)
            status = int(server.stdout.readline())
            if run == 1:
                whole_seconds = time.perf_counter() - begun
            assert status in (0, -signal.SIGKILL)
            kills += status != 0
            for number, path, start in list(slow_hub.by_run):
                if number == run:
                    size = len(slow_hub.files[path])
                    assert start == have[path] < size, f"{path} was asked for from {start}, and {have[path]} were here"
            have = good(store, slow_hub)
            middle += 0 < sum(have.values()) < sum(map(len, needed(slow_hub).values()))
            if status == 0:
                finished += 1
                assert content(store.view("tiny")) == needed(slow_hub)
                assert not list((store.folder / "blobs").glob("*.part"))
                store, have = Store(tmp_path / str(run)), dict.fromkeys(needed(slow_hub), 0)
        server.stdin.close()
    # The moments were well spread.
    assert finished > 5
    assert middle > 20


def test_two_processes_at_once_fetch_each_file_once(slow_hub: Hub, tmp_path: Path, repository: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{repository / 'src'}{os.pathsep}{repository}"}
    both = [
        subprocess.Popen(PULLER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(2)
    ]
    outputs = []
    for process in both:
        assert process.stdin is not None
        process.stdin.write(f"{slow_hub.url} {tmp_path}\n\n")
        process.stdin.flush()
    for process in both:
        outputs.append(process.communicate(timeout=60)[0].split())
    assert [words[1] for words in outputs] == ["0", "0"]
    assert sorted(path for path, _ in slow_hub.asked) == sorted(needed(slow_hub))
    assert content(Store(tmp_path).view("tiny")) == needed(slow_hub)
