"""The service in the background: started, found again, ended; also where that goes wrong."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from nutshell.errors import OutputError
from nutshell.service import daemon_record
from nutshell.service.daemon import stop
from nutshell.service.daemon_record import (
    DETACHED,
    FILE_NAME,
    AlreadyRunning,
    Record,
    find_record,
    holding,
    process_mark,
    record_of,
)
from nutshell.service.daemon_systemd import FORGETFUL_UNIT, UNIT, Systemd, quoted, unit_text
from nutshell.service.options import ServiceOptions
from tests.cli.conftest import REAL
from tests.cli.terminal import Terminal
from tests.service.started import PATIENCE_SECONDS, home, run, state, tree

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX processes")


@pytest.fixture
def env(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A user's environment; what still runs for that user is ended."""
    yield home(tmp_path)
    for path in (state(tmp_path) / FILE_NAME, tmp_path / "run" / "nutshell" / FILE_NAME):
        with contextlib.suppress(OSError, ValueError, ProcessLookupError):
            os.kill(json.loads(path.read_text(encoding="utf-8"))["pid"], signal.SIGKILL)


def status(env: dict[str, str]) -> Any:
    return json.loads(run(env, "status", "--json").stdout)


def started(env: dict[str, str], *words: str) -> dict[str, Any]:
    """Start one in the background; gives its status."""
    done = run(env, "--daemon", "--port", "0", *words)
    assert done.returncode == 0, done.stderr
    assert "nutshell serve stop" in done.stdout
    return dict(status(env))


def test_start_status_logs_stop(env: dict[str, str], tmp_path: Path) -> None:
    facts = started(env)
    assert (facts["running"], facts["answers"], facts["manager"]) == (True, True, "detached")
    assert httpx2.get(f"{facts['address']}/healthz").json() == {"status": "ok"}
    process = psutil.Process(facts["pid"])
    assert process.terminal() is None
    assert os.getsid(facts["pid"]) == facts["pid"]

    said = run(env, "status")
    assert said.returncode == 0
    assert f"in the background (process {facts['pid']})" in said.stdout
    assert facts["address"] in said.stdout

    again = run(env, "--daemon", "--port", "0")
    assert again.returncode == 0
    assert f"it runs already, since {time.strftime('%Y')}" in again.stderr
    assert status(env)["pid"] == facts["pid"]

    httpx2.get(f"{facts['address']}/no-such-page")
    end = time.monotonic() + PATIENCE_SECONDS
    while "GET /no-such-page  status=404" not in (told := run(env, "logs").stdout):
        assert time.monotonic() < end, told
    plain = [json.loads(line) for line in run(env, "logs", "--json").stdout.splitlines()]
    assert any(line.get("path") == "/no-such-page" and line["status"] == 404 for line in plain)

    ended = run(env, "stop")
    assert (ended.returncode, ended.stdout) == (0, "stopped\n")
    assert not process_mark(facts["pid"])
    assert run(env, "stop").stdout == "not running\n"
    assert run(env, "status").returncode == 3


def test_killed_and_started_again(env: dict[str, str], tmp_path: Path) -> None:
    first = started(env)
    os.kill(first["pid"], signal.SIGKILL)
    while process_mark(first["pid"]):
        time.sleep(0.02)
    told = run(env, "status")
    assert told.returncode == 3
    assert "ended without saying so" in told.stdout
    assert json.loads(run(env, "status", "--json").stdout) == {"running": False, "died": True}
    second = started(env)
    assert second["pid"] != first["pid"]
    assert second["answers"]
    assert run(env, "stop").stdout == "stopped\n"


def test_it_outlives_its_terminal(env: dict[str, str], tmp_path: Path) -> None:
    shell = shutil.which("sh")
    assert shell is not None
    words = [shell, "-c", '"$@"; echo READY; read line', "sh", *REAL, "serve", "--daemon", "--port", "0"]
    with Terminal(words, cwd=tmp_path, env={**env, "TERM": "xterm"}, columns=120) as terminal:
        terminal.wait("READY")
        facts = status(env)
    # The terminal is closed now, and what it ran has been hung up.
    assert facts["answers"]
    os.kill(facts["pid"], signal.SIGHUP)
    assert httpx2.get(f"{facts['address']}/healthz").json() == {"status": "ok"}
    assert status(env)["pid"] == facts["pid"]
    assert run(env, "stop").stdout == "stopped\n"


