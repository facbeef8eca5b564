"""The log on standard error, in the language that is spoken."""

from __future__ import annotations

import logging

from nutshell.cli.speech import words


def set_up(level: str) -> None:
    """Show what is at least of this level ("warning")."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Spoken("%(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler])


class _Spoken(logging.Formatter):
    """Translates a message that is a sentence; others pass in one line."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        # A sentence still knows its template here, for logging puts nothing into a message that comes without values.
        record.message = words(record.message)
        return super().formatMessage(record)
