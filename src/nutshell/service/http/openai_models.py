"""`/v1/models`: what can be asked for, as OpenAI's API lists it."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter

from nutshell.errors import ModelNotFound
from nutshell.language import tr
from nutshell.service.models import ModelRow
from nutshell.service.parts import Parts


def router(parts: Parts) -> APIRouter:
    """The list and its entries."""
    routes = APIRouter(prefix="/v1/models", tags=["openai"])

    @routes.get("", summary="The models that are here")
    async def models() -> dict[str, Any]:
        rows = await asyncio.to_thread(parts.models.rows)
        return {"object": "list", "data": [_entry(row) for row in rows]}

    # Names of models may hold slashes.
    @routes.get("/{name:path}", summary="One model")
    async def model(name: str) -> dict[str, Any]:
        for row in await asyncio.to_thread(parts.models.rows):
            if row.name == name:
                return _entry(row)
        raise ModelNotFound(
            tr("there is no model named {name!r}", name=name), tr("GET /v1/models lists those that are here")
        )

    return routes


def _entry(row: ModelRow) -> dict[str, Any]:
    # The API wants to know when a model was made, which nothing here says.
    return {"id": row.name, "object": "model", "created": 0, "owned_by": "nutshell"}
