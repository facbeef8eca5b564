"""Files are whole or absent, and failures say what to do."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nutshell.errors import OutputError
from nutshell.files import check_folder, reserved, unique_path, write_bytes, writing

not_root = pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write anywhere")
needs_mount = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="mounting a small disk needs root on Linux"
)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"cannot mount a small disk here: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write_bytes(path, b"one")
    write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_permissions_are_the_users_own(tmp_path: Path) -> None:
    write_bytes(tmp_path / "new", b"")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o666 & ~mask
    (tmp_path / "new").chmod(0o640)
    write_bytes(tmp_path / "new", b"x")
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "a")
    write_bytes(tmp_path / "link", b"x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a").read_bytes() == b"x"


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def stopped_half_way() -> None:
        with writing(path) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped_half_way()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("none/a", "no such folder"), ("folder", "is a folder"), ("file/a", "not a folder"), ("x" * 300, "too long")],
)
def test_reasons(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=words) as caught:
        write_bytes(tmp_path / name, b"x")
    assert caught.value.hint
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


@not_root
def test_no_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="permission"):
        write_bytes(tmp_path / "a", b"x")
    with pytest.raises(OutputError, match="permission"):
        check_folder(tmp_path)


@needs_mount
def test_a_full_disk(small_disk: Path) -> None:
    write_bytes(small_disk / "a", b"x")
    with pytest.raises(OutputError, match="disk is full"):
        write_bytes(small_disk / "a", bytes(200_000))
    with pytest.raises(OutputError, match="disk is full"):
        check_folder(small_disk)
    assert os.listdir(small_disk) == ["a"]
    assert (small_disk / "a").read_bytes() == b"x"


@needs_mount
def test_a_read_only_disk(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    for write in (lambda: write_bytes(small_disk / "a", b"x"), lambda: check_folder(small_disk)):
        with pytest.raises(OutputError, match="read-only"):
            write()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_device_is_written_to_and_never_replaced() -> None:
    with pytest.raises(OutputError, match="disk is full"):
        write_bytes(Path("/dev/full"), b"x")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_names_are_unique_among_threads(tmp_path: Path) -> None:
    paths: list[Path] = []
    threads = [
        threading.Thread(target=lambda: paths.extend(unique_path(tmp_path, "a", ".png") for _ in range(20)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == 80
    assert tmp_path / "a.png" in paths
    assert tmp_path / "a-80.png" in paths


def test_a_reserved_name_is_given_back_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(OSError), reserved(tmp_path, "a", ".png"):  # noqa: PT011
        raise OSError
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_leaves_nothing(tmp_path: Path, signal_number: signal.Signals) -> None:
    code = (
        "import signal, sys, time\n"
        "from pathlib import Path\n"
        "from nutshell.files import writing\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        "with writing(Path(sys.argv[1])) as file:\n"
        "    file.write(b'half'); file.flush(); print('half', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "a"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    process.stdout.readline()
    assert len(os.listdir(tmp_path)) == 1
    process.send_signal(signal_number)
    process.wait(10)
    process.stdout.close()
    deadline = time.monotonic() + 1
    while os.listdir(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert os.listdir(tmp_path) == []
