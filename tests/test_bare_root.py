"""start.sh to a picture on a bare system: root file systems by debootstrap, with and without a network.

The systems are made once, under ~/.cache/nutshell-tests; each test writes into an overlay over one. They come from the
mirror that this machine's own apt names, packages from the index that its pip is set to.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

pytestmark = pytest.mark.slow

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nutshell-tests"
SYSTEMS = {"debian": "stable", "ubuntu": "jammy"}  # jammy: Python 3.10, the oldest that is served
PARTS = {"debian": "main", "ubuntu": "main,universe"}  # Ubuntu keeps python3-venv in universe
PROJECT = ("start.sh", "pyproject.toml", "requirements.lock", "README.md", "LICENSE", "THIRD_PARTY.md", "src")
PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def why_not() -> str:
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs root on Linux, to make root file systems"
    for tool in ("debootstrap", "unshare", "chroot"):
        if shutil.which(tool) is None:
            return f"needs {tool} (Debian package {'debootstrap' if tool == 'debootstrap' else 'util-linux'})"
    made = subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True, text=True)
    return "" if made.returncode == 0 else f"cannot make namespaces here: {made.stderr.strip()}"


def mirrors(system: str) -> list[str]:
    """The mirrors that this machine's apt names, and Ubuntu's beside Debian's or the other way round."""
    text = ""
    for path in [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]:
        if path.is_file():
            text += path.read_text(encoding="utf-8", errors="replace")
    found = re.findall(r"https?://[^\s\]]+/(?:debian|ubuntu)(?=/?\s)", text)
    beside = [url.rsplit("/", 1)[0] + f"/{system}" for url in found]
    return list(dict.fromkeys([url for url in found if url.endswith(system)] + beside))


def bare_system(system: str) -> Path:
    """A fresh root file system, minimal variant, made the first time."""
    root = CACHE / f"{system}-{SYSTEMS[system]}"
    if root.is_dir():
        return root
    CACHE.mkdir(parents=True, exist_ok=True)
    said = "apt names no mirror here"
    for mirror in mirrors(system):
        attempt = CACHE / f"{system}.{os.getpid()}"
        words = [
            "debootstrap",
            "--variant=minbase",
            f"--components={PARTS[system]}",
            SYSTEMS[system],
            str(attempt),
            mirror,
        ]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode == 0:
            attempt.rename(root)
            return root
        said = (done.stdout + done.stderr).strip().splitlines()[-1]
        shutil.rmtree(attempt, ignore_errors=True)
    pytest.skip(f"debootstrap of {system} did not work: {said}")


def pip_settings(into: Path) -> dict[str, str]:
    """What pip on this machine knows of an index, as variables; certificates are copied to `into`/index.crt."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
    known = {}
    for key, value in re.findall(r"^\S+\.([\w-]+)='(.*)'$", listed, re.MULTILINE):
        if key in ("index-url", "trusted-host", "proxy", "timeout", "default-timeout"):
            known["PIP_" + key.upper().replace("-", "_")] = value
        elif key == "cert":
            shutil.copyfile(value, into / "index.crt")
            known["PIP_CERT"] = "/index.crt"
    return known | {name: os.environ[name] for name in PROXIES if name in os.environ}


class Machine:
    """A copy of a bare system that keeps what is done in it."""

    def __init__(self, system: str, folder: Path) -> None:
        self.system, self.folder = system, folder
        self.own = folder / "own"  # the changes; readable from outside
        for name in ("own", "work", "root"):
            (folder / name).mkdir(parents=True)
        shutil.copy("/etc/resolv.conf", self._made("etc"))
        for proxy in Path("/etc/apt/apt.conf.d").glob("*proxy*"):
            shutil.copy(proxy, self._made("etc/apt/apt.conf.d"))
        self.variables = pip_settings(self.own)

    def _made(self, path: str) -> Path:
        (self.own / path).mkdir(parents=True, exist_ok=True)
        return self.own / path

    def run(
        self, command: str, *, user: int = 0, network: bool = True, mounts: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command inside; `mounts` is run before, outside, with $root as the system's folder."""
        lower, work = bare_system(self.system), self.folder / "work"
        home = "/root" if user == 0 else "/home/person"
        setup = f"""set -e; root={shlex.quote(str(self.folder / "root"))}
            mount -t overlay overlay -o lowerdir={lower},upperdir={self.own},workdir={work} "$root"
            mount --rbind /proc "$root/proc"; mount --rbind /dev "$root/dev"; {mounts}
            exec chroot --userspec={user}:{user} "$root" /bin/sh -c {shlex.quote(f"cd {home} && {command}")}"""
        words = ["unshare", "--mount", "--propagation", "private", *([] if network else ["--net"])]
        variables = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": home, "LC_ALL": "C.UTF-8", **self.variables}
        return subprocess.run(
            [*words, "sh", "-c", setup], env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )


