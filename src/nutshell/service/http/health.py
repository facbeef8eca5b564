"""`/healthz`, `/readyz`: whether the service lives, and whether it takes wishes."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from nutshell.errors import NutshellError
from nutshell.service.http.guard_paths import without_folders
from nutshell.service.models import shown_name
from nutshell.service.parts import Parts


def router(parts: Parts) -> APIRouter:
    """The routes that watchers ask."""
    routes = APIRouter(tags=["health"])

    @routes.get("/healthz", summary="Whether the service lives")
    async def healthz() -> dict[str, Any]:
        return {"status": "ok"}

    # Some watchers ask for the head alone.
    routes.head("/healthz", include_in_schema=False)(healthz)

    @routes.get("/readyz", summary="Whether a wish would be taken now", responses={503: {"description": "not now"}})
    async def readyz() -> Response:
        try:
            model = await asyncio.to_thread(parts.models.resolve, None)
        except NutshellError as error:
            return JSONResponse({"status": "no model", "reason": without_folders(error.message)}, 503)
        if parts.queue.waiting >= parts.options.queue:
            return JSONResponse({"status": "full", "waiting": parts.queue.waiting}, 503)
        return JSONResponse({"status": "ready", "model": shown_name(model)})

    routes.head("/readyz", include_in_schema=False)(readyz)

    return routes
