"""`/v1/images`: the image API of OpenAI, for programs that were written for it."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError

from nutshell.language import tr
from nutshell.service.http.bodies import described_body, is_form, most_bytes, read_body, read_form
from nutshell.service.http.errors import HttpTrouble, trouble_of_fault, trouble_of_fields
from nutshell.service.http.gone import GONE_STATUS, ClientGone, unless_gone
from nutshell.service.http.openai_answer import pictures_json
from nutshell.service.http.openai_masks import with_mask
from nutshell.service.http.openai_shapes import EditRequest, GenerateRequest, Output, VariationRequest
from nutshell.service.http.openai_stream import Stream
from nutshell.service.http.sse import events_response
from nutshell.service.http.words import client_name
from nutshell.service.parts import Parts
from nutshell.service.wish import Wish

_EXAMPLE = "data:image/png;base64,..."

Shape = TypeVar("Shape", bound=BaseModel)


def router(parts: Parts) -> APIRouter:
    """The three ways to ask for pictures."""
    routes = APIRouter(prefix="/v1/images", tags=["openai"])

    @routes.post(
        "/generations",
        openapi_extra=described_body(GenerateRequest, {"prompt": "a red apple", "size": "256x256"}),
        summary="Draw from words",
    )
    async def generate(request: Request) -> Response:
        asked = await _asked(request, parts, GenerateRequest)
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
        asked = await _asked(request, parts, EditRequest)
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
        asked = await _asked(request, parts, VariationRequest)
        return await _drawn(request, parts, await asyncio.to_thread(asked.wish, parts.models), asked.output)

    return routes


async def _asked(request: Request, parts: Parts, shape: type[Shape]) -> Shape:
    """The body, JSON or a form. Raises HttpTrouble."""
    most = most_bytes(parts.options.limits)
    try:
        if is_form(request):
            return await asyncio.to_thread(shape.model_validate, _plain(await read_form(request, most)))
        body = await read_body(request, most)
        return await asyncio.to_thread(shape.model_validate_json, body)
    except ValidationError as error:
        raise HttpTrouble.of(trouble_of_fields(error.errors())) from error


def _plain(form: dict[str, list[str | bytes]]) -> dict[str, Any]:
    """The fields by name. Clients call several pictures `image[]`."""
    fields: dict[str, Any] = {}
    for name, values in form.items():
        name = name.removesuffix("[]")
        fields[name] = [*fields.get(name, []), *values] if name == "image" else values[-1]
    return fields


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
    content = await asyncio.to_thread(
        pictures_json, parts.gallery, job.pictures, output, str(request.base_url), job.finished or job.created
    )
    return JSONResponse(content)


async def _streamed(request: Request, parts: Parts, wish: Wish, name: str, output: Output, partials: int) -> Response:
    job = await parts.queue.submit(wish, client_name(request))
    size = await asyncio.to_thread(_size, parts, job.wish)
    return events_response(Stream(parts, job, name, output, partials, size).frames())


def _size(parts: Parts, wish: Wish) -> tuple[int, int] | None:
    """Of the picture that will come; None where it depends on one that was sent."""
    if wish.width is not None and wish.height is not None:
        return wish.width, wish.height
    if wish.image is not None:
        return None
    return next(((row.width, row.height) for row in parts.models.rows() if row.name == wish.model), None)
