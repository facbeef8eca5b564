"""The service's log: one JSON object a line, in a file that rotates. It holds no prompts and no tokens by default.

{"time": "2026-05-01T12:00:00.123Z", "level": "info", "logger": "uvicorn.access", "message": "GET /api/jobs", ...}

What keeps them out:

- Of a request the path is written, never the query.
- Values that a caller gives with `extra={"fields": {...}}` are written by their names, but for those in PRIVATE.
- Of an error that is not one of ours its kind and place are written: its words may quote what was asked for. So may
  the later lines of what other libraries log.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import traceback
from collections.abc import Iterator
from datetime import datetime, timezone
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from typing import IO, Any

from nutshell.errors import NutshellError
from nutshell.service.private_file import telling, unreadable

FILE_NAME = "service.log"
FILE_BYTES = 5_000_000
OLD_FILES = 3
PRIVATE = frozenset({"prompt", "negative_prompt", "token", "authorization", "cookie"})
_OURS = "nutshell"
_ACCESS = "uvicorn.access"
# Watchers ask for these every few seconds.
_WATCHED = ("/healthz", "/readyz", "/metrics")


class JsonLines(logging.Formatter):
    """A record as one line of JSON, in English. prompts: whether what was asked for may be in it."""

    def __init__(self, *, prompts: bool = False) -> None:
        super().__init__()
        self._prompts = prompts

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever the message holds."""
        time = datetime.fromtimestamp(record.created, timezone.utc)
        line: dict[str, Any] = {
            "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        request = _request(record)
        line |= request if request is not None else {"message": self._message(record)}
        for name, value in getattr(record, "fields", {}).items():
            if self._prompts or name not in PRIVATE:
                line.setdefault(name, value)
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = self._error(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)

    def _message(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if self._prompts or record.name.split(".")[0] == _OURS:
            return text
        return text.split("\n", 1)[0]

    def _error(self, error: BaseException) -> dict[str, Any]:
        frames = traceback.extract_tb(error.__traceback__)
        told: dict[str, Any] = {
            "kind": type(error).__name__,
            "where": [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames],
        }
        if self._prompts or isinstance(error, (NutshellError, OSError)):
            told["message"] = str(error)
        if error.__cause__ is not None:
            told["cause"] = self._error(error.__cause__)
        return told


def _request(record: logging.LogRecord) -> dict[str, Any] | None:
    """The values of a line of uvicorn's access log; None for any other."""
    if record.name != _ACCESS or not isinstance(record.args, tuple) or len(record.args) != 5:
        return None
    peer, method, path, _, status = record.args
    return {"message": f"{method} {path}", "method": method, "path": path, "status": status, "peer": peer}


def _without_query(record: logging.LogRecord) -> bool:
    """A filter that drops nothing: a query may hold a token, and what it held goes nowhere, to no handler."""
    if isinstance(record.args, tuple) and len(record.args) == 5:
        peer, method, target, version, status = record.args
        record.args = (peer, method, str(target).split("?", 1)[0], version, status)
    return True


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a record is worth a line: that somebody watched is not, unless it failed."""
    request = _request(record)
    return request is None or request["path"] not in _WATCHED or int(request["status"]) >= 400


class _Quietly(RotatingFileHandler):
    """A disk that fills up costs lines of the log and nothing else."""

    def _open(self) -> Any:
        # Addresses of clients are nobody else's business.
        return open(
            self.baseFilename, self.mode, encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)
        )

    def handleError(self, record: logging.LogRecord) -> None:
        """Nowhere to tell it."""

    def close(self) -> None:
        """What could not be written is tried once more here."""
        with contextlib.suppress(OSError):
            super().close()


class _Deferred(QueueHandler):
    """Hands records on as they are: they are formatted by the thread that writes."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record


@contextlib.contextmanager
def logging_to(folder: Path | None, *, level: str = "info", prompts: bool = False) -> Iterator[None]:
    """For the length of a `with`, everything that is logged goes to the file in `folder` too.

    A thread of its own writes, so that the event loop never waits for a disk. None: there is no file. Raises
    OutputError where it cannot be written.
    """
    access = logging.getLogger(_ACCESS)
    access.addFilter(_without_query)
    try:
        if folder is None:
            yield
        else:
            with _writing(_open(folder), level, prompts):
                yield
    finally:
        access.removeFilter(_without_query)


@contextlib.contextmanager
def _writing(file: RotatingFileHandler, level: str, prompts: bool) -> Iterator[None]:
    root = logging.getLogger()
    kept = root.level
    file.setFormatter(JsonLines(prompts=prompts))
    file.addFilter(_is_news)
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    hand = _Deferred(records)
    hand.setLevel(level.upper())
    listener = QueueListener(records, file)
    listener.start()
    others = {handler: handler.level for handler in root.handlers}
    for handler, own in others.items():
        # More is logged from here on; what stands on standard error stays as it was asked for.
        handler.setLevel(max(own, kept))
    root.addHandler(hand)
    root.setLevel(min(kept, hand.level))
    try:
        yield
    finally:
        root.removeHandler(hand)
        root.setLevel(kept)
        for handler, own in others.items():
            handler.setLevel(own)
        listener.stop()
        file.close()


def _open(folder: Path) -> _Quietly:
    path = folder / FILE_NAME
    with telling(path):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return _Quietly(path, maxBytes=FILE_BYTES, backupCount=OLD_FILES, encoding="utf-8")


def last_lines(folder: Path, count: int) -> list[str]:
    """The newest lines of the log, oldest first; those of older files where the present one has too few.

    Raises OutputError where it cannot be read.
    """
    lines: list[str] = []
    for path in _files(folder):
        if len(lines) >= count:
            break
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                lines = [line.rstrip("\n") for line in file] + lines
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise unreadable(path, error) from error
    return lines[-count:] if count > 0 else []


class Follower:
    """Reads what is added to the log, also when it begins a new file. For `nutshell serve logs -f`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._file: IO[str] | None = None
        self._rest = ""
        self._open(at_end=True)

    def read(self) -> list[str]:
        """The whole lines that came since the last time; does not wait."""
        text = self._file.read() if self._file is not None else ""
        if self._replaced():
            # What was written between the last look and the rotation stands in the old file.
            text += self._file.read() if self._file is not None else ""
            self.close()
            self._open(at_end=False)
            text += self._file.read() if self._file is not None else ""
        *lines, self._rest = (self._rest + text).split("\n")
        return lines

    def close(self) -> None:
        """Let the file go."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self, *, at_end: bool) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._file = open(self._path, encoding="utf-8", errors="replace")  # noqa: SIM115 - until `close`
            if at_end:
                self._file.seek(0, os.SEEK_END)

    def _replaced(self) -> bool:
        try:
            now = os.stat(self._path)
        except OSError:
            return False  # between two files; the next look finds it
        if self._file is None:
            return True
        own = os.fstat(self._file.fileno())
        return (now.st_dev, now.st_ino) != (own.st_dev, own.st_ino)


def _files(folder: Path) -> Iterator[Path]:
    """Newest first."""
    yield folder / FILE_NAME
    for number in range(1, OLD_FILES + 1):
        yield folder / f"{FILE_NAME}.{number}"
