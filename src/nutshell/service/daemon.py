"""The service in the background: a unit of systemd where that runs, else a process that nobody's terminal holds.

Both are the same command, which notes itself in the folder (`daemon_record`); the lock on the folder settles races.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nutshell.errors import NutshellError
from nutshell.language import tr
from nutshell.service.daemon_record import SYSTEMD, Record, find_record, forget
from nutshell.service.daemon_systemd import FORGETFUL_UNIT, UNIT, Systemd, unit_path, write_unit
from nutshell.service.token_link import reached_at

STDERR_NAME = "stderr.log"
START_SECONDS = 120.0
# Longer than the service takes to finish its step and to say good-bye.
STOP_SECONDS = 40.0
_POLL_SECONDS = 0.05


class DidNotStart(NutshellError):
    """The service ended before it was ready. told: what it said on standard error, for people, as it is."""

    def __init__(self, told: str, code: int) -> None:
        super().__init__(tr("the service did not start"), tr("without --daemon it starts in this terminal"))
        self.told = told
        self.exit_code = code


def start_detached(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Record:
    """Start the command as a session of its own and wait until it is ready. Raises DidNotStart.

    What it says until then is kept for the error; it closes its standard error when it is ready (`let_go`).
    """
    process = subprocess.Popen(
        command,
        env={**environment, "PYTHONSAFEPATH": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        **_detaching(),
    )
    said: list[str] = []
    assert process.stderr is not None
    listening = threading.Thread(target=lambda stream: said.append(stream.read()), args=(process.stderr,), daemon=True)
    listening.start()
    try:
        listening.join(START_SECONDS)
        record = find_record(folder)
        if record is not None and record.pid == process.pid and record.alive and process.poll() is None:
            return record
    except BaseException:
        process.terminate()
        raise
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(1.0)
    if process.poll() is None:
        process.kill()
        process.wait()
    raise DidNotStart("".join(said), process.returncode if process.returncode > 0 else NutshellError.exit_code)


def start_unit(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, systemd: Systemd, *, amnesia: bool
) -> tuple[Record, Path]:
    """Write the unit and start it; returns when it is ready, with where the unit lies. Raises NutshellError."""
    path = unit_path(environment, amnesia=amnesia)
    if path is None:
        raise NutshellError(tr("there is no folder for the unit of systemd"), tr("set HOME, or XDG_CONFIG_HOME"))
    write_unit(path, command, environment, amnesia=amnesia)
    systemd.start(path.name)
    record = find_record(folder)
    if record is None or not record.alive:
        raise NutshellError(
            tr("systemd says that the service runs, and it does not"),
            tr("journalctl --user --unit {name} tells more", name=path.name),
        )
    return record, path


def let_go(folder: Path | None) -> None:
    """In the background: hold no terminal any more. What libraries still say goes to a file; None: nowhere."""
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        target = os.open(folder / STDERR_NAME if folder is not None else os.devnull, flags, 0o600)
    except OSError:  # a full disk, which must not keep the terminal
        target = os.open(os.devnull, os.O_WRONLY)
    sys.stderr.flush()
    os.dup2(target, 2)
    os.close(target)


def stop(record: Record, systemd: Systemd, seconds: float = STOP_SECONDS) -> bool:
    """End a running service, by force where it does not heed; False if that was needed."""
    by_itself = True
    if record.manager == SYSTEMD and systemd.stop(FORGETFUL_UNIT if record.amnesia else UNIT):
        by_itself = _gone(record, 1.0)
    if record.alive:
        _tell(record, signal.SIGTERM)
        by_itself = _gone(record, seconds)
    if not by_itself:
        _tell(record, getattr(signal, "SIGKILL", signal.SIGTERM))
        _gone(record, seconds)
    forget(record)
    path = unit_path(os.environ, amnesia=True) if record.manager == SYSTEMD and record.amnesia else None
    if path is not None:
        path.unlink(missing_ok=True)
    return by_itself


def ask(record: Record, token: str, path: str, seconds: float = 3.0) -> Any:
    """What the running service answers to a GET, as JSON; None where it does not answer so."""
    import http.client
    import json

    connection = http.client.HTTPConnection(reached_at(record.host), record.port, timeout=seconds)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"} if token else {})
        answer = connection.getresponse()
        return json.loads(answer.read(1_000_000)) if answer.status == 200 else None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def memory_bytes(record: Record) -> int:
    """Resident memory of the service and of what it started; 0 where that is not known."""
    import psutil

    try:
        process = psutil.Process(record.pid)
        return sum(int(each.memory_info().rss) for each in (process, *process.children(recursive=True)))
    except psutil.Error:
        return 0


def _detaching() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS}
    return {"start_new_session": True}


def _tell(record: Record, number: int) -> None:
    """Looked at once more, for the number may have been given again meanwhile."""
    if record.alive:
        try:
            os.kill(record.pid, number)
        except ProcessLookupError:
            return
        except PermissionError as error:
            raise NutshellError(
                tr("process {pid} belongs to another user", pid=record.pid), tr("ask who started it to stop it")
            ) from error


def _gone(record: Record, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while record.alive:
        if time.monotonic() > end:
            return False
        time.sleep(_POLL_SECONDS)
    return True
