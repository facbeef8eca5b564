"""`/v1/images`: the image API of OpenAI, for programs that were written for it."""

from __future__ import annotations

import asyncio
import io
import json

from fastapi import APIRouter, Request, Response
from PIL import Image

from nutshell.language import tr
from nutshell.pipeline.pixels import fitted_size
from nutshell.service.http.bodies import described_body, most_bytes, read_shape
from nutshell.service.http.errors import HttpTrouble, trouble_of_fault
from nutshell.service.http.gone import GONE_STATUS, ClientGone, unless_gone
from nutshell.service.http.openai_answer import pictures_json
from nutshell.service.http.openai_masks import with_mask
from nutshell.service.http.openai_shapes import EditRequest, GenerateRequest, Output, VariationRequest
from nutshell.service.http.openai_stream import Stream
from nutshell.service.http.sse import events_response
from nutshell.service.http.words import client_name
from nutshell.service.models import shown_name
from nutshell.service.parts import Parts
from nutshell.service.wish import Wish

_EXAMPLE = "data:image/png;base64,..."


def router(parts: Parts) -> APIRouter:
    """The three ways to ask for pictures."""
    routes = APIRouter(prefix="/v1/images", tags=["openai"])
    most = most_bytes(parts.options.limits)

    @routes.post(
        "/generations",
        openapi_extra=described_body(GenerateRequest, {"prompt": "a red apple", "size": "256x256"}),
        summary="Draw from words",
    )
    async def generate(request: Request) -> Response:
        asked = await read_shape(request, GenerateRequest, most)
        wish = await asyncio.to_thread(asked.wish, parts.models)
        if asked.stream:
            return await _streamed(request, parts, wish, "image_generation", asked.output, asked.partial_images or 0)
        return await _drawn(request, parts, wish, asked.output)

    @routes.post(
        "/edits",
        openapi_extra=described_body(EditRequest, {"prompt": "a green apple", "image": _EXAMPLE}),
        summary="Draw over a picture",
    )
    async def edit(request: Request) -> Response:
        asked = await read_shape(request, EditRequest, most, several="image")
        wish = await asyncio.to_thread(_masked, asked, parts)
        if asked.stream:
            return await _streamed(request, parts, wish, "image_edit", asked.output, asked.partial_images or 0)
        return await _drawn(request, parts, wish, asked.output)

    @routes.post(
        "/variations",
        openapi_extra=described_body(VariationRequest, {"image": _EXAMPLE}),
        summary="Draw a picture again, differently",
    )
    async def vary(request: Request) -> Response:
        asked = await read_shape(request, VariationRequest, most, several="image")
        return await _drawn(request, parts, await asyncio.to_thread(asked.wish, parts.models), asked.output)

    return routes


def _masked(asked: EditRequest, parts: Parts) -> Wish:
    return with_mask(asked.wish(parts.models), parts.options.limits, strength=asked.strength)


async def _drawn(request: Request, parts: Parts, wish: Wish, output: Output) -> Response:
    """The pictures, when all are done."""
    job = await parts.queue.submit(wish, client_name(request))
    try:
        job = await unless_gone(request, parts.queue.wait(job.id))
    except ClientGone:
        await parts.queue.cancel(job.id)
        return Response(status_code=GONE_STATUS)
    if job.fault is not None:
        raise HttpTrouble.of(trouble_of_fault(job.fault))
    if job.state == "cancelled":
        raise HttpTrouble(410, tr("the job was cancelled"), kind="cancelled")
    created, base_url = job.finished or job.created, str(request.base_url)
    # Megabytes of base64 take their time, which the event loop has not.
    content = await asyncio.to_thread(
        lambda: json.dumps(pictures_json(parts.gallery, job.pictures, output, base_url, created))
    )
    return Response(content, media_type="application/json")


async def _streamed(request: Request, parts: Parts, wish: Wish, name: str, output: Output, partials: int) -> Response:
    size = await asyncio.to_thread(_size, parts, wish)
    job = await parts.queue.submit(wish, client_name(request))
    return events_response(Stream(parts, job, name, output, partials, size).frames())


def _size(parts: Parts, wish: Wish) -> tuple[int, int] | None:
    """Of the picture that will come, where nothing is changed on the way; None where nothing tells."""
    name = shown_name(wish.model)
    row = next((row for row in parts.models.rows() if row.name == name), None)
    width, height = (row.width, row.height) if row is not None else (0, 0)
    if wish.image is not None and row is not None:
        try:
            with Image.open(io.BytesIO(wish.image), formats=("PNG", "JPEG", "WEBP")) as image:
                width, height = fitted_size(image, width * height)
        except (OSError, ValueError, SyntaxError):
            # The queue says what is wrong with it.
            return None
    width, height = wish.width or width, wish.height or height
    return (width, height) if width and height else None
