"""What clients send, read within limits and never onto a disk."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncGenerator, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from nutshell.language import tr
from nutshell.service.http.errors import HttpTrouble, trouble_of_fields
from nutshell.service.wish import Limits
from nutshell.setting_kinds import INTERVAL

Shape = TypeVar("Shape", bound=BaseModel)

_MOST_FIELDS = 100
_MOST_FILES = 20
_BESIDES_BYTES = 1_000_000  # prompts and all that is not a picture


def most_bytes(limits: Limits) -> int:
    """The largest body: a picture and a mask in base64, and the rest."""
    return 2 * limits.input_bytes * 4 // 3 + _BESIDES_BYTES


def is_form(request: Request) -> bool:
    """Whether a form with files was sent (RFC 7578)."""
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


async def read_body(request: Request, most: int) -> bytes:
    """The whole body. Raises HttpTrouble (413) as soon as it is known to be larger than `most` bytes."""
    return b"".join([chunk async for chunk in _limited(request, most)])


async def read_form(request: Request, most: int) -> dict[str, list[str | bytes]]:
    """The fields of a form, files as their bytes. Raises HttpTrouble (413, 400)."""
    parser = MultiPartParser(
        request.headers, _limited(request, most), max_files=_MOST_FILES, max_fields=_MOST_FIELDS,
        max_part_size=_BESIDES_BYTES,
    )  # fmt: skip
    # Above this size it would write to a temporary file, which the service promises not to do unasked.
    parser.spool_max_size = most
    try:
        form: FormData = await parser.parse()
    except MultiPartException as error:
        raise HttpTrouble(400, tr("the form cannot be read: {reason}", reason=error.message)) from error
    except KeyError as error:
        raise HttpTrouble(400, tr("the form cannot be read: {reason}", reason=tr("it names no boundary"))) from error
    fields: dict[str, list[str | bytes]] = {}
    try:
        for name, value in form.multi_items():
            fields.setdefault(name, []).append(await value.read() if isinstance(value, UploadFile) else value)
    finally:
        await form.close()
    return fields


async def read_shape(request: Request, shape: type[Shape], most: int, several: str = "") -> Shape:
    """The body as `shape`, whether it was sent as JSON or as a form.

    several: a field that a form may hold several times, each also called `name[]`. Raises HttpTrouble.
    """
    try:
        if is_form(request):
            form = await read_form(request, most)
            fields: dict[str, Any] = {}
            for name, values in form.items():
                name = name.removesuffix("[]")
                fields[name] = [*fields.get(name, []), *values] if name == several else values[-1]
            return await asyncio.to_thread(shape.model_validate, fields)
        body = await read_body(request, most)
        return await asyncio.to_thread(shape.model_validate_json, body)
    except ValidationError as error:
        raise HttpTrouble.of(trouble_of_fields(error.errors(include_url=False, include_input=False))) from error


def described_body(shape: type[BaseModel], example: Mapping[str, Any]) -> dict[str, Any]:
    """For `openapi_extra=` of a route that takes the shape as JSON and as a form, where pictures are files."""
    schema = shape.model_json_schema()
    properties = {
        name: {"type": "string", "format": "binary"} if "contentEncoding" in str(each) else each
        for name, each in schema["properties"].items()
    }
    content = {
        "application/json": {"schema": schema, "example": dict(example)},
        "multipart/form-data": {"schema": {**schema, "properties": properties}},
    }
    return {"requestBody": {"required": True, "content": content}}


async def _limited(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    announced = request.headers.get("content-length", "")
    size = 0
    # No more digits are read than a length can have, for Python refuses thousands.
    if announced.isdecimal() and (len(announced) > 18 or int(announced) > most):
        raise _too_large(most)
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise _too_large(most)
        yield chunk


def _too_large(most: int) -> HttpTrouble:
    return HttpTrouble(413, tr("the body is larger than the {most:.0f} MB that this service takes", most=most / 1e6))


def _decoded(value: Any) -> Any:
    """Base64, with or without `data:image/png;base64,` before it; bytes of a form as they are."""
    if not isinstance(value, str):
        return value
    head, comma, rest = value.partition(",")
    try:
        return base64.b64decode(rest if comma and head.startswith("data:") else value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PydanticCustomError("base64", tr("must be the base64 of a PNG, JPEG or WebP file")) from error


def _interval(value: Any) -> Any:
    """A list of two numbers, or of a form their text, as the command line takes it."""
    try:
        first, last = INTERVAL.read(value) if isinstance(value, str) else value
    except (TypeError, ValueError) as error:
        raise PydanticCustomError("interval", tr("must be two numbers from 0 to 1 such as 0.2,0.8")) from error
    return first, last


Interval = Annotated[tuple[float, float], BeforeValidator(_interval)]
PictureBytes = Annotated[
    bytes,
    BeforeValidator(_decoded),
    WithJsonSchema({"type": "string", "contentEncoding": "base64", "description": "a PNG, JPEG or WebP file"}),
]
