"""`/sdapi/v1`: the face for tools that were written for AUTOMATIC1111's web UI.

a1111_request   what they send, and the wish that it stands for
a1111_source    the picture and the mask of img2img
a1111_desk      the jobs that came this way: followed, interrupted, skipped
a1111_answer    what they get
a1111_progress, a1111_lists, a1111_settings, a1111_errors
"""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response
from PIL import Image
from pydantic import BaseModel, ValidationError

from nutshell.errors import UsageError
from nutshell.language import tr
from nutshell.pipeline.parameters import KEYWORD, Parameters, parameters_of, to_text
from nutshell.service.http import a1111_lists
from nutshell.service.http.a1111_answer import answer
from nutshell.service.http.a1111_base64 import decoded
from nutshell.service.http.a1111_desk import Desk
from nutshell.service.http.a1111_progress import progress
from nutshell.service.http.a1111_request import Drawing, ImageToImage, TextToImage
from nutshell.service.http.a1111_settings import Settings, find_checkpoint
from nutshell.service.http.a1111_source import fitted
from nutshell.service.http.bodies import most_bytes, read_body
from nutshell.service.http.errors import HttpTrouble, trouble_of_fields
from nutshell.service.http.gone import GONE_STATUS, ClientGone
from nutshell.service.http.native_shapes import finite
from nutshell.service.http.words import client_name
from nutshell.service.parts import Parts
from nutshell.service.wish import Wish

Shape = TypeVar("Shape", bound=BaseModel)


class PngInfo(BaseModel):
    """`POST /sdapi/v1/png-info`."""

    image: str


def router(parts: Parts) -> APIRouter:
    """The routes, and what they keep between requests: the options and the jobs that came this way."""
    routes = APIRouter(tags=["automatic1111"])
    api = APIRouter(prefix="/sdapi/v1")
    face = _Face(parts)
    drawings: list[tuple[str, Any, type[BaseModel]]] = [
        ("/txt2img", face.text_to_image, TextToImage),
        ("/img2img", face.image_to_image, ImageToImage),
        ("/png-info", face.png_info, PngInfo),
    ]
    for path, route, shape in drawings:
        api.add_api_route(path, route, methods=["POST"], openapi_extra=_body(shape), response_model=None)
    api.add_api_route("/options", face.set_options, methods=["POST"], openapi_extra=_OPTIONS, response_model=None)
    api.add_api_route("/options", face.options, methods=["GET"], response_model=None)
    api.add_api_route("/progress", face.progress, methods=["GET"], response_model=None)
    for path, route in (
        ("/interrupt", face.interrupt),
        ("/skip", face.skip),
        ("/unload-checkpoint", face.unload),
        ("/reload-checkpoint", face.nothing),
        ("/refresh-checkpoints", face.nothing),
        ("/refresh-vae", face.nothing),
        ("/refresh-loras", face.nothing),
    ):
        api.add_api_route(path, route, methods=["POST"], response_model=None)
    api.include_router(a1111_lists.router(parts))
    routes.include_router(api)
    routes.add_api_route("/internal/ping", face.nothing, methods=["GET"], response_model=None)
    return routes


