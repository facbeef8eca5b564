"""The source that is the machine itself."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from nutshell.errors import os_reason
from nutshell.language import Text, tr
from nutshell.machine.questions import QUESTIONS
from nutshell.machine.source import Output, Unreadable, brief

T = TypeVar("T")

# pci.ids, the largest file that is read, has 1.5 MB.
_LARGEST_FILE = 8 << 20

# Where the makers' tools lie that an ordinary user's search path may lack.
_TOOL_FOLDERS = ("/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/lib/wsl/lib")

# A dead network drive blocks whoever asks it; the others answer within a millisecond.
_ASK_SECONDS = 2.0


class ThisComputer:
    """Reads the real files and runs the real commands.

    patience: every timeout is stretched by it, for a caller who would rather wait than not know.
    """

    def __init__(self, patience: float = 1.0) -> None:
        self._patience = patience

    @property
    def platform(self) -> str:
        return "linux" if sys.platform.startswith("linux") else sys.platform

    def read(self, path: str) -> str:
        try:
            with open(path, "rb") as stream:
                return stream.read(_LARGEST_FILE).decode("utf-8", "replace")
        except (OSError, ValueError) as error:
            raise Unreadable(_reason(error, path)) from error

    def list(self, path: str) -> Sequence[str]:
        try:
            return sorted(os.listdir(path))
        except (OSError, ValueError) as error:
            raise Unreadable(_reason(error, path)) from error

    def run(self, *command: str, timeout: float) -> Output:
        """Not subprocess.run: after the timeout that waits for the end of the process, which never comes if it
        hangs in its driver."""
        timeout *= self._patience
        path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_TOOL_FOLDERS))
        environment = {**os.environ, "LC_ALL": "C", "PATH": path}
        options: dict[str, Any] = {"creationflags": 0x08000000} if sys.platform == "win32" else {}  # no window
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                start_new_session=True,
                **options,
            )
        except (OSError, ValueError) as error:
            raise Unreadable(_reason(error, command[0])) from error
        try:
            output, complaint = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            _end(process)
            raise Unreadable(
                tr("{what} did not answer within {seconds:g} s", what=command[0], seconds=timeout)
            ) from error
        text = output.decode("utf-8", "replace") + complaint.decode("utf-8", "replace")
        return Output(text, process.returncode)

    def ask(self, question: str, about: str = "") -> Any:
        about = str(float(about) * self._patience) if question == "nvml" else about
        return within(_ASK_SECONDS * self._patience, question, lambda: QUESTIONS[question](about))


def within(seconds: float, what: str, work: Callable[[], T]) -> T:
    """The result of `work`, done in a thread of its own that is left behind if it hangs. Raises Unreadable."""
    results: list[T] = []
    mistakes: list[BaseException] = []

    def do() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - told below, where somebody listens
            mistakes.append(error)

    thread = threading.Thread(target=do, daemon=True)
    thread.start()
    thread.join(seconds)
    if results:
        return results[0]
    if not mistakes:
        raise Unreadable(tr("{what} did not answer within {seconds:g} s", what=what, seconds=seconds))
    if isinstance(mistakes[0], Unreadable):
        raise mistakes[0]
    raise Unreadable(_reason(mistakes[0], what)) from mistakes[0]


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and, where there are process groups, whatever it started."""
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)


def _reason(error: BaseException, what: str) -> Text:
    if isinstance(error, FileNotFoundError):
        return tr("there is no {path}", path=error.filename or what)
    if isinstance(error, OSError) and error.strerror:
        return tr("{what}: {reason}", what=what, reason=os_reason(error))
    kind = type(error).__name__
    return tr("{what}: {kind}: {error}", what=what, kind=kind, error=brief(str(error)))
