"""The token that other machines show: made once, kept in a file that only its owner can read."""

from __future__ import annotations

import contextlib
import re
import secrets
from pathlib import Path

from nutshell.service.private_file import write_private

FILE_NAME = "token"
_BYTES = 24  # 192 bits, 32 characters: beyond guessing, and a QR code of it fits a terminal
_FORM = re.compile(r"[A-Za-z0-9_-]{16,128}")


def make_token() -> str:
    """A new one; nobody can guess it."""
    return secrets.token_urlsafe(_BYTES)


def read_token(folder: Path) -> str:
    """The kept token; empty where there is none that can be read."""
    try:
        text = (folder / FILE_NAME).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return text if _FORM.fullmatch(text) else ""


def kept_token(folder: Path, *, new: bool = False) -> str:
    """The kept token, made where there is none. new: make another, which those who know the old one must be told.

    The file is readable by its owner alone. Raises OutputError where it cannot be kept.
    """
    path = folder / FILE_NAME
    token = "" if new else read_token(folder)
    if token:
        # It may have been copied by hand.
        with contextlib.suppress(OSError):
            path.chmod(0o600)
        return token
    token = make_token()
    write_private(path, f"{token}\n")
    return token
