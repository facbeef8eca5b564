"""`nutshell pull`, `list`, `verify` and `remove` against a hub on this machine."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nutshell.store import builtin_folder
from tests.cli.conftest import REAL, Run, environment
from tests.store.conftest import WEIGHTS, content, model_files, needed
from tests.store.hub import Handler, Hub, serving

NAME = "hf:owner/name"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub(model_files())) as served:
        yield served


@pytest.fixture
def builtin_files() -> dict[str, bytes]:
    """The model that comes with the program, as a repository."""
    folder = builtin_folder() / "artist"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def own(hub: Hub, tmp_path: Path) -> dict[str, str]:
    return {"HF_ENDPOINT": hub.url, "NUTSHELL_STORE": str(tmp_path / "store"), "NUTSHELL_STICKS": "no", "NO_PROXY": "*"}


def test_a_model_comes_is_listed_and_goes(nutshell: Run, hub: Hub, own: dict[str, str], tmp_path: Path) -> None:
    pulled = nutshell("pull", NAME, real=True, env=own)
    assert (pulled.returncode, pulled.stderr) == (0, "")
    assert pulled.stdout == f"{NAME}  402.1 KB  {NAME}@c0ffee0  402.1 KB fetched\n".replace("402.1 KB", "0.4 MB")
    again = json.loads(nutshell("pull", NAME, "--json", "--offline", real=True, env=own).stdout)
    assert (again["fetched_bytes"], again["bytes"]) == (0, sum(map(len, needed(hub).values())))
    assert content(Path(again["path"])) == needed(hub)
    assert NAME in nutshell("list", real=True, env=own).stdout
    row = json.loads(nutshell("list", "--json", real=True, env=own).stdout)
    assert (row["name"], row["kind"], row["whole"]) == (NAME, "store", True)
    assert nutshell("verify", real=True, env=own).stdout == f"{NAME}  0.4 MB  6 files ok\n"
    assert nutshell("remove", NAME, real=True, env=own).stdout == f"{NAME}  removed, 0.4 MB freed\n"
    assert "no model has been fetched yet" in nutshell("list", real=True, env=own).stdout
    gone = nutshell("remove", NAME, real=True, env=own)
    assert (gone.returncode, "nutshell list shows" in gone.stderr) == (3, True)


def test_a_fetched_model_draws_without_a_network(
    nutshell: Run, hub: Hub, own: dict[str, str], work: Path, builtin_files: dict[str, bytes]
) -> None:
    hub.files = builtin_files
    assert nutshell("pull", NAME, real=True, env=own).returncode == 0
    hub.asked.clear()
    hub.listings = 0
    # What the built-in model's card says, said for both.
    options = [
        "--steps",
        "1",
        "--guidance",
        "2",
        "--sampler",
        "ddim",
        "--size",
        "64",
        "--seed",
        "1",
        "--offline",
        "--precision",
        "f32",
    ]
    # The same network in the view and in the program's own folder draws the same picture.
    for model, name in ((NAME, "fetched.png"), ("artist", "own.png")):
        done = nutshell("a red apple", "--model", model, *options, "--output", name, real=True, env=own)
        assert done.returncode == 0, done.stderr
    pictures = [np.asarray(Image.open(work / name)) for name in ("fetched.png", "own.png")]
    np.testing.assert_array_equal(*pictures)
    assert (hub.asked, hub.listings) == ([], 0)


def test_what_was_fetched_without_a_card_is_among_the_models(
    nutshell: Run, hub: Hub, own: dict[str, str], builtin_files: dict[str, bytes]
) -> None:
    hub.files = builtin_files
    nutshell("pull", NAME, real=True, env=own)
    done = nutshell("models", "--json", real=True, env=own)
    rows = {row["name"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert (rows[NAME]["installed"], rows[NAME]["verdict"]) == (True, "runs well"), rows[NAME]
    assert rows[NAME]["title"].startswith("from hf:owner/name@")


def test_verify_finds_a_flipped_bit_and_pull_mends_it(
    nutshell: Run, hub: Hub, own: dict[str, str], tmp_path: Path
) -> None:
    nutshell("pull", NAME, real=True, env=own)
    path = tmp_path / "store" / "models" / "hf--owner--name" / WEIGHTS
    path.chmod(0o644)
    path.write_bytes(b"\x01" + path.read_bytes()[1:])
    found = nutshell("verify", NAME, real=True, env=own)
    assert (found.returncode, f"damaged: {WEIGHTS}" in found.stdout) == (3, True)
    assert f"nutshell pull {NAME} brings back 0.3 MB" in found.stdout
    hub.asked.clear()
    assert nutshell("pull", NAME, real=True, env=own).returncode == 0
    assert hub.asked == [(WEIGHTS, 0)]
    assert nutshell("verify", "--json", real=True, env=own).returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "says", "hint"),
    [
        (["pull", "bk-sdm-tinny"], 3, "no model named 'bk-sdm-tinny'", "did you mean bk-sdm-tiny?"),
        (["pull", "artist"], 2, "comes with the program", ""),
        (["pull", "hf:owner"], 2, "a repo is written owner/name", "hf:owner/name"),
        (["pull", "xx:owner/name"], 2, "is no model", "ms:owner/name"),
        (["pull", "hf:owner/other"], 7, "has no repository owner/other", "check the name"),
        (["pull", NAME, "--offline"], 7, "the setting offline forbids", "--no-offline"),
        (["pull", "x", "--from", "nowhere"], 7, "there is no folder nowhere", ""),
        (["verify", "x"], 3, "no fetched model named 'x'", "nutshell list"),
        (["generate", "cat", "--model", "bk-sdm-tiny"], 3, "is not on this machine (", "nutshell pull bk-sdm-tiny"),
        (["generate", "cat", "--model", NAME], 3, "is not on this machine", f"nutshell pull {NAME}"),
    ],
)
def test_faults_are_a_line_and_a_hint(
    nutshell: Run, own: dict[str, str], hub: Hub, words: list[str], code: int, says: str, hint: str
) -> None:
    done = nutshell(*words, real=True, env=own)
    assert done.returncode == code
    assert says in done.stderr
    assert hint in done.stderr
    assert "unexpected" not in done.stderr
    assert hub.asked == []


@pytest.mark.parametrize("how", [["--copy"], ["--from", "../stick"]])
def test_a_stick_is_used_in_place_and_copied_when_asked(
    nutshell: Run, hub: Hub, own: dict[str, str], tmp_path: Path, how: list[str]
) -> None:
    stick = tmp_path / "stick"
    nutshell("pull", NAME, "--store", str(stick), real=True, env=own)
    own["NUTSHELL_MODELS"] = str(stick)
    hub.asked.clear()
    there = nutshell("pull", NAME, real=True, env=own)
    assert f"is at {stick / 'models' / 'hf--owner--name'} and is used there" in there.stdout
    assert not (tmp_path / "store").exists()
    copied = nutshell("pull", NAME, *how, "--offline", real=True, env=own)
    assert copied.returncode == 0, copied.stderr
    assert content(tmp_path / "store" / "models" / "hf--owner--name") == needed(hub)
    assert hub.asked == []


def test_a_plain_folder_is_copied_when_asked(nutshell: Run, hub: Hub, own: dict[str, str], tmp_path: Path) -> None:
    for path, data in needed(hub).items():
        (tmp_path / "models" / "castles" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "models" / "castles" / path).write_bytes(data)
    own["NUTSHELL_MODELS"] = str(tmp_path / "models")
    copied = nutshell("pull", "castles", "--copy", real=True, env=own)
    assert copied.returncode == 0, copied.stderr
    assert content(tmp_path / "store" / "models" / "castles") == needed(hub)
    rows = [json.loads(line) for line in nutshell("list", "--json", real=True, env=own).stdout.splitlines()]
    assert [(row["name"], row["kind"]) for row in rows] == [("castles", "yours"), ("castles", "store")]
    again = nutshell("pull", "castles", "--copy", real=True, env=own)
    assert (again.returncode, "all of it was here" in again.stdout) == (0, True), again.stderr


def endlessly(handler: Handler, data: bytes) -> bool:
    if len(data) < 200_000:
        return False
    handler.send(data, 100_000)
    time.sleep(5)
    return True


def test_ctrl_c_keeps_what_was_fetched_and_says_so(hub: Hub, own: dict[str, str], tmp_path: Path) -> None:
    hub.faults = [endlessly] * 10
    words = [*REAL, "pull", NAME]
    with subprocess.Popen(words, env=environment(**own), stderr=subprocess.PIPE, text=True) as process:
        blobs = tmp_path / "store" / "blobs"
        for _ in range(600):
            if any(part.stat().st_size > 50_000 for part in blobs.glob("sha256-*.part")):
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "what was fetched is kept; the same command goes on from there" in told
    assert any(part.stat().st_size > 50_000 for part in blobs.glob("sha256-*.part"))
    left = subprocess.run([*REAL, "remove", NAME], env=environment(**own), capture_output=True, text=True)
    assert left.returncode == 0
    assert not list(blobs.glob("sha256-*.part"))


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")
def test_a_terminal_sees_bytes_speed_and_time(hub: Hub, own: dict[str, str]) -> None:
    hub.files[WEIGHTS] *= 20
    ours, theirs = pty.openpty()
    with subprocess.Popen([*REAL, "pull", NAME], env=environment(**own, TERM="xterm"), stdout=theirs, stderr=theirs):
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 4096):
                shown += piece
        except OSError:
            pass  # the other side is closed
        os.close(ours)
    text = shown.decode()
    assert "B/s" in text
    assert "left" in text
    assert text.rstrip().endswith("6.1 MB fetched")