@pytest.fixture(scope="module", autouse=True)
def able() -> None:
    if reason := why_not():
        pytest.skip(reason)


@pytest.fixture(scope="module")
def wheels() -> Path:
    """A stick: start.sh and the wheels for Debian's Python, and nothing else. Downloads are kept."""
    stick = CACHE / "stick"
    stick.mkdir(parents=True, exist_ok=True)
    words = [sys.executable, str(REPOSITORY / "tools" / "make_wheels.py"), "--output", str(stick / "wheels")]
    done = subprocess.run([*words, "--python", "3.13"], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"the wheels could not be fetched: {done.stderr.strip().splitlines()[-3:]}")
    shutil.copy(REPOSITORY / "start.sh", stick)
    return stick


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder for a machine, removed after the test: it grows to a gigabyte."""
    yield tmp_path / "machine"
    shutil.rmtree(tmp_path / "machine", ignore_errors=True)


def unless_cut_off(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """What needs the mirror or the index is skipped where that does not answer."""
    cut_off = r"Could not (resolve|connect)|Temporary failure|index could not be reached|Unable to connect"
    if done.returncode and (found := re.search(cut_off, done.stdout + done.stderr)):
        pytest.skip(f"no network for the bare system: {found[0]}")
    return done


def picture(machine: Machine, home: str) -> bytes:
    found = sorted((machine.own / home).glob("nutshell-*.png"))
    assert found, "no picture was written"
    return found[-1].read_bytes()


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_bare_system_draws_from_the_index(system: str, place: Path) -> None:
    machine = Machine(system, place)
    folder = machine.own / "srv" / "my 图画"
    folder.mkdir(parents=True)
    for name in PROJECT:
        copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy
        copy(REPOSITORY / name, folder / name)
    person = machine.own / "home" / "person"
    person.mkdir(parents=True)
    os.chown(person, 1000, 1000)

    # An ordinary user can install nothing, and learns what to ask for.
    asked = machine.run('"/srv/my 图画/start.sh" --yes "a red apple"', user=1000)
    assert asked.returncode == 1
    assert "Python 3.10 or newer" in asked.stderr
    line = re.search(r"start again:  sudo sh -c '(.*)'$", asked.stderr, re.MULTILINE)
    assert line
    assert "apt-get install" in line[1]

    done = unless_cut_off(machine.run('"/srv/my 图画/start.sh" --yes "a red apple" --seed 7 --steps 4'))
    assert done.returncode == 0, done.stdout + done.stderr
    assert picture(machine, "root").startswith(b"\x89PNG")
    assert (folder / ".venv" / ".ready").exists()

    # The user finds the environment that root made, and needs no network with it, nor the folder of start.sh.
    again = machine.run(
        'cd "/srv/my 图画" && cat start.sh | sh -s -- "a red apple" --seed 7 --steps 4 --output ~',
        user=1000,
        network=False,
    )
    assert again.returncode == 0, again.stdout + again.stderr
    assert picture(machine, "home/person") == picture(machine, "root")


def test_a_stick_draws_without_a_network(wheels: Path, place: Path) -> None:
    """As an ordinary user, from a folder that is read-only and runs no programs, as sticks are mounted."""
    machine = Machine("debian", place)
    person = machine.own / "home" / "person"
    person.mkdir(parents=True)
    os.chown(person, 1000, 1000)
    (machine.own / "media" / "STICK 棒").mkdir(parents=True)
    mount = f'mount --bind {wheels} "$root/media/STICK 棒"; mount -o remount,bind,ro,noexec "$root/media/STICK 棒"'
    installed = machine.run("apt-get update -q && apt-get install -y -q python3 python3-venv")
    if installed.returncode:
        pytest.skip(f"apt-get did not work in the bare system: {installed.stderr.strip()[-200:]}")

    start = 'sh "/media/STICK 棒/start.sh" "a red apple" --seed 7 --steps 4'
    done = machine.run(start, user=1000, network=False, mounts=mount)
    assert done.returncode == 0, done.stdout + done.stderr
    assert picture(machine, "home/person").startswith(b"\x89PNG")
    assert (person / ".local" / "share" / "nutshell" / "venv" / ".ready").exists()
    # A home that is read-only too: what was prepared is found.
    done = machine.run(f"cd /tmp && {start}", user=1000, network=False, mounts=mount)
    assert done.returncode == 0, done.stderr
