"""How far the present job is, as AUTOMATIC1111's `GET /progress` tells it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator
from typing import Any, cast

from nutshell.service.http.a1111_base64 import encoded
from nutshell.service.http.a1111_desk import Desk, Followed
from nutshell.service.job import Event
from nutshell.service.parts import Parts

_PRESENT_SECONDS = 0.02


async def progress(desk: Desk, client: str, *, image: bool) -> dict[str, Any]:
    """progress: 0 to 1. eta_relative: seconds. image: whether the latest preview is wanted."""
    followed = desk.present(client) or await _of_another_face(desk.parts)
    waiting = desk.parts.queue.waiting
    if followed is None:
        return _told(0.0, 0.0, _state("", waiting), None)
    count, step = followed.job.wish.count, followed.step
    state = _state(followed.job.id, count + waiting, followed)
    # Not quite nothing, for clients take 0 for "idle".
    share, left = 0.01, 0.0
    if step is not None and step.total:
        share = max(share, (max(step.picture, 1) - 1 + step.step / step.total) / max(step.pictures, 1))
        left = step.seconds_left or 0.0
    preview = encoded(followed.preview) if image and followed.preview else None
    return _told(min(share, 1.0), left, state, preview)


async def _of_another_face(parts: Parts) -> Followed | None:
    """What is drawn now for the page or an OpenAI client, as it stands."""
    running = parts.queue.running
    job = await parts.queue.get(running) if running else None
    if job is None or job.ended:
        return None
    followed = Followed(job, job.client)
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(_catch_up(parts, followed), _PRESENT_SECONDS)
    return followed


async def _catch_up(parts: Parts, followed: Followed) -> None:
    """The events that tell the present state come at once, those after them when they happen."""
    events = parts.queue.follow(followed.job.id)
    try:
        async for event in events:
            followed.take(event)
    finally:
        await cast(AsyncGenerator[Event, None], events).aclose()


def _told(share: float, left: float, state: dict[str, Any], image: str | None) -> dict[str, Any]:
    return {"progress": share, "eta_relative": left, "state": state, "current_image": image, "textinfo": None}


def _state(job: str, count: int, followed: Followed | None = None) -> dict[str, Any]:
    step = followed.step if followed is not None else None
    started = followed.job.created if followed is not None else 0.0
    return {
        "skipped": followed is not None and followed.skip,
        "interrupted": followed is not None and followed.interrupted,
        "stopping_generation": False,
        "job": job,
        "job_count": count,
        "job_timestamp": time.strftime("%Y%m%d%H%M%S", time.localtime(started)) if started else "0",
        "job_no": max(step.picture, 1) - 1 if step is not None else 0,
        "sampling_step": step.step if step is not None else 0,
        "sampling_steps": step.total if step is not None else 0,
    }
