"""The log on standard error."""

from __future__ import annotations

import logging

import pytest

from nutshell.cli import log, speech
from nutshell.language import tr
from tests.language.brackets import brackets


def record(message: object, *values: object) -> logging.LogRecord:
    return logging.LogRecord("nutshell.x", logging.WARNING, "x.py", 1, message, values, None)


def test_sentences_are_translated_and_other_messages_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "_spoken", brackets)
    formatter = log._Spoken("%(name)s: %(message)s")
    said = formatter.format(record(tr("{error}; the next best is taken", error=tr("no engine is installed"))))
    assert said == "nutshell.x: «no engine is installed»«; the next best is taken»"
    assert formatter.format(record("%s of\n%s", 1, 2)) == "nutshell.x: 1 of 2"
