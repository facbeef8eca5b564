"""start.sh on machines that stand in its way: real mounts, full disks, killed and broken attempts, proxies."""

from __future__ import annotations

import contextlib
import os
import pty
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.fat import NoFat, fat_disk
from tests.test_start_sh import folder, make_wheel, pytestmark, quick_python, start, tools

__all__ = ["folder", "pytestmark", "quick_python"]  # the fixtures and the reasons to skip, for pytest

ROOT = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("unshare") is None,
    reason="needs root on Linux, to mount file systems",
)


def python3() -> str:
    """A command that runs the Python of `quick_python`, for a PATH without it."""
    return f'exec "{shutil.which("python3")}" "$@"'


def site_packages(folder: Path) -> Path:
    return next((folder / ".venv" / "lib").glob("python3*")) / "site-packages"


def in_mounts(mounts: str, folder: Path, words: str = "x", **changes: str) -> subprocess.CompletedProcess[str]:
    """Run start.sh after `mounts`, shell commands in a mount namespace of their own; $folder is start.sh's."""
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "PIP_CONFIG_FILE": os.devnull,
        "folder": str(folder),
        **changes,
    }
    script = f'set -e; {mounts}\nexec /bin/sh "$folder/start.sh" {words}'
    return subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script],
        env={name: value for name, value in env.items() if value != "unset"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )


# ---- through a pipe, and in other shells


def piped(folder: Path, where: Path, *words: str, shell: str = "/bin/sh") -> subprocess.CompletedProcess[str]:
    with (folder / "start.sh").open() as script:
        return subprocess.run(
            [*shell.split(), "-s", "--", *words],
            stdin=script,
            cwd=where,
            env={"PATH": os.environ["PATH"], "HOME": str(folder.parent), "PIP_CONFIG_FILE": os.devnull},
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            start_new_session=True,  # no terminal to ask at
        )


def test_through_a_pipe_and_in_other_shells(folder: Path) -> None:
    assert piped(folder, folder, "a red apple").stdout == "ran|a red apple\n"
    for shell in ("dash", "bash", "bash --posix", "mksh", "ksh", "yash", "busybox sh", "zsh --emulate sh"):
        if shutil.which(shell.split()[0]) is None:
            continue
        done = subprocess.run(
            [*shell.split(), folder / "start.sh", "x"], capture_output=True, encoding="utf-8", timeout=60
        )
        assert (done.stdout, done.stderr) == ("ran|x\n", ""), shell
        done = piped(folder, folder, "一只猫 'x'", shell=shell)
        assert (done.stdout, done.stderr) == ("ran|一只猫 'x'\n", ""), shell


def test_through_a_pipe_where_nothing_is(folder: Path) -> None:
    empty = folder.parent / "empty"
    empty.mkdir()
    done = piped(folder, empty, "x")
    assert done.returncode == 1
    assert f"came through a pipe, and the folder {empty} holds nothing to install" in done.stderr
    assert "make_wheels.py" in done.stderr
    assert list(empty.iterdir()) == []


def test_through_a_pipe_in_a_folder_of_wheels(folder: Path) -> None:
    shutil.move(folder / "requirements.lock", folder / "wheels")
    assert piped(folder, folder / "wheels", "x").stdout == "ran|x\n"


def test_without_readlink_through_a_chain_of_links(folder: Path) -> None:
    path = tools(folder, python3=python3(), readlink="exit 1")
    (folder.parent / "one").symlink_to("two")
    (folder.parent / "two").symlink_to(folder / "start.sh")
    done = subprocess.run(
        ["/bin/sh", folder.parent / "one", "x"], env={"PATH": path, "HOME": "/"}, capture_output=True, text=True
    )
    assert done.stdout == "ran|x\n", done.stderr


def test_it_asks_at_a_terminal(folder: Path) -> None:
    ours, theirs = pty.openpty()
    path = tools(folder, id="echo 0", apt_get="exit 9")
    os.write(ours, b"n\n")
    done = start(folder, "x", path=path, terminal=theirs)
    assert "nothing was installed" in done.stderr
    os.write(ours, b"\n")
    done = start(folder, "x", path=path, terminal=theirs)
    assert "the system's package manager did not install it" in done.stderr
    os.close(ours)
    os.close(theirs)


# ---- broken environments


