"""How the process behaves: signals, pipes, exit codes, terminals, full disks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import FAKE, Run, environment

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX signals, pipes and terminals")
needs_mount = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small disk needs root on Linux"
)


def test_help_imports_nothing_heavy() -> None:
    words = [sys.executable, "-X", "importtime", "-m", "nutshell.cli.main", "--help"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment(), timeout=60)
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert done.returncode == 0
    assert "nutshell" in loaded
    heavy = "numpy openvino onnxruntime onnx_ir torch PIL tqdm tokenizers asyncio prompt_toolkit"
    assert not loaded & set(heavy.split())


def test_version_and_help(nutshell: Run) -> None:
    assert nutshell("--version", real=True).stdout.startswith("nutshell 0.")
    for words in (["--help"], ["generate", "--help"], ["inspect", "--help"], ["models", "-h"]):
        done = nutshell(*words, real=True)
        assert done.returncode == 0
        assert "exit codes:" in done.stdout
        assert done.stderr == ""


def test_exit_codes_are_documented(repository: Path) -> None:
    from nutshell.cli.report import EXIT_CODES

    page = (repository / "docs" / "reference" / "exit-codes.md").read_text(encoding="utf-8")
    for code, meaning in EXIT_CODES.items():
        assert f"| {code} | {meaning} |" in page


@pytest.mark.parametrize(
    ("fault", "code", "message", "hint"),
    [
        ("memory", 5, "this needs about 3000 MB of memory and only 1000 MB may be used", "try 384x384"),
        ("MemoryError", 5, "the memory ran out", "close other programs"),
        ("old processor", 4, "NumPy does not run on this processor, which lacks SSE4.2", "pip install 'numpy<2.4'"),
        ("bug", 70, "unexpected ZeroDivisionError: a bug", "run again with --debug for the details"),
    ],
)
def test_errors_are_one_line_and_a_hint(nutshell: Run, fault: str, code: int, message: str, hint: str) -> None:
    done = nutshell("cat", "--quiet", env={"FAKE_ERROR": fault})
    assert done.returncode == code
    first, second = done.stderr.splitlines()
    assert first == f"nutshell: error: {message}"
    assert second.startswith("hint: ")
    assert hint in second


def test_debug_shows_where(nutshell: Run) -> None:
    done = nutshell("--debug", "cat", env={"FAKE_ERROR": "bug"})
    assert done.returncode == 70
    assert "Traceback" in done.stderr
    assert "go_wrong" in done.stderr


@posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_stops_within_a_step(work: Path, number: signal.Signals, code: int) -> None:
    work.mkdir()
    process = subprocess.Popen(
        [*FAKE, "cat", "--steps", "500", "--preview"],
        env=environment(FAKE_SECONDS="0.1", FAKE_CLOSED="1"),
        cwd=work,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not os.listdir(work) and time.monotonic() < deadline:
        time.sleep(0.05)  # until the preview tells that steps are running
    process.send_signal(number)
    out, err = process.communicate(timeout=20)  # all its steps would take 50 s
    assert process.returncode == code
    assert out == ""
    assert err == "drawing: cat\nclosed\nnutshell: stopped; nothing is left half written\n"
    assert os.listdir(work) == []


@posix
def test_a_closed_pipe_is_quiet(work: Path) -> None:
    work.mkdir()
    process = subprocess.Popen(
        [*FAKE, "cat", "--count", "50", "--json"],
        env=environment(),
        cwd=work,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(30) == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_full_devices(nutshell: Run, work: Path) -> None:
    with open("/dev/full", "w") as full:
        done = nutshell("cat", stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert done.returncode == 6
    assert "cannot write the output: No space left on device" in done.stderr
    done = nutshell("cat", "--output", "/dev/full")
    assert done.returncode == 6
    assert "the disk is full" in done.stderr


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", folder], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"cannot mount a small disk here: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@needs_mount
def test_a_full_disk_is_told_before_drawing(nutshell: Run, small_disk: Path) -> None:
    (small_disk / "big").write_bytes(bytes(200_000))
    begun = nutshell("cat", "--output", f"{small_disk}/", env={"FAKE_ERROR": "bug"})
    assert begun.returncode == 6
    assert f"cannot write {small_disk}: the disk is full" in begun.stderr
    assert os.listdir(small_disk) == ["big"]


@needs_mount
def test_a_read_only_current_folder(nutshell: Run, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    done = nutshell("cat", cwd=small_disk)
    assert done.returncode == 6
    assert done.stderr.splitlines() == [
        "nutshell: error: cannot write into this folder: the disk is read-only",
        "hint: write elsewhere: --output FOLDER",
    ]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(nutshell: Run, work: Path) -> None:
    work.chmod(0o500)
    done = nutshell("cat")
    assert done.returncode == 6
    assert "no permission" in done.stderr


def on_terminal(*words: str, cwd: Path, **changes: str) -> str:
    """What is drawn on a terminal's standard error."""
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*FAKE, *words], env=environment(**changes), cwd=cwd, stdout=subprocess.DEVNULL, stderr=theirs
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # Linux's way to say that the other end is closed
            break
        if not piece:
            break
        seen += piece
    os.close(ours)
    process.wait(30)
    return seen.decode()


@posix
def test_a_bar_on_a_terminal(work: Path) -> None:
    work.mkdir()
    seen = on_terminal("cat", cwd=work, TERM="xterm", COLUMNS="80")
    assert "drawing |" in seen
    assert "4/4, 1 s left" in seen
    assert "\x1b[3" not in seen


@posix
def test_dumb_terminals_get_lines(work: Path) -> None:
    work.mkdir()
    assert on_terminal("cat", cwd=work, TERM="dumb") == "drawing: cat\r\n"


@posix
def test_colours_only_where_wanted(work: Path) -> None:
    work.mkdir()
    assert "\x1b[1;31merror:" in on_terminal("cat", "--size", "3", cwd=work, TERM="xterm")
    for changes in ({"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in on_terminal("cat", "--size", "3", cwd=work, **changes)


def test_real_models_that_are_not_there(nutshell: Run) -> None:
    done = nutshell("cat", "--model", "no-such", "--json", real=True)
    assert done.returncode == 3
    assert json.loads(done.stderr)["error"]["kind"] == "ModelNotFound"


@posix
def test_closed_streams(work: Path) -> None:
    work.mkdir()
    words = ["/bin/sh", "-c", '"$@" <&- >&- 2>&-', "sh", *FAKE, "cat", "--seed", "1"]
    assert subprocess.run(words, cwd=work, env=environment(), timeout=60).returncode == 0
    assert os.listdir(work) == ["nutshell-cat-1.png"]
