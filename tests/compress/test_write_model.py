"""A smaller model appears whole or not at all: killed, stopped, on a full disk; and goes on where it was."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nutshell.compress import job
from nutshell.compress.history import NAME, read_history
from nutshell.compress.job import write_model
from nutshell.compress.original import Original, open_original
from nutshell.compress.prune import Prune
from nutshell.compress.quantize import Quantize
from nutshell.compress.recipes import Wishes
from nutshell.compress.tensor_file import Made, Piece, write_tensors
from nutshell.errors import CorruptFile, OutputError, UnsupportedModel, UsageError
from nutshell.store.hashing import sha256_of
from nutshell.weights import open_safetensors

as_root = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small disk needs root on Linux"
)

KILLED = """
import os, signal, sys
from pathlib import Path
from nutshell.compress.job import write_model
from nutshell.compress.original import open_original
from nutshell.compress.quantize import Quantize

told = 0
def kill(title, done, total):
    global told
    told += 1
    if told == 150:
        os.kill(os.getpid(), signal.SIGKILL)

write_model(open_original("artist"), Quantize("int4"), Path(sys.argv[1]), kill)
"""


@pytest.fixture(scope="module")
def artist() -> Original:
    return open_original("artist")


def hashes(folder: Path) -> dict[str, str]:
    """Of every file but those that tell the date or the folder's name."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in (NAME, "README.md"))
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}


def parts_of(folder: Path) -> list[Path]:
    """What is left of something unfinished."""
    return [path for path in folder.iterdir() if path.name.startswith(".")]


class Stops:
    """Raises after so many pieces, and counts how many were told before that."""

    def __init__(self, after: int) -> None:
        self.after = after

    def __call__(self, *_: Any) -> None:
        self.after -= 1
        if self.after == 0:
            raise KeyboardInterrupt


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_killed_and_run_again_it_is_what_an_undisturbed_run_makes(artist: Original, tmp_path: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "killed")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert not (tmp_path / "killed").exists()
    half = tmp_path / ".killed.part"
    rows = {path.name: path.read_bytes().splitlines() for path in (half / ".state").glob("*.jsonl")}
    finished = sum(map(len, rows.values()))
    assert finished >= 149
    # The last row had not reached the disk whole.
    last = max(rows, key=lambda name: (half / ".state" / name).stat().st_mtime_ns)
    (half / ".state" / last).write_bytes(b"\n".join([*rows[last][:-1], rows[last][-1][:20]]))

    made: list[str] = []
    method = Quantize("int4")
    original_made = Quantize._made
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Quantize, "_made", lambda self, tensor: made.append(tensor.name) or original_made(self, tensor))
        write_model(artist, method, tmp_path / "killed", lambda *_: None)
    again = len(made)
    write_model(artist, method, tmp_path / "whole", lambda *_: None)
    assert hashes(tmp_path / "killed") == hashes(tmp_path / "whole")
    layers = read_history(tmp_path / "whole")[0].results["layers"]
    assert 0 < again < layers
    assert read_history(tmp_path / "killed")[0].results == read_history(tmp_path / "whole")[0].results
    assert not parts_of(tmp_path)


def test_stopped_it_goes_on_and_other_wishes_begin_anew(artist: Original, tmp_path: Path) -> None:
    output = tmp_path / "made"
    with pytest.raises(KeyboardInterrupt):
        write_model(artist, Quantize(), output, Stops(40))
    assert not output.exists()
    started = json.loads((tmp_path / ".made.part" / ".state" / "job.json").read_bytes())
    write_model(artist, Quantize(per_tensor=True), output, lambda *_: None)
    write_model(artist, Quantize(per_tensor=True), tmp_path / "other", lambda *_: None)
    assert hashes(output) == hashes(tmp_path / "other")
    assert started["job"]
    assert not parts_of(tmp_path)


def test_what_is_there_is_never_written_over(artist: Original, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="exists already"):
        write_model(artist, Quantize(), tmp_path / "made", lambda *_: None)
    assert (tmp_path / "made" / "letter.txt").read_text() == "dear"