class _Face:
    """The routes that draw or change something."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._desk = Desk(parts)
        self._settings = Settings()

    async def text_to_image(self, request: Request) -> Response:
        """Draw from words; answers when all is drawn."""
        asked = await self._read(request, TextToImage)
        return await self._drawn(request, asked, await asyncio.to_thread(self._wish, asked))

    async def image_to_image(self, request: Request) -> Response:
        """Draw over a picture; answers when all is drawn."""
        asked = await self._read(request, ImageToImage)
        return await self._drawn(request, asked, await asyncio.to_thread(self._wish_over, asked))

    async def progress(self, request: Request, skip_current_image: bool = False) -> dict[str, Any]:
        """How far the present job is."""
        return await progress(self._desk, client_name(request), image=not skip_current_image)

    async def interrupt(self, request: Request) -> dict[str, Any]:
        """Stop what this client has drawn; its request is answered with the pictures that are done."""
        await self._desk.interrupt(client_name(request))
        return {}

    async def skip(self, request: Request) -> dict[str, Any]:
        """Go on with the next picture of the request."""
        await self._desk.skip(client_name(request))
        return {}

    async def options(self) -> dict[str, Any]:
        """The options that clients ask for."""
        return await asyncio.to_thread(self._settings.to_json, self._parts.models)

    async def set_options(self, request: Request) -> dict[str, Any]:
        """Choose another model, for this face and as long as the service runs."""
        given = await self._read(request, _Options)
        await asyncio.to_thread(self._settings.take, given.model_extra or {}, self._parts.models)
        return {}

    async def png_info(self, request: Request) -> dict[str, Any]:
        """What is written in a picture of how it was made."""
        asked = await self._read(request, PngInfo)
        return await asyncio.to_thread(self._png_info, asked.image)

    async def unload(self) -> dict[str, Any]:
        """Close the model; the next picture opens it again."""
        await self._parts.worker.unload()
        return {}

    async def nothing(self) -> dict[str, Any]:
        """Nothing needs to be done."""
        return {}

    async def _read(self, request: Request, shape: type[Shape]) -> Shape:
        body = await read_body(request, most_bytes(self._parts.options.limits))
        try:
            return await asyncio.to_thread(shape.model_validate_json, body)
        except ValidationError as error:
            raise HttpTrouble.of(trouble_of_fields(error.errors(include_input=False))) from error

    def _wish(self, asked: Drawing) -> Wish:
        models = self._parts.models
        fields = asked.wish_fields(self._settings.clip_stop)
        if asked.checkpoint is None:
            model = self._settings.model(models)
        else:
            model = find_checkpoint(asked.checkpoint, models)
            if asked.override_settings_restore_afterwards is False:
                self._settings.checkpoint = model
        wish = Wish(model=model, previews=self._settings.previews, **fields)
        wish.check(self._parts.options.limits)
        return wish

    def _wish_over(self, asked: ImageToImage) -> Wish:
        wish = self._wish(asked)
        image, mask = asked.pictures()
        strength = 0.75 if asked.denoising_strength is None else asked.denoising_strength
        wish = replace(wish, image=image, mask=mask, strength=strength, mask_blur=asked.blur)
        wish.check(self._parts.options.limits)
        return fitted(asked, wish)

    async def _drawn(self, request: Request, asked: Drawing, wish: Wish) -> Response:
        try:
            seed, pictures = await self._desk.draw(wish, client_name(request), request)
        except ClientGone:
            return Response(status_code=GONE_STATUS)
        return await asyncio.to_thread(answer, self._parts, asked, wish, seed, pictures)

    def _png_info(self, text: str) -> dict[str, Any]:
        data = decoded("image", text)
        # The header and size are checked as those of a picture to draw over.
        Wish("", "", image=data).check(self._parts.options.limits)
        try:
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as image:
                found = parameters_of(image)
                items = {str(key): value for key, value in image.info.items() if isinstance(value, str)}
        except (OSError, ValueError, SyntaxError) as error:
            raise UsageError(tr("image is not a picture that can be read"), field="image") from error
        info = items.get(KEYWORD) or _text_of(found)
        return {"info": info, "items": items, "parameters": finite(found) if info else {}}


def _text_of(parameters: Parameters) -> str:
    """As a PNG would hold them, of a JPEG or WebP; nothing where another tool wrote what has no such form."""
    if not parameters or "raw" in parameters:
        return ""
    try:
        return to_text(parameters)
    except (ValueError, TypeError):
        return ""


class _Options(BaseModel):
    """Any options: which are known is for `Settings`."""

    model_config = {"extra": "allow"}


def _body(shape: type[BaseModel]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": shape.model_json_schema()}}}}


_OPTIONS = _body(_Options)
