"""The web application: every face of one service."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI

from nutshell import __version__
from nutshell.service.http import (
    a1111,
    docs,
    errors,
    health,
    metrics,
    native_gallery,
    native_jobs,
    native_machine,
    openai_images,
    openai_models,
    page,
)
from nutshell.service.http.faces import FACES
from nutshell.service.http.native_shapes import ErrorAnswer
from nutshell.service.http.openai_errors import OpenAIErrorAnswer
from nutshell.service.parts import Parts

_ABOUT = """\
One queue of jobs with several faces.

**/api** is the native one: ask for pictures, follow how they come, keep them. **/v1** is for clients of OpenAI's image
API, **/sdapi/v1** for those of AUTOMATIC1111's web UI. Errors have one form in each face, and say what to do next.
"""


def create_app(parts: Parts) -> FastAPI:
    """The faces over `parts`, unguarded: `guard` is put around it where it is served."""
    # Its own pages of documentation load from another host.
    app = FastAPI(title="Nutshell", version=__version__, description=_ABOUT, openapi_url=None)
    for face in _native(parts):
        app.include_router(face, responses=_errors(ErrorAnswer))
    for face in (openai_images.router(parts), openai_models.router(parts)):
        app.include_router(face, responses=_errors(OpenAIErrorAnswer))
    app.include_router(a1111.router(parts))
    app.include_router(docs.router(lambda: _described(app, parts.options.token)))
    app.include_router(page.router())
    errors.install(app, FACES)
    return app


def _described(app: FastAPI, token: str) -> dict[str, Any]:
    """The OpenAPI of all faces. With a token it says so, for tools that make clients from it."""
    description: dict[str, Any] = dict(app.openapi())
    if token:
        scheme = {"token": {"type": "http", "scheme": "bearer"}}
        description["components"] = {**description.get("components", {}), "securitySchemes": scheme}
        description["security"] = [{"token": []}]
    return description


def _native(parts: Parts) -> list[APIRouter]:
    rooms: tuple[Any, ...] = (native_jobs, native_gallery, native_machine, health, metrics)
    return [*(room.router(parts) for room in rooms), native_gallery.parameters_router(parts)]


def _errors(shape: type[Any]) -> dict[int | str, dict[str, Any]]:
    return {"default": {"model": shape, "description": "What went wrong"}}
