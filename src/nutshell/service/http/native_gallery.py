"""`/api/gallery`: the pictures that were drawn; and `/api/parameters`: how any picture was made."""

from __future__ import annotations

import asyncio
import io
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from nutshell.errors import UsageError
from nutshell.language import tr
from nutshell.pipeline.parameters import parameters_of
from nutshell.service.gallery import LARGEST_SIDE, SMALLEST_SIDE, Item
from nutshell.service.http.bodies import is_form, most_bytes, read_body, read_form
from nutshell.service.http.errors import HttpTrouble
from nutshell.service.http.native_answers import GalleryPage, ItemAnswer, ParametersAnswer, described
from nutshell.service.http.native_shapes import finite, item_json
from nutshell.service.http.openai_answer import in_form
from nutshell.service.http.words import translation
from nutshell.service.parts import Parts
from nutshell.service.wish import Wish

_TYPES = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp"}
_FORMS = {"jpg": "jpeg", "jpeg": "jpeg", "webp": "webp"}
# A picture never changes; who may see it may change.
_KEEP = "private, max-age=31536000, immutable"
_PICTURE: dict[int | str, dict[str, Any]] = {200: {"content": {"image/png": {}, "image/jpeg": {}, "image/webp": {}}}}
_FILE = {"type": "string", "format": "binary"}
_FILE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            **{kind: {"schema": _FILE} for kind in ("image/png", "image/jpeg", "image/webp")},
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["image"], "properties": {"image": _FILE}}
            },
        },
    }
}

Quality = Annotated[int | None, Query(ge=1, le=100, description="of jpg and webp")]


class Favourite(BaseModel):
    """`PUT /api/gallery/{id}/favourite`."""

    model_config = ConfigDict(extra="forbid")

    favourite: bool = Field(description="favourites are never removed to make room")


def router(parts: Parts) -> APIRouter:
    """The gallery's routes. Everything in them that touches a disk is done in a thread."""
    routes = APIRouter(prefix="/api/gallery", tags=["gallery"])
    gallery = parts.gallery

    @routes.get("", summary="Pictures, the newest first", responses=described(GalleryPage))
    async def page(
        request: Request,
        before: Annotated[int | None, Query(ge=0, le=2**63 - 1, description="only those with a smaller number")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        favourites: Annotated[bool, Query(description="only favourites")] = False,
    ) -> Response:
        items = await asyncio.to_thread(gallery.page, before=before, limit=limit, favourites=favourites)
        usage = await asyncio.to_thread(gallery.usage)
        content = {
            "items": [item_json(item) for item in items],
            "next": items[-1].number if len(items) == limit else None,
            "pictures": usage.pictures,
            "bytes": usage.bytes,
            "limit_bytes": usage.limit_bytes,
            "note": translation(request)(usage.note) if usage.note else None,
        }
        # Straight to JSON: the framework's own way takes several times as long, on the event loop.
        return JSONResponse(content)

    # Before the route of an item, which would take the ending for a part of the id.
    @routes.get("/{id}.{ending}", summary="A picture", response_class=Response, responses=_PICTURE)
    async def picture(
        id: str, ending: Literal["png", "jpg", "jpeg", "webp"], download: str | None = None, quality: Quality = None
    ) -> Response:
        item = await _known(parts, id)
        png = await asyncio.to_thread(gallery.read, id)
        if png is None:
            raise _nothing()
        form = _FORMS.get(ending)
        data = png if form is None else await asyncio.to_thread(in_form, png, item.parameters, form, quality)
        headers = {"Cache-Control": _KEEP}
        if download is not None:
            # Of our own making: an id has letters, digits, "-" and "_" only.
            headers["Content-Disposition"] = f'attachment; filename="nutshell-{item.id}.{ending}"'
        return Response(data, media_type=_TYPES[ending], headers=headers)

    routes.head("/{id}.{ending}", include_in_schema=False)(picture)

    @routes.get("/{id}/thumbnail", summary="A small WebP of it", response_class=Response, responses=_PICTURE)
    async def thumbnail(
        id: str, side: Annotated[int, Query(ge=SMALLEST_SIDE, le=LARGEST_SIDE, description="pixels")] = 256
    ) -> Response:
        data = await asyncio.to_thread(gallery.thumbnail, id, side)
        if data is None:
            raise _nothing()
        return Response(data, media_type="image/webp", headers={"Cache-Control": _KEEP})

    @routes.get("/{id}", summary="What is known of a picture", responses=described(ItemAnswer))
    async def get(id: str) -> dict[str, Any]:
        return item_json(await _known(parts, id))

    @routes.put("/{id}/favourite", summary="Keep a picture for ever, or not", responses=described(ItemAnswer))
    async def favour(id: str, given: Favourite) -> dict[str, Any]:
        item = await asyncio.to_thread(gallery.favour, id, given.favourite)
        if item is None:
            raise _nothing()
        return item_json(item)

    @routes.delete("/{id}", status_code=204, summary="Delete a picture")
    async def remove(id: str) -> Response:
        if not await asyncio.to_thread(gallery.remove, id):
            raise _nothing()
        return Response(status_code=204)

    return routes


def parameters_router(parts: Parts) -> APIRouter:
    """`POST /api/parameters`."""
    routes = APIRouter(prefix="/api", tags=["gallery"])

    @routes.post(
        "/parameters",
        openapi_extra=_FILE_BODY,
        summary="How a picture was made, out of the picture itself",
        responses=described(ParametersAnswer),
    )
    async def parameters(request: Request) -> dict[str, Any]:
        most = most_bytes(parts.options.limits)
        if is_form(request):
            values = (await read_form(request, most)).get("image", [])
            if not values or not isinstance(values[-1], bytes):
                raise UsageError(tr("image is missing"), tr("send a PNG, JPEG or WebP file"), field="image")
            data = values[-1]
        else:
            data = await read_body(request, most)
        return {"parameters": await asyncio.to_thread(_parameters, data, parts)}

    return routes


def _parameters(data: bytes, parts: Parts) -> dict[str, Any]:
    # Its kind and size are checked as those of a picture to draw over.
    Wish("", "", image=data).check(parts.options.limits)
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as image:
            return finite(parameters_of(image))
    except (OSError, ValueError, SyntaxError) as error:
        raise UsageError(
            tr("{field} is not a picture that can be read", field="image"),
            tr("send a PNG, JPEG or WebP file"),
            field="image",
        ) from error


async def _known(parts: Parts, id: str) -> Item:
    item = await asyncio.to_thread(parts.gallery.get, id)
    if item is None:
        raise _nothing()
    return item


def _nothing() -> HttpTrouble:
    return HttpTrouble(
        404, tr("there is no such picture (any more)"), tr("GET /api/gallery lists those that there are")
    )
