"""One worker process as its parent sees it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

import nutshell
from nutshell.language import Text, tr
from nutshell.service.worker_frames import Frame, FrameError, receive_frame
from nutshell.service.worker_messages import OUT_OF_MEMORY
from nutshell.service.worker_settings import DrawSettings

_LOG = logging.getLogger(__name__)
_PIPE_BYTES = 1 << 20
_END_SECONDS = 5.0
_SOURCE = Path(nutshell.__file__).parents[1]
# As `python -m nutshell.service.worker_process`, which would import from the folder that the service was started in.
_START = """\
import sys
sys.path = [sys.argv.pop(1), *filter(None, sys.path)]
from nutshell.service.worker_process import main
main()
"""


def worker_command(settings: DrawSettings) -> list[str]:
    """What starts the process that draws."""
    return [sys.executable, "-c", _START, str(_SOURCE), json.dumps(settings.to_json())]


class Child:
    """A started process. `stop` must be called in the end."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._killed_for: Text | None = None
        self._repeating = asyncio.create_task(self._repeat())

    @staticmethod
    async def start(command: Sequence[str]) -> Child:
        """Start a process; it says "ready" once it is. Raises OSError."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # Not ours: it may be a terminal's, or a pipe that we let go of when we went to the background.
            stderr=asyncio.subprocess.PIPE,
            limit=_PIPE_BYTES,
            # Away from the terminal, whose signals go to every process of its session.
            start_new_session=True,
        )
        return Child(process)

    @property
    def alive(self) -> bool:
        """Whether it runs, as far as has been heard."""
        return self._process.returncode is None

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def memory_bytes(self) -> int:
        """Resident memory; 0 once it is gone."""
        if not self.alive:
            return 0
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return 0

    async def say(self, frame: Frame) -> None:
        """Hand over a frame. Of a process that is gone `hear` tells."""
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError, RuntimeError):
            self._process.stdin.write(frame.encoded())
            await self._process.stdin.drain()

    def say_soon(self, frame: Frame) -> None:
        """As `say`, of a small frame, without waiting."""
        assert self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(frame.encoded())

    async def hear(self) -> Frame | None:
        """The next frame; None once the process has ended. One that talks nonsense is ended."""
        assert self._process.stdout is not None
        try:
            frame = await receive_frame(self._process.stdout)
        except FrameError:
            if self._process.returncode is None and not await self._ends_by_itself():
                self.kill(tr("the worker sent what is no answer"))
            frame = None
        if frame is None:
            await self._process.wait()
        return frame

    def kill(self, reason: Text) -> None:
        """End it at once. reason: what `death` then says."""
        if self.alive:
            self._killed_for = reason
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def stop(self) -> None:
        """Have it end, by closing its input; kill it if it does not."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        if not await self._ends_by_itself():
            self.kill(tr("the worker did not end when it was told to"))
        await self._process.wait()
        await asyncio.wait({self._repeating}, timeout=_END_SECONDS)
        self._repeating.cancel()

    @property
    def death(self) -> Text:
        """Why it is gone: a sentence."""
        return self._killed_for or death_words(self._process.returncode or 0)

    async def _repeat(self) -> None:
        """What engines and other libraries print goes to the log."""
        assert self._process.stderr is not None
        while said := await self._process.stderr.read(_PIPE_BYTES):
            for line in filter(None, said.decode(errors="replace").splitlines()):
                _LOG.info("%s", line)

    async def _ends_by_itself(self) -> bool:
        try:
            await asyncio.wait_for(self._drained(), _END_SECONDS)
        except asyncio.TimeoutError:
            return False
        return True

    async def _drained(self) -> None:
        """A process that still writes ends only when somebody reads."""
        assert self._process.stdout is not None
        while await self._process.stdout.read(_PIPE_BYTES):
            pass
        await self._process.wait()


def death_words(code: int) -> Text:
    """What an exit status means, as a sentence. Below 0: minus the number of a signal (POSIX)."""
    if code == OUT_OF_MEMORY:
        return tr("the worker ran out of memory")
    if code >= 0:
        return tr("the worker ended unexpectedly (exit code {code})", code=code)
    number = -code
    if number == signal.SIGKILL:
        return tr("the worker was killed, most likely because memory ran out (signal {number})", number=number)
    if number == signal.SIGILL:
        return tr("the worker met an instruction that this processor does not have (signal {number})", number=number)
    if number == signal.SIGBUS:
        return tr(
            "the worker could not read a file any more: a stick pulled out, a disk that fails (signal {number})",
            number=number,
        )
    return tr("the worker crashed (signal {number})", number=number)