def test_a_broken_environment_is_prepared_anew(folder: Path) -> None:
    assert start(folder, "x").stdout == "ran|x\n"
    breaks = {
        "a package is gone": lambda: (site_packages(folder) / "small_nutshell.py").unlink(),
        "Python is gone": lambda: _replace_by_link(folder / ".venv" / "bin" / "python", "/usr/bin/python3.0"),
        "the mark is cut off": lambda: os.truncate(folder / ".venv" / ".ready", 3),
    }
    for name, damage in breaks.items():
        damage()
        done = start(folder, "x")
        assert (done.stdout, done.stderr) == ("ran|x\n", ""), name
    # What cannot be seen at a glance is for the person to say.
    (site_packages(folder) / "small_nutshell.py").write_text("")
    assert start(folder, "x").returncode != 0
    assert start(folder, "--repair", "x").stdout == "ran|x\n"


def _replace_by_link(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def test_an_environment_names_its_python_by_its_version(folder: Path) -> None:
    """Or a system whose python3 becomes another version would leave one that finds none of its packages."""
    real = folder.parent / "real"
    real.mkdir()
    (real / "python3").symlink_to(os.path.realpath(sys.executable))
    assert start(folder, "x", path=f"{real}:{os.environ['PATH']}").stdout == "ran|x\n"
    assert os.path.basename(os.readlink(folder / ".venv" / "bin" / "python")).startswith("python3.")


@pytest.mark.parametrize("seconds", [0.3, 1.0, 2.0])
def test_killed_at_any_moment_it_is_begun_again(folder: Path, seconds: float) -> None:
    """The shell alone is killed: the pip that it leaves behind must not meet a second one."""
    process = subprocess.Popen(["/bin/sh", str(folder / "start.sh"), "x"], stdout=subprocess.DEVNULL)
    time.sleep(seconds)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    done = start(folder, "x")
    assert (done.stdout, done.stderr) == ("ran|x\n", "")


def test_strange_variables_do_no_harm(folder: Path) -> None:
    strange = {
        "PYTHONPATH": "/nowhere",
        "PYTHONHOME": "/nowhere",
        "PIP_USER": "1",
        "PIP_TARGET": str(folder / "target"),
    }
    assert start(folder, "x", **strange, CDPATH="/usr").stdout == "ran|x\n"


# ---- wheels, libraries, networks


def test_wheels_for_another_python(folder: Path) -> None:
    (folder / "wheels" / "numpy-2.0-cp399-cp399-manylinux_2_28_x86_64.whl").touch()
    done = start(folder, "x", path=tools(folder, python3=python3()))
    assert done.returncode == 1
    assert "holds packages for Python 3.99 and this system has another version" in done.stderr
    assert f"--python 3.{sys.version_info[1]}" in done.stderr


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler, to make a library that lacks another")
def test_a_missing_system_library_is_named_with_its_package(folder: Path) -> None:
    made = folder.parent / "made"
    made.mkdir()
    (made / "empty.c").write_text("int libatomic_thing(void) { return 1; }\n")
    (made / "user.c").write_text("int libatomic_thing(void); int user(void) { return libatomic_thing(); }\n")
    atomic = made / "libatomic.so.77"
    subprocess.run(["cc", "-shared", "-Wl,-soname,libatomic.so.77", "-o", atomic, made / "empty.c"], check=True)
    subprocess.run(["cc", "-shared", "-o", made / "user.so", made / "user.c", atomic], check=True)
    make_wheel(folder / "more", extra={"numpy/__init__.py": b"", "numpy/user.so": (made / "user.so").read_bytes()})
    shutil.rmtree(folder / "wheels")
    (folder / "more").rename(folder / "wheels")
    python = python3()

    for manager, line in {
        "apt_get": "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q libatomic1",
        "dnf": "dnf install -y libatomic",
        "pacman": "pacman -S --noconfirm --needed gcc-libs || pacman -Sy --noconfirm --needed gcc-libs",
    }.items():
        done = start(folder, "x", path=tools(folder, python3=python, id="echo 1000", **{manager: "exit 9"}))
        assert done.returncode == 1
        assert "error: The library libatomic.so.77 of the system is missing." in done.stderr
        assert f"sudo sh -c '{line}'" in done.stderr
        shutil.rmtree(folder.parent / "tools")

    # With root it is installed, here by a package manager that only puts it in place.
    install = f'case "$*" in *libatomic1*) /bin/cp "{atomic}" "{folder.parent}/lib" ;; esac'
    (folder.parent / "lib").mkdir()
    path = tools(folder, python3=python, id="echo 0", apt_get=install)
    done = start(folder, "--yes", "x", path=path, LD_LIBRARY_PATH=str(folder.parent / "lib"))
    assert done.stdout == "ran|x\n", done.stderr


def refusing_proxy(answer: bytes) -> tuple[socket.socket, str]:
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client:
                client.recv(4096)
                client.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return server, f"http://me:secret@127.0.0.1:{server.getsockname()[1]}"


def test_a_proxy_that_refuses_is_named(folder: Path) -> None:
    shutil.rmtree(folder / "wheels")
    (folder / "requirements.lock").write_text("colorama==0.4.6 --hash=sha256:" + "0" * 64 + "\n")
    server, proxy = refusing_proxy(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    with server:
        done = start(folder, "x", https_proxy=proxy, PIP_RETRIES="1", PIP_INDEX_URL="https://pypi.org/simple")
    assert done.returncode == 1
    assert "the packages could not be installed: the proxy 127.0.0.1:" in done.stderr
    assert "secret" not in done.stderr.splitlines()[-2]
    assert "correct or remove http_proxy and https_proxy" in done.stderr
    done = start(folder, "x", PIP_RETRIES="1", PIP_INDEX_URL="http://127.0.0.1:1/simple", PIP_NO_CACHE_DIR="1")
    assert "the package index could not be reached" in done.stderr
    assert "make_wheels.py" in done.stderr


# ---- file systems


@ROOT
def test_a_noexec_mount_is_passed_over(folder: Path) -> None:
    mounts = 'mount --bind "$folder" "$folder"; mount -o remount,bind,noexec "$folder"'
    done = in_mounts(mounts, folder)
    assert (done.stdout, done.stderr) == ("ran|x\n", "")
    assert (folder.parent / "home" / ".local" / "share" / "nutshell" / "venv" / ".ready").exists()
    assert not (folder / ".venv").exists()
    assert list(folder.glob(".nutshell-probe*")) == []
    # The same wheels on a stick that is mounted elsewhere: nothing is prepared again.
    moved = folder.rename(folder.with_name("elsewhere"))
    begun = time.time_ns()
    assert in_mounts(mounts, moved).stdout == "ran|x\n"
    ready = folder.parent / "home" / ".local" / "share" / "nutshell" / "venv" / ".ready"
    assert ready.stat().st_mtime_ns < begun


@ROOT
def test_a_fat_stick(folder: Path) -> None:
    stack = contextlib.ExitStack()
    stick = folder.parent / "stick 棒"
    try:
        stack.enter_context(fat_disk(folder.parent / "stick.img", stick, 40))
    except NoFat as error:
        pytest.skip(str(error))
    with stack:
        shutil.copytree(folder, stick, dirs_exist_ok=True, copy_function=shutil.copyfile)
        assert in_mounts(":", stick).stdout == "ran|x\n"
        assert (folder.parent / "home" / ".local" / "share" / "nutshell" / "venv" / ".ready").exists()


@ROOT
@pytest.mark.parametrize("home", ["unset", "/proc"])
def test_without_a_home(folder: Path, home: str) -> None:
    """Nor a writable folder: what remains is /var/tmp, and there only a folder of one's own."""
    kept = folder.parent / "var"
    kept.mkdir()
    bind = f"mount --bind {shlex.quote(str(kept))} /var/tmp"
    mounts = f'{bind}; mount --bind "$folder" "$folder"; mount -o remount,bind,ro "$folder"'
    theirs = kept / "nutshell-0"  # somebody else has laid out that folder
    theirs.mkdir()
    os.chown(theirs, 12345, 12345)
    theirs.chmod(0o777)
    done = in_mounts(mounts, folder, HOME=home)
    assert done.returncode == 1
    assert "can hold a Python environment" in done.stderr
    assert "XDG_DATA_HOME" in done.stderr
    theirs.rmdir()
    for _ in range(2):
        done = in_mounts(mounts, folder, HOME=home)
        assert (done.stdout, done.stderr) == ("ran|x\n", "")
    assert (theirs / "venv" / ".ready").exists()


@ROOT
def test_a_disk_that_fills_up_on_the_way(folder: Path) -> None:
    """Whoever wrote there meanwhile: df promised enough, and a real file system of 12 MB is full soon."""
    disk = folder.parent / "disk"
    disk.mkdir()
    shutil.rmtree(folder / "wheels")
    make_wheel(folder / "wheels", extra={"large.bin": os.urandom(8 << 20)})
    lie = tools(folder, df="echo head; echo /dev/x 9000000 0 9000000 0% /", python3=python3())
    at = shlex.quote(str(disk))
    mounts = f'mount -t tmpfs -o size=12m tmpfs {at}; cp -r "$folder/." {at}; folder={at}'
    after = f'; "/bin/sh" {at}/start.sh x 2>&1 || :; ls -A {at}; mount -o remount,size=200m {at}'
    done = in_mounts(mounts + after, folder, PATH=f"{lie}:{os.environ['PATH']}")
    first, _, last = done.stdout.rpartition("ran|")
    assert "the disk is full" in first
    assert "free 800 MB; then start again" in first
    assert ".venv\n" not in first.split("then start again")[1]  # nothing half-made takes up the space
    assert last == "x\n", done.stderr
