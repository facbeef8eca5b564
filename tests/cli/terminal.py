"""A terminal for tests: a program on a pseudo-terminal, its keys, and what stands on the screen."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pyte

UP, DOWN, LEFT, RIGHT, ENTER, ESCAPE = "\x1b[A", "\x1b[B", "\x1b[D", "\x1b[C", "\r", "\x1b"
CTRL_C, CTRL_D, BACKSPACE = "\x03", "\x04", "\x7f"
PATIENCE_SECONDS = 60.0  # of a machine that is busy


class Terminal:
    """Runs a command on a terminal of this size. streams: those of the command that lie elsewhere, as in Popen."""

    def __init__(
        self, words: Sequence[str], *, cwd: Path, env: dict[str, str], columns: int = 80, rows: int = 24, **streams: Any
    ) -> None:
        self.screen = pyte.HistoryScreen(columns, rows, history=1000)
        self._stream = pyte.ByteStream(self.screen)
        self._ours, theirs = pty.openpty()
        self.resize(columns, rows)
        self.raw = b""
        # Its controlling terminal, so that Ctrl-C there is a signal to it.
        self.process = subprocess.Popen(
            words, cwd=cwd, env=env, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),
            **{"stdin": theirs, "stdout": theirs, "stderr": theirs, **streams},
        )  # fmt: skip
        os.close(theirs)

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.screen.resize(rows, columns)

    def press(self, *keys: str) -> None:
        for key in keys:
            os.write(self._ours, key.encode())

    def wait(self, *texts: str, without: Sequence[str] = ()) -> str:
        """Until the screen shows all these texts, and none of `without`; returns it."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            shown = self.text()
            if all(text in shown for text in texts) and not any(text in shown for text in without):
                return shown
            if not self._read(0.1):
                break
        raise AssertionError(f"{texts} is not on the screen:\n{self.text()}\n{self.raw[-2000:]!r}")

    def is_cooked(self) -> bool:
        """Whether the terminal is as a shell wants it: lines are edited, typing is seen."""
        wanted = termios.ICANON | termios.ECHO | termios.ISIG
        return termios.tcgetattr(self._ours)[3] & wanted == wanted

    def wait_question(self) -> None:
        """Until keys are read one by one. What is typed earlier is taken as a line, where Ctrl-D would get lost."""
        end = time.monotonic() + PATIENCE_SECONDS
        while self.is_cooked():
            assert time.monotonic() < end, self.text()
            self._read(0.05)

    def end(self) -> int:
        """The exit code of the program, which must end by itself."""
        end = time.monotonic() + PATIENCE_SECONDS
        while self._read(1) and time.monotonic() < end:
            pass
        return self.process.wait(PATIENCE_SECONDS)

    def text(self) -> str:
        """What the screen shows. pyte keeps an empty cell behind each wide character."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip()

    def above(self) -> str:
        """What was scrolled out at the top."""
        lines = ("".join(line[x].data for x in sorted(line)) for line in self.screen.history.top)
        return "\n".join(line.rstrip() for line in lines)

    def _read(self, seconds: float) -> bool:
        """Take in what came; False when the program has closed the terminal."""
        if not select.select([self._ours], [], [], seconds)[0]:
            return self.process.poll() is None
        try:
            piece = os.read(self._ours, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            return False
        self.raw += piece
        self._stream.feed(piece)
        return bool(piece)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        os.close(self._ours)
