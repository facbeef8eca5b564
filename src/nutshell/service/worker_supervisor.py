"""Keeps a process that draws: starts it, hears it, replaces it when it dies, ends it when nobody needs it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from nutshell.errors import Cancelled, os_reason
from nutshell.language import Text, tr
from nutshell.service.sentences import sentence_from_json
from nutshell.service.wish import Wish
from nutshell.service.worker import Loading, Told, WorkerDied
from nutshell.service.worker_child import Child, worker_command
from nutshell.service.worker_frames import Frame
from nutshell.service.worker_idle import Idle, memory_is_short
from nutshell.service.worker_messages import cancel_frame, draw_frame, read_fault, read_told
from nutshell.service.worker_settings import DrawSettings

# A step of a large model on a slow processor, or reading one from a slow disk, takes about so long.
_ANSWER_SECONDS = 60.0
_LOOK_SECONDS = 5.0


class ProcessWorker:
    """A `Worker` whose engine runs in a process of its own. All coroutines run on one event loop.

    The process is started by the first wish or by `start`. Unloading ends it: that gives back all of its memory, which
    closing a model does not quite, and a new one is there within a second. restarts: how often one that died was
    replaced.
    """

    def __init__(
        self,
        settings: DrawSettings | None = None,
        *,
        keep_alive_seconds: float = 300.0,
        answer_seconds: float = _ANSWER_SECONDS,
        look_seconds: float = _LOOK_SECONDS,
        memory_short: Callable[[], bool] = memory_is_short,
        command: Sequence[str] | None = None,
    ) -> None:
        """keep_alive_seconds: after its last picture a model is closed; below 0 never, unless memory gets short.

        answer_seconds: a process that does not heed a cancel for so long is killed. look_seconds: between looks
        whether the model is to be closed. memory_short: whether memory must be left to others. command: another
        process, for tests.
        """
        self._command = list(command or worker_command(settings or DrawSettings()))
        self._answer_seconds = answer_seconds
        self._look_seconds = look_seconds
        self._memory_short = memory_short
        self._idle = Idle(keep_alive_seconds)
        self._busy = asyncio.Lock()
        self._child: Child | None = None
        self._watch: asyncio.Task[None] | None = None
        self._loaded: str | None = None
        self._number = 0
        self._drawing = self._cancelled = self._closed = False
        self._deadline: asyncio.TimerHandle | None = None
        self.restarts = 0

    async def start(self) -> None:
        """Have a process ready, so that the first picture need not wait for it. It is ended as an idle model is."""
        async with self._busy:
            self._idle.begin()
            if not self._idle.over:
                await self._take()

    async def draw(self, wish: Wish, tell: Callable[[Told], None], *, leaner: bool = False) -> None:
        """As `Worker.draw`."""
        # At once: a cancel that comes while the process is still being started or ended must not be lost.
        self._number += 1
        self._drawing, self._cancelled = True, False
        try:
            async with self._busy:
                self._idle.end()
                try:
                    await self._draw_heard(wish, tell, leaner)
                finally:
                    self._idle.begin(wish.keep_alive)
                if self._idle.over:
                    await self._end()
        finally:
            self._drawing = False
            if self._deadline is not None:
                self._deadline.cancel()

    def cancel(self) -> None:
        """Stop what is being drawn, within one step; a process that does not heed it is killed."""
        if self._drawing and not self._cancelled:
            self._cancelled = True
            self._deadline = asyncio.get_running_loop().call_later(self._answer_seconds, self._give_up)
            if self._child is not None:
                self._child.say_soon(cancel_frame(self._number))

    @property
    def loaded(self) -> str | None:
        """The model that is open."""
        return self._loaded if self.pid is not None else None

    @property
    def memory_bytes(self) -> int:
        """Resident memory of the process, 0 where there is none."""
        return self._child.memory_bytes if self._child is not None else 0

    @property
    def pid(self) -> int | None:
        """The process, None where there is none."""
        return self._child.pid if self._child is not None and self._child.alive else None

    async def unload(self) -> None:
        """End the process once nothing is drawn; the next wish starts another."""
        async with self._busy:
            await self._end()

    async def close(self, grace_seconds: float = 10.0) -> None:
        """Stop after the present step and end the process; kill it if that takes longer. Nothing is drawn any more."""
        self._closed = True
        self.cancel()
        ending = asyncio.ensure_future(self.unload())
        await asyncio.wait((ending,), timeout=grace_seconds)
        if self._child is not None and not ending.done():
            self._child.kill(_stopped())
        await ending

    async def _draw_heard(self, wish: Wish, tell: Callable[[Told], None], leaner: bool) -> None:
        """Raises what `draw` raises."""
        try:
            if not await self._draw(wish, tell, leaner):
                # It had died before it heard of the wish, which is not the wish's fault.
                await self._draw(wish, tell, leaner)
        except WorkerDied as death:
            if self._cancelled:
                raise Cancelled(tr("stopped")) from death
            raise

    async def _draw(self, wish: Wish, tell: Callable[[Told], None], leaner: bool) -> bool:
        """Whether the wish was drawn, or False where a process that was there before had died unheard."""
        fresh = self.pid is None
        if fresh:
            tell(Loading(wish.model))
        child = await self._take()
        await child.say(draw_frame(self._number, wish, leaner))
        if self._cancelled:
            child.say_soon(cancel_frame(self._number))
        begun = settled = False
        try:
            while (frame := await child.hear()) is not None:
                self._loaded = frame.header["loaded"]
                said = frame.header["tell"]
                begun = begun or said == "begun"
                if said in ("end", "fault"):
                    settled = True
                    if said == "fault":
                        raise read_fault(frame)
                    return True
                if said == "log":
                    _log(frame)
                elif said not in ("ready", "begun") and not (fresh and said == "loading"):
                    tell(read_told(frame))
            settled = True
        finally:
            if not settled:
                # Whoever listened has gone without a cancel: what it still draws is for nobody.
                child.kill(_stopped())
        self.restarts += 1
        if begun or fresh:
            raise WorkerDied(child.death)
        return False

    async def _take(self) -> Child:
        """The process, a new one where there is none that lives."""
        if self._closed:
            raise WorkerDied(_stopped())
        if self.pid is None:
            await self._end()
            try:
                self._child = await Child.start(self._command)
            except OSError as error:
                raise WorkerDied(tr("the worker could not be started: {reason}", reason=os_reason(error))) from error
            self._watch = asyncio.create_task(self._look(self._child))
        assert self._child is not None
        return self._child

    async def _end(self) -> None:
        """End the process, if there is one."""
        child, self._child, self._loaded = self._child, None, None
        if self._watch is not None and self._watch is not asyncio.current_task():
            self._watch.cancel()
        self._watch = None
        if child is not None:
            await child.stop()

    async def _look(self, child: Child) -> None:
        """Ends the process once it has been idle for long enough, or when memory gets short while it is."""
        while child.alive:
            await asyncio.sleep(min(self._look_seconds, self._idle.seconds_left))
            number = self._number
            if self._busy.locked() or not (self._idle.over or await asyncio.to_thread(self._memory_short)):
                continue
            async with self._busy:
                if number == self._number and child is self._child:
                    await self._end()
                    return

    def _give_up(self) -> None:
        if self._child is not None:
            self._child.kill(tr("the worker did not stop when it was told to, and was killed"))


def _stopped() -> Text:
    return tr("the worker was stopped with the service")


def _log(frame: Frame) -> None:
    header = frame.header
    logging.getLogger(header["logger"]).log(header["level"], sentence_from_json(header["message"]))
