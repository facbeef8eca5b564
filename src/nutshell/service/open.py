"""One service, put together and run until it is told to stop.

    sockets -> Parts (store, gallery, worker, queue, models) -> app -> guard -> uvicorn

The order of a stop: no new connections and wishes, the present step is finished, what was being drawn is queued
again, those who follow jobs are let go, the worker ends, the database is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import uvicorn

from nutshell import __version__
from nutshell.errors import NutshellError
from nutshell.service.gallery import Gallery
from nutshell.service.http.app import create_app
from nutshell.service.http.guard import guard, uvicorn_options
from nutshell.service.job import Job
from nutshell.service.models import Models
from nutshell.service.options import ServiceOptions
from nutshell.service.parts import Parts
from nutshell.service.queue import Queue
from nutshell.service.store import Store
from nutshell.service.worker import Worker, WorkerDied
from nutshell.service.worker_settings import DrawSettings
from nutshell.service.worker_supervisor import ProcessWorker
from nutshell.settings import Settings

GRACE_SECONDS = 20.0
_GOODBYE_SECONDS = 5  # for answers that are under way once nothing is drawn any more
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ending:
    """How a service ended. signal: what told it to, 0 where it ended by itself. waiting: jobs for the next start."""

    signal: int
    waiting: int


def serve(
    options: ServiceOptions,
    worker: Callable[[], Worker],
    models: Callable[[], Models],
    sockets: Sequence[socket.socket],
    on_ready: Callable[[], None],
) -> Ending:
    """Serve on these sockets until a signal ends it. worker, models: make them, on the event loop.

    on_ready: called once requests are answered. Raises OutputError where the folder cannot be written to.
    """
    try:
        return asyncio.run(_serve(options, worker, models, sockets, on_ready))
    except Exception:
        _LOG.exception("the service failed")
        raise


async def _serve(
    options: ServiceOptions,
    worker: Callable[[], Worker],
    models: Callable[[], Models],
    sockets: Sequence[socket.socket],
    on_ready: Callable[[], None],
) -> Ending:
    async with opened(options, worker(), models()) as parts:
        server = _Server(guard(create_app(parts), options), on_ready)
        with _stopping_signals() as stop:
            serving = asyncio.create_task(server.serve(list(sockets)))
            ordered = asyncio.create_task(stop.first())
            settling = asyncio.create_task(_settle_in(server, parts))
            await asyncio.wait({serving, ordered}, return_when=asyncio.FIRST_COMPLETED)
            ordered.cancel()
            _LOG.info("stopping", extra={"fields": {"signal": stop.number}})
            server.should_exit = True
            hurrying = asyncio.create_task(_hurry(stop, server, parts.queue))
            await parts.queue.stop(GRACE_SECONDS)
            waiting = parts.queue.waiting
            await serving
            hurrying.cancel()
            settling.cancel()
        _LOG.info("stopped", extra={"fields": {"waiting": waiting}})
        return Ending(stop.number, waiting)


async def _hurry(stop: _Stop, server: _Server, queue: Queue) -> None:
    """What a second signal does: nobody is waited for any more."""
    await stop.second()
    server.force_exit = True
    await queue.stop(0.0)


@contextlib.asynccontextmanager
async def opened(options: ServiceOptions, worker: Worker, models: Models) -> AsyncIterator[Parts]:
    """The parts of a service, its queue at work; the worker and the database are closed in the end."""
    store = await asyncio.to_thread(Store.open, None if options.amnesia else options.folder / "jobs.sqlite")
    try:
        for note in store.notes:
            _LOG.warning(note)
        folder = None if options.amnesia else options.gallery or options.folder / "gallery"
        gallery = await asyncio.to_thread(Gallery.open, store, folder, options.gallery_bytes)
        queue = await Queue.open(store, gallery, worker, options, models)
        queue.on_end(log_job)
        try:
            yield Parts(options, queue, gallery, worker, models)
        finally:
            await queue.stop(0.0)
    finally:
        await asyncio.to_thread(store.close)


def draw_settings(settings: Settings, options: ServiceOptions) -> DrawSettings:
    """How pictures are drawn. What a run took is not noted by a service that forgets."""
    drawn = DrawSettings.of(settings)
    return replace(drawn, learn=drawn.learn and not options.amnesia)


def make_worker(settings: DrawSettings, options: ServiceOptions) -> Worker:
    """A worker that is a process; it starts with the first job."""
    return ProcessWorker(settings, keep_alive_seconds=options.keep_alive_seconds)


def make_models(settings: Settings) -> Models:
    """The models of these settings."""
    return Models(settings)


class _Server(uvicorn.Server):
    """uvicorn, told what to do by us: its signals, its log and its sockets are ours."""

    def __init__(self, app: Any, on_ready: Callable[[], None]) -> None:
        given: dict[str, Any] = {
            "lifespan": "off",
            "log_config": None,
            "timeout_graceful_shutdown": _GOODBYE_SECONDS,
            **uvicorn_options(),
        }
        super().__init__(uvicorn.Config(app, **given))
        self._on_ready = on_ready
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ours are in place."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's; says when it is done."""
        await super().startup(sockets=sockets)
        if self.started:
            self._on_ready()
            self.ready.set()


class _Stop:
    """The signals that end the service: the first asks, a second one insists."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._came, self._again = asyncio.Event(), asyncio.Event()
        self.number = 0

    async def first(self) -> None:
        """Until a signal comes."""
        await self._came.wait()

    async def second(self) -> None:
        """Until another comes."""
        await self._again.wait()

    def come(self, number: int, frame: object) -> None:
        """A signal handler. It may interrupt anything, so that nothing is done here."""
        self._loop.call_soon_threadsafe(self._heed, number)

    def _heed(self, number: int) -> None:
        if self._came.is_set():
            self._again.set()
        self.number = self.number or number
        self._came.set()


@contextlib.contextmanager
def _stopping_signals() -> Iterator[_Stop]:
    """SIGINT, SIGTERM and SIGHUP end the service, but for those that were ignored on purpose (nohup)."""
    stop = _Stop(asyncio.get_running_loop())
    kept: dict[int, Any] = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            kept[number] = signal.signal(number, stop.come)
    try:
        yield stop
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def log_job(job: Job) -> None:
    """A line of the log for a job that has ended; what was asked for is in it only where the log may hold that."""
    fields: dict[str, Any] = {"job": job.id, "model": job.wish.model, "pictures": len(job.pictures)}
    if job.started is not None and job.finished is not None:
        fields["seconds"] = round(job.finished - job.started, 3)
    if job.fault is not None:
        fields |= {"fault": job.fault.kind, "reason": job.fault.message}
    fields |= {"prompt": job.wish.prompt, "negative_prompt": job.wish.negative_prompt}
    _LOG.info("job %s", job.state, extra={"fields": fields})


async def _settle_in(server: _Server, parts: Parts) -> None:
    """What the first request need not wait for; only once requests are answered, for it takes a second.

    The process that draws is started, which ends as an idle model does, and machine and models are looked at.
    """
    await server.ready.wait()
    options = parts.options
    fields = {"version": __version__, "host": options.host, "port": options.port, "lan": options.lan}
    _LOG.info("ready", extra={"fields": fields})
    if isinstance(parts.worker, ProcessWorker):
        with contextlib.suppress(WorkerDied):  # the first wish tells of it
            await parts.worker.start()
    try:
        await asyncio.to_thread(parts.models.rows)
    except NutshellError as error:
        _LOG.warning(error.message)
