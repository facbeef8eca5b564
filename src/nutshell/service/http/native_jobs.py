"""`/api/jobs`: ask for pictures, follow how they come, cancel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse

from nutshell.language import tr
from nutshell.service.http.bodies import described_body, most_bytes, read_shape
from nutshell.service.http.errors import HttpTrouble
from nutshell.service.http.native_answers import JobAnswer, JobPage, described
from nutshell.service.http.native_shapes import JobRequest, event_json, job_json
from nutshell.service.http.sse import HEARTBEAT, events_response, frame, with_pauses
from nutshell.service.http.words import client_name, translation
from nutshell.service.job import Job, State
from nutshell.service.parts import Parts
from nutshell.service.wish import Wish

_BODY = described_body(JobRequest, {"prompt": "a red apple", "steps": 20, "seed": 7, "previews": True})
_JOB = described(JobAnswer)
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/event-stream": {}},
        "description": "job, then queued, loading, step, preview, picture as they happen; the last one is done, failed "
        "or cancelled",
    },
    204: {"description": "the last event was told before"},
}
# An EventSource that lost a stream comes again by itself, after the last event too, unless it is told 204.
_LAST_ID = "end"


def router(parts: Parts) -> APIRouter:
    """The routes of the jobs."""
    routes = APIRouter(prefix="/api/jobs", tags=["jobs"])

    @routes.post(
        "", status_code=202, openapi_extra=_BODY, responses=described(JobAnswer, 202), summary="Ask for pictures"
    )
    async def submit(request: Request) -> Response:
        asked = await read_shape(request, JobRequest, most_bytes(parts.options.limits))
        wish = Wish(**{**dict(asked), "model": await asyncio.to_thread(parts.models.resolve, asked.model)})
        job = await parts.queue.submit(wish, client_name(request))
        return JSONResponse(_told(parts, job, request), 202, {"Location": f"/api/jobs/{job.id}"})

    @routes.get("", summary="Jobs, the newest first", responses=described(JobPage))
    async def page(
        request: Request,
        before: Annotated[int | None, Query(ge=0, le=2**63 - 1, description="only those with a smaller number")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        state: Annotated[list[State] | None, Query(description="only those in one of these states")] = None,
    ) -> Response:
        jobs = await parts.queue.page(before=before, limit=limit, states=state)
        following = jobs[-1].number if len(jobs) == limit else None
        # Straight to JSON: the framework's own way takes several times as long, on the event loop.
        return JSONResponse({"jobs": [_told(parts, job, request) for job in jobs], "next": following})

    @routes.get("/{id}", summary="One job", responses=_JOB)
    async def get(id: str, request: Request) -> dict[str, Any]:
        return _told(parts, await _known(parts, id), request)

    @routes.delete("/{id}", summary="Cancel a job; what it has drawn stays", responses=_JOB)
    async def cancel(id: str, request: Request) -> dict[str, Any]:
        await _known(parts, id)
        job = await parts.queue.cancel(id)
        return _told(parts, job or await _known(parts, id), request)

    @routes.get(
        "/{id}/events",
        summary="What happens to a job, as server-sent events",
        response_class=Response,
        responses=_STREAM,
    )
    async def events(
        id: str, request: Request, last_event_id: Annotated[str | None, Header(max_length=100)] = None
    ) -> Response:
        job = await _known(parts, id)
        if job.ended and last_event_id == _LAST_ID:
            return Response(status_code=204)
        return events_response(_frames(parts, id, request))

    return routes


async def _frames(parts: Parts, id: str, request: Request) -> AsyncGenerator[bytes, None]:
    """First the job as it stands, then what happens, until it has ended."""
    say = translation(request)
    told = False
    events = with_pauses(parts.queue.follow(id))
    try:
        async for event in events:
            if not told and (job := await parts.queue.get(id)) is not None:
                # After the first event, so that nothing falls between the job as it stands and what follows.
                told = True
                yield frame(_told(parts, job, request), "job")
            if event is None:
                yield HEARTBEAT
                continue
            last = event.kind in ("done", "failed", "cancelled")
            yield frame(event_json(event, say), event.kind, _LAST_ID if last else "")
    finally:
        await events.aclose()


async def _known(parts: Parts, id: str) -> Job:
    job = await parts.queue.get(id)
    if job is None:
        raise HttpTrouble(404, tr("there is no job of that id"), tr("GET /api/jobs lists those that there are"))
    return job


def _told(parts: Parts, job: Job, request: Request) -> dict[str, Any]:
    position = parts.queue.position(job.id) if job.state == "queued" else 0
    return job_json(job, position, translation(request))