def test_an_empty_folder_is_filled_and_the_history_is_true(artist: Original, tmp_path: Path) -> None:
    (tmp_path / "narrow").mkdir()
    write_model(artist, Prune(Wishes(levels=3)), tmp_path / "narrow", lambda *_: None)
    write_model(open_original(tmp_path / "narrow"), Quantize(), tmp_path / "small", lambda *_: None)
    first, second = read_history(tmp_path / "small")
    assert (first.action, first.source, second.action, second.source) == ("prune", "artist", "quantize", "narrow")
    assert first.files == second.source_files
    assert second.files == {name: sha256_of(tmp_path / "small" / name) for name in second.files}
    assert first.source_files == {name: sha256_of(path) for name, path in artist.files().items()}
    assert (first.only_nutshell, bool(second.only_nutshell)) == ("", True)
    told = (tmp_path / "small" / "README.md").read_text()
    assert "license: Apache-2.0" in told
    assert "1. **prune** of `artist`" in told
    assert "2. **quantize** of `narrow`" in told
    assert "Only Nutshell opens it" in told
    # How to draw is told by the card, which only the first model has.
    assert "--steps 20 --guidance 2.0 --sampler ddim" in (tmp_path / "narrow" / "README.md").read_text()
    with pytest.raises(UnsupportedModel, match="eight or four bits already"):
        write_model(open_original(tmp_path / "small"), Prune(Wishes(layers=1, channels=0.5)), tmp_path / "x", print)


def test_a_damaged_history_is_named(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text('{"steps": [{"action": 1}]}')
    with pytest.raises(CorruptFile, match="is damaged"):
        read_history(tmp_path)


def test_too_little_room_is_told_before_anything_is_written(
    artist: Original, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "free_bytes", lambda folder: 1_000_000)
    with pytest.raises(OutputError, match=r"needs up to \d+ MB of disk, and 1 MB are free"):
        write_model(artist, Quantize(), tmp_path / "made", lambda *_: None)
    assert not list(tmp_path.iterdir())


@as_root
def test_a_disk_that_fills_up_on_the_way_is_told_and_the_rest_follows(
    artist: Original, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "free_bytes", lambda folder: None)  # as where a disk cannot be asked
    with mounted(tmp_path / "disk", "size=16m"):
        with pytest.raises(OutputError, match="the disk is full"):
            write_model(artist, Quantize(), tmp_path / "disk" / "made", lambda *_: None)
        assert not (tmp_path / "disk" / "made").exists()
        subprocess.run(["mount", "-o", "remount,size=64m", str(tmp_path / "disk")], check=True)
        write_model(artist, Quantize(), tmp_path / "disk" / "made", lambda *_: None)
        write_model(artist, Quantize(), tmp_path / "whole", lambda *_: None)
        assert hashes(tmp_path / "disk" / "made") == hashes(tmp_path / "whole")


@as_root
def test_a_read_only_disk_is_told(artist: Original, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "ro"), pytest.raises(OutputError, match="the disk is read-only"):
        write_model(artist, Quantize(), tmp_path / "disk" / "made", lambda *_: None)


def test_a_file_where_a_folder_should_be_is_told(artist: Original, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="part of that path is a file"):
        write_model(artist, Quantize(), tmp_path / "file" / "made", lambda *_: None)


def test_bytes_that_changed_on_the_disk_are_written_again(tmp_path: Path) -> None:
    """A crash of the system may keep the journal and lose pages of the file."""
    pieces = [Piece(f"{n}.weight", 4, lambda n=n: Made([(f"{n}.weight", "U8", _bytes(n))])) for n in range(5)]  # type: ignore[misc]
    path, journal = tmp_path / "x.safetensors", tmp_path / "x.jsonl"
    write_tensors(path, journal, pieces)
    whole = path.read_bytes()
    with path.open("r+b") as file:
        file.seek(-10, os.SEEK_END)  # in the middle one
        file.write(b"\xff")
    write_tensors(path, journal, pieces)
    assert path.read_bytes() == whole
    with open_safetensors(path) as opened:
        assert {name: bytes(tensor.array()) for name, tensor in opened.tensors.items()} == {
            f"{n}.weight": bytes([n] * 4) for n in range(5)
        }


def test_the_reference_reads_what_is_written(tmp_path: Path) -> None:
    numpy = pytest.importorskip("safetensors.numpy")
    pieces = [Piece("a.weight", 4, lambda: Made([("a.weight", "U8", _bytes(7))]))]
    write_tensors(tmp_path / "x.safetensors", tmp_path / "x.jsonl", pieces, metadata={"made": "here"})
    assert bytes(numpy.load_file(tmp_path / "x.safetensors")["a.weight"]) == b"\x07" * 4
    assert hashlib.sha256(b"\x07" * 4).hexdigest() in (tmp_path / "x.jsonl").read_text()


def _bytes(value: int) -> Any:
    import numpy as np

    return np.full(4, value, np.uint8)


@contextlib.contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "nutshell-test", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
