"""Small files that nobody but their owner may read, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from nutshell.errors import OutputError, os_reason
from nutshell.files import output_error
from nutshell.language import tr

ANOTHER_FOLDER = tr("choose another folder with --service-folder, or keep nothing with --amnesia")


def write_private(path: Path, text: str) -> None:
    """Write `path` (mode 0600), its folder made where it is missing (0700). Raises OutputError."""
    with telling(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_name(f".{path.name}-{secrets.token_hex(6)}.part")
        try:
            # Never readable by others, not even for a moment.
            with os.fdopen(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def telling(path: Path) -> Iterator[None]:
    """Turn an OSError of the block into an OutputError about `path` that says what the service can do about it."""
    try:
        yield
    except OSError as error:
        raise OutputError(output_error(path, error).message, ANOTHER_FOLDER) from error


def unreadable(path: Path, error: OSError) -> OutputError:
    """Says why a file of the service cannot be read."""
    return OutputError(
        tr("{path} cannot be read: {reason}", path=path, reason=os_reason(error)),
        tr("check its permissions: it is written by the user who started the service"),
    )
