"""`/metrics`: what watchers keep count of, in Prometheus' text format.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import psutil
from fastapi import APIRouter, Response

from nutshell import __version__
from nutshell.service.gallery import Usage
from nutshell.service.job import ENDED, Job
from nutshell.service.models import shown_name
from nutshell.service.parts import Parts

_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# Seconds: a small model on a good machine to a large one on an old laptop.
_BUCKETS = (0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0)
Labels = Mapping[str, str]


def router(parts: Parts) -> APIRouter:
    """Counts from now on."""
    routes = APIRouter(tags=["health"])
    counts = Counts()
    parts.queue.on_end(counts.take)

    @routes.get("/metrics", summary="Figures for Prometheus", response_class=Response)
    async def metrics() -> Response:
        usage = await asyncio.to_thread(parts.gallery.usage)
        own = await asyncio.to_thread(lambda: psutil.Process().memory_info().rss)
        lines = [*counts.lines(), *_state(parts), *_kept(usage)]
        lines += _gauge("nutshell_web_memory_bytes", "Resident memory of the process that answers.", own)
        return Response("\n".join(lines) + "\n", media_type=_TYPE)

    return routes


@dataclass
class Histogram:
    """How often something took up to so many seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * len(_BUCKETS))
    total: int = 0
    sum: float = 0.0

    def take(self, seconds: float) -> None:
        """Count one. Clocks may jump back, time does not."""
        seconds = max(0.0, seconds)
        self.total += 1
        self.sum += seconds
        for place, most in enumerate(_BUCKETS):
            self.counts[place] += seconds <= most

    def lines(self, name: str, help: str) -> Iterator[str]:
        """Its buckets, each with all below it."""
        yield from _head(name, help, "histogram")
        for most, count in zip(_BUCKETS, self.counts, strict=True):
            yield _line(f"{name}_bucket", count, {"le": f"{most:g}"})
        yield _line(f"{name}_bucket", self.total, {"le": "+Inf"})
        yield _line(f"{name}_sum", round(self.sum, 6))
        yield _line(f"{name}_count", self.total)


@dataclass
class Counts:
    """What has happened since the start."""

    ended: Counter[str] = field(default_factory=Counter)
    pictures: int = 0
    drawing: Histogram = field(default_factory=Histogram)
    waiting: Histogram = field(default_factory=Histogram)

    def take(self, job: Job) -> None:
        """A job has ended."""
        self.ended[job.state] += 1
        self.pictures += len(job.pictures)
        if job.started is not None:
            self.waiting.take(job.started - job.created)
            if job.finished is not None and job.state == "done":
                self.drawing.take(job.finished - job.started)

    def lines(self) -> Iterator[str]:
        """All of it."""
        yield from _head("nutshell_jobs_total", "Jobs that have ended, by how.", "counter")
        for state in sorted(ENDED):
            yield _line("nutshell_jobs_total", self.ended[state], {"state": state})
        yield from _head("nutshell_pictures_total", "Pictures of the jobs that have ended.", "counter")
        yield _line("nutshell_pictures_total", self.pictures)
        yield from self.waiting.lines("nutshell_job_wait_seconds", "From a job's arrival until it was begun.")
        yield from self.drawing.lines("nutshell_job_seconds", "From a job's beginning until all was drawn.")


def _state(parts: Parts) -> Iterator[str]:
    queue, worker = parts.queue, parts.worker
    yield from _gauge("nutshell_queue_waiting", "Jobs that wait.", queue.waiting)
    yield from _gauge("nutshell_queue_limit", "Jobs that may wait.", parts.options.queue)
    yield from _gauge("nutshell_jobs_running", "Whether a job is drawn now.", int(queue.running is not None))
    yield from _gauge("nutshell_worker_memory_bytes", "Resident memory of the worker process.", worker.memory_bytes)
    yield from _head("nutshell_worker_restarts_total", "Worker processes that died and were replaced.", "counter")
    # Only a worker that is a process of its own can die.
    yield _line("nutshell_worker_restarts_total", getattr(worker, "restarts", 0))
    if worker.loaded is not None:
        loaded = {"model": shown_name(worker.loaded)}
        yield from _gauge("nutshell_model_loaded", "The model that is open.", 1, loaded)
    yield from _gauge("nutshell_build_info", "Which version this is.", 1, {"version": __version__})


def _kept(usage: Usage) -> Iterator[str]:
    yield from _gauge("nutshell_gallery_pictures", "Pictures in the gallery.", usage.pictures)
    yield from _gauge("nutshell_gallery_bytes", "Bytes that they take.", usage.bytes)
    yield from _gauge("nutshell_gallery_limit_bytes", "Bytes that they may take.", usage.limit_bytes)


def _gauge(name: str, help: str, value: float, labels: Labels | None = None) -> Iterator[str]:
    yield from _head(name, help, "gauge")
    yield _line(name, value, labels)


def _head(name: str, help: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {help}"
    yield f"# TYPE {name} {kind}"


def _line(name: str, value: float, labels: Labels | None = None) -> str:
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in (labels or {}).items())
    return f"{name}{{{inside}}} {value}" if inside else f"{name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