def test_amnesia_in_the_background(env: dict[str, str], tmp_path: Path) -> None:
    before = tree(tmp_path)
    facts = started(env, "--amnesia", "--lan", "--host", "127.0.0.1")
    # Its token lies nowhere but in memory, and status knows it all the same.
    assert (facts["answers"], facts["log"]) == (True, None)
    assert facts["amnesia"]
    assert {path.split(os.sep)[0] for path in tree(tmp_path) - before} == {"run"}
    record = tmp_path / "run" / "nutshell" / FILE_NAME
    assert record.stat().st_mode & 0o077 == 0
    token = json.loads(record.read_text(encoding="utf-8"))["token"]
    assert httpx2.get(f"{facts['address']}/api/jobs").status_code == 401
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx2.get(f"{facts['address']}/api/jobs", headers=headers).status_code == 200
    assert run(env, "stop").stdout == "stopped\n"
    assert not record.exists()
    told = run(env, "logs")
    assert told.returncode == 1
    assert "there is no log in" in told.stderr


def test_what_keeps_it_from_starting_is_told(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    told = run(env, "--daemon", "--port", "0", "--service-folder", str(tmp_path / "file" / "below"))
    assert told.returncode == 6
    assert told.stdout == ""
    assert "part of that path is a file, not a folder" in told.stderr
    assert "--service-folder" in told.stderr
    (state(tmp_path) / FILE_NAME).mkdir(parents=True)
    (state(tmp_path) / "service.log").mkdir()
    for action, name in (("status", FILE_NAME), ("stop", FILE_NAME), ("logs", "service.log")):
        told = run(env, action)
        assert told.returncode == 6
        assert f"{name} cannot be read: Is a directory" in told.stderr


def test_of_two_starts_one_wins(env: dict[str, str], tmp_path: Path) -> None:
    words = [*REAL, "serve", "--daemon", "--port", "0"]
    both = [subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(2)]
    told = [process.communicate(timeout=PATIENCE_SECONDS)[1].decode() for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes[0] == 0
    assert codes[1] == 0 or any("another service is starting" in text or "runs already" in text for text in told)
    here = [each for each in psutil.process_iter(["cmdline"]) if "--manager" in (each.info["cmdline"] or [])]
    mine = [each.pid for each in here if each.environ().get("XDG_STATE_HOME") == env["XDG_STATE_HOME"]]
    assert mine == [status(env)["pid"]]
    assert run(env, "stop").stdout == "stopped\n"


def test_a_token_of_ones_own_is_no_flag_of_the_process(env: dict[str, str], tmp_path: Path) -> None:
    """Everybody on a machine can read the flags of a process."""
    token = "my-own-token-0123456789"
    facts = started(env, "--token", token)
    assert not any(token in word for word in psutil.Process(facts["pid"]).cmdline())
    assert httpx2.get(f"{facts['address']}/api/jobs").status_code == 401
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx2.get(f"{facts['address']}/api/jobs", headers=headers).status_code == 200
    assert run({**env, "NUTSHELL_TOKEN": token}, "status").stdout.count("queue") == 1
    assert run(env, "stop").stdout == "stopped\n"


# ---------------------------------------------------------------- the record


def record(process: int, folder: Path, **changes: Any) -> Record:
    return replace(
        record_of(ServiceOptions(folder, "artist"), DETACHED), pid=process, mark=process_mark(process), **changes
    )


@contextlib.contextmanager
def sleeping(code: str = "pass") -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-c", f"import signal, time; {code}; print(flush=True); time.sleep(600)"]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def kept(folder: Path, each: Record) -> None:
    (folder / FILE_NAME).write_text(json.dumps(each.__dict__), encoding="utf-8")


NO_SYSTEMD = Systemd("no-systemctl", "no-loginctl")


def test_a_number_that_was_given_again_is_nobodys_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with sleeping() as process:
        mine = record(process.pid, tmp_path)
        assert mine.alive
        other = replace(mine, mark="an earlier start-1")
        assert not other.alive
        kept(tmp_path, other)
        assert stop(other, NO_SYSTEMD, 1.0)
        assert process.poll() is None
        assert find_record(tmp_path) is None
    assert not mine.alive


def test_what_does_not_heed_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    with sleeping("signal.signal(signal.SIGTERM, signal.SIG_IGN)") as process:
        kept(tmp_path, record(process.pid, tmp_path))
        found = find_record(tmp_path)
        assert found is not None
        assert not stop(found, NO_SYSTEMD, 0.2)
        assert process.wait(PATIENCE_SECONDS) == -signal.SIGKILL
    assert not (tmp_path / FILE_NAME).exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', "\xff"])
def test_a_damaged_record_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / FILE_NAME).write_text(text, encoding="latin-1")
    assert find_record(tmp_path) is None


def test_one_service_a_folder(tmp_path: Path) -> None:
    with holding(tmp_path):
        with pytest.raises(AlreadyRunning, match="another service is starting"), holding(tmp_path):
            pass
        kept(tmp_path, record(os.getpid(), tmp_path, port=8123))
        with pytest.raises(AlreadyRunning, match="runs already, on port 8123"), holding(tmp_path):
            pass
    with holding(tmp_path):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/shm is of Linux")
def test_what_others_put_into_shared_memory_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(daemon_record, "_SHARED", tmp_path)
    place = daemon_record.memory_folder()
    assert place == tmp_path / f"nutshell-{os.getuid()}"
    with holding(place):
        kept(place, record(os.getpid(), tmp_path / "folder"))
        assert find_record(tmp_path / "folder") is not None
    # Nor what others can write into.
    place.chmod(0o777)
    assert find_record(tmp_path / "folder") is None
    with pytest.raises(OutputError, match="belongs to somebody else"), holding(place):
        pass
    shutil.rmtree(place)
    place.symlink_to(tmp_path)
    with pytest.raises(OutputError, match="belongs to somebody else"), holding(place):
        pass


# ---------------------------------------------------------------- systemd


def words_of(line: str) -> list[str]:
    """A command line as systemd.syntax(7) and systemd.service(5) read it, all of whose words are in double quotes."""
    words, place = [], 0
    while place < len(line):
        assert line[place] == '"'
        word, place = "", place + 1
        while line[place] != '"':
            pair = line[place : place + 2]
            if pair[0] == "\\":
                assert pair[1] in '\\"x'
                word += chr(int(line[place + 2 : place + 4], 16)) if pair[1] == "x" else pair[1]
                place += 4 if pair[1] == "x" else 2
            elif pair[0] in "%$" and pair[1] == pair[0]:
                word += pair[0]
                place += 2
            else:
                assert pair[0] != "%", "a specifier"
                word += pair[0]
                place += 1
        words.append(word)
        place += 1 + (place + 1 < len(line))
    return words


HARD = [
    "/opt/My Python/bin/python",
    "100%h",
    'say "cheese"',
    "$HOME and ${HOME}",
    "back\\slash",
    "two\nlines",
    "猫",
    "",
]


def test_the_unit_says_what_was_typed(tmp_path: Path) -> None:
    environment = {"NUTSHELL_MODEL": '50% "off" $5', "LS_COLORS": "x", "NUTSHELL_LANG": "zh", "HOME": "/h"}
    text = unit_text(HARD, environment, Path("/srv/a%b"), amnesia=False)
    lines = text.splitlines()
    (command,) = [line.removeprefix("ExecStart=") for line in lines if line.startswith("ExecStart=")]
    assert words_of(command) == HARD
    given = [line.removeprefix("Environment=") for line in lines if line.startswith("Environment=")]
    assert [words_of(each.replace("$", "$$"))[0] for each in given] == [
        "NUTSHELL_LANG=zh", 'NUTSHELL_MODEL=50% "off" $5', "PYTHONSAFEPATH=1"
    ]  # fmt: skip
    assert "WorkingDirectory=/srv/a%%b" in lines
    # A worker that the kernel ends for its memory must not take the service with it.
    assert "OOMPolicy=continue" in lines
    assert "StandardError=null" not in lines
    assert "StandardError=null" in unit_text(HARD, {}, Path("/"), amnesia=True).splitlines()
    assert quoted("$x") == '"$x"'


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT
    hard = [sys.executable, *HARD[1:]]
    unit.write_text(unit_text(hard, {"NUTSHELL_MODEL": "50% $5"}, tmp_path, amnesia=False), encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "--user", "--man=no", "--generators=no", "verify", str(unit)],
        capture_output=True, text=True, timeout=PATIENCE_SECONDS, env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
    )  # fmt: skip
    assert UNIT not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr


