"""How far the present job is, as AUTOMATIC1111's `GET /progress` tells it."""

from __future__ import annotations

import time
from typing import Any

from nutshell.service.http.a1111_base64 import encoded
from nutshell.service.http.a1111_desk import Desk, Followed
from nutshell.service.parts import Parts


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
    """What is drawn now for the page or an OpenAI client: its latest event alone."""
    running = parts.queue.running
    job = await parts.queue.get(running) if running else None
    if job is None or job.ended:
        return None
    followed = Followed(job, job.client)
    events = parts.queue.follow(job.id)
    try:
        followed.take(await anext(events))
    except StopAsyncIteration:
        return None
    finally:
        close = getattr(events, "aclose", None)
        if close is not None:
            await close()
    return followed


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
