"""Prompts from the command line, a file, or standard input."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from nutshell.cli.speech import say
from nutshell.errors import UsageError, os_reason
from nutshell.language import tr

LARGEST_FILE = 16_000_000

NO_PROMPT = tr("there is no prompt")
NO_PROMPT_HINT = tr('say what to draw: nutshell "a red apple"')
TWO_SOURCES = tr("prompts come from the command line or from a file, not from both")
TWO_SOURCES_HINT = tr("leave out the prompt, or --from-file")
TYPE_PROMPTS = tr("type prompts, one a line; Ctrl-D ends")
STANDARD_INPUT = tr("standard input")


def read_prompts(words: Sequence[str], from_file: str | None) -> list[str]:
    """The prompts: `words` joined to one, or the lines of the file; "-" is standard input for both."""
    if from_file is not None and words:
        raise UsageError(TWO_SOURCES, TWO_SOURCES_HINT)
    if from_file is None and list(words) != ["-"]:
        if not words:
            raise UsageError(NO_PROMPT, NO_PROMPT_HINT)
        return [" ".join(map(typed, words))]
    source, raw = _read(from_file or "-")
    lines = (line.strip() for line in decoded(source, raw).splitlines())
    prompts = [line for line in lines if line and not line.startswith("#")]
    if not prompts:
        raise UsageError(
            tr("{source} holds no prompt", source=source), tr("write one a line; lines that begin with # are skipped")
        )
    return prompts


def typed(word: str) -> str:
    """A word of the command line as UTF-8, whatever locale Python thought it was in."""
    try:
        return os.fsencode(word).decode("utf-8", "replace")
    except UnicodeEncodeError:  # given to `main` by another program, not by a shell
        return word.encode("utf-8", "replace").decode("utf-8")


def decoded(source: str, raw: bytes) -> str:
    """UTF-8 with or without a mark, or UTF-16 with one, as Windows editors and shells write."""
    utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return raw.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise UsageError(
            tr("{source} is not UTF-8 text (line {line})", source=source, line=line), tr("save it as UTF-8")
        ) from error


def _read(name: str) -> tuple[str, bytes]:
    if name == "-":
        if sys.stdin.isatty():
            say(TYPE_PROMPTS, sys.stderr)
        return STANDARD_INPUT, sys.stdin.buffer.read(LARGEST_FILE)
    try:
        with Path(name).open("rb") as file:
            return name, file.read(LARGEST_FILE)
    except OSError as error:
        raise UsageError(
            tr("{name} cannot be read: {reason}", name=name, reason=os_reason(error)), tr("check the path")
        ) from error