SYSTEMCTL = """#!{python}
# What nutshell asks of systemctl and loginctl, done by hand.
import json, os, pathlib, signal, socket, subprocess, sys, time
sys.path.insert(0, {repository!r})
here = pathlib.Path({folder!r})
with open(here / "asked", "a") as asked:
    print(pathlib.Path(sys.argv[0]).name, *sys.argv[1:], file=asked)
words = sys.argv[1:]
if words[:2] == ["--user", "restart"]:
    from tests.service.test_daemon import words_of
    folders = (os.environ["XDG_CONFIG_HOME"], os.environ["XDG_RUNTIME_DIR"])
    units = [pathlib.Path(each, "systemd", "user", words[2]) for each in folders]
    (unit,) = [each for each in units if each.exists()]
    lines = unit.read_text().splitlines()
    values = lambda name: [line.partition("=")[2] for line in lines if line.startswith(name + "=")]
    letters = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    letters.bind(str(here / "notify"))
    letters.settimeout({patience})
    given = dict(words_of(each)[0].split("=", 1) for each in values("Environment"))
    process = subprocess.Popen(
        words_of(values("ExecStart")[0]), cwd=values("WorkingDirectory")[0], start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={{**given, "HOME": os.environ["HOME"], "XDG_RUNTIME_DIR": os.environ["XDG_RUNTIME_DIR"],
             "NOTIFY_SOCKET": str(here / "notify")}},
    )
    (here / "main-pid").write_text(str(process.pid))
    assert letters.recv(100) == b"READY=1"
elif words[:2] == ["--user", "stop"]:
    os.kill(int((here / "main-pid").read_text()), signal.SIGTERM)
    while pathlib.Path("/proc", (here / "main-pid").read_text(), "exe").is_symlink():
        time.sleep(0.05)
elif "show-user" in words:
    print("no")
elif "enable-linger" in words:
    sys.exit(1)
"""


