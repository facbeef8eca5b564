"""What is shown while models are fetched or read: one line on a terminal, next to nothing elsewhere."""

from __future__ import annotations

import sys
from typing import Any

from nutshell.cli.progress import new_bar
from nutshell.cli.report import fancy, note
from nutshell.cli.speech import one_line, words
from nutshell.language import tr
from nutshell.store.watch import Watch

BAR = "{desc} {percentage:3.0f}% |{bar:20}| {n_fmt}/{total_fmt}  {rate_fmt}  "
LONG_WAIT_SECONDS = 5.0


class Line(Watch):
    """A bar with bytes, speed and time left. quiet: not even notes."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._fancy = fancy(sys.stderr) and not quiet
        self._bar: Any = None
        self._waiting = False

    def plan(self, name: str, total: int, here: int) -> None:
        if self._fancy and total > here:
            self._bar = new_bar(one_line(name))
            self._bar.bar_format = BAR + words(tr("{time} left", time="{remaining}")) + "{postfix}"
            self._bar.unit, self._bar.unit_scale = "B", True
            self._bar.total, self._bar.n, self._bar.initial = total, here, here

    def bytes(self, count: int) -> None:
        if self._bar is not None:
            if self._waiting:
                self._bar.set_postfix_str("", refresh=False)
                self._waiting = False
            if count < 0:
                self._bar.n = max(0, self._bar.n + count)
                self._bar.refresh()
            else:
                self._bar.update(count)

    def wait(self, seconds: float, reason: str) -> None:
        text = tr("{reason}; trying again in {seconds:.0f} s", reason=reason, seconds=seconds)
        if self._bar is not None:
            self._bar.set_postfix_str(words(text))
            self._waiting = True
        elif seconds >= LONG_WAIT_SECONDS or self._fancy:
            self.note(text)

    def note(self, text: str) -> None:
        if not self._quiet:
            note(text)

    def done(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def size_text(count: int) -> str:
    """`4.2 KB`, `640.1 MB`, `2.1 GB`"""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} KB"