@pytest.fixture
def systemctl(tmp_path: Path, env: dict[str, str], repository: Path) -> Callable[[], list[str]]:
    """Gives what systemctl and loginctl were asked for."""
    text = SYSTEMCTL.format(
        python=sys.executable, repository=str(repository), folder=str(tmp_path), patience=PATIENCE_SECONDS
    )
    for name in ("systemctl", "loginctl"):
        (tmp_path / "bin" / name).write_text(text, encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    return lambda: (tmp_path / "asked").read_text(encoding="utf-8").splitlines()


@pytest.mark.skipif(sys.platform != "linux", reason="systemd is of Linux")
@pytest.mark.parametrize("words", [(), ("--amnesia",)], ids=["usual", "amnesia"])
def test_a_unit_of_systemd(
    env: dict[str, str], tmp_path: Path, systemctl: Callable[[], list[str]], words: tuple[str, ...]
) -> None:
    name = FORGETFUL_UNIT if words else UNIT
    unit = tmp_path / ("run" if words else "config") / "systemd" / "user" / name
    done = run({**env, "NUTSHELL_KEEP_ALIVE": "1m"}, "--daemon", "--port", "0", *words)
    assert done.returncode == 0, done.stderr
    assert f"Kept by systemd ({unit}): it ends when you log out" in done.stdout
    assert "sudo loginctl enable-linger" in done.stdout
    assert unit.stat().st_mode & 0o077 == 0
    assert '"NUTSHELL_KEEP_ALIVE=1m"' in unit.read_text(encoding="utf-8")
    facts = status(env)
    assert (facts["manager"], facts["answers"]) == ("systemd", True)
    assert run(env, "stop").stdout == "stopped\n"
    asked = systemctl()
    assert asked[0] == "systemctl --user show --property=Version"
    assert asked[1:3] == ["systemctl --user daemon-reload", f"systemctl --user restart {name}"]
    assert asked[-1] == f"systemctl --user stop {name}"
    assert not process_mark(facts["pid"])
    # What forgets leaves no unit behind.
    assert unit.exists() == (not words)
