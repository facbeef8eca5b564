"""What AUTOMATIC1111's clients list before they draw. What this service does not have is an empty list."""

from __future__ import annotations

import asyncio
from typing import Any

import psutil
from fastapi import APIRouter

from nutshell.sampling.registry import SAMPLERS
from nutshell.service.http.a1111_request import CURVES
from nutshell.service.models import ModelRow
from nutshell.service.parts import Parts

# Karras et al. 2022, table 1: the curve's exponent.
_RHO = {"karras": 7.0}


def router(parts: Parts) -> APIRouter:
    """The routes that only tell."""
    routes = APIRouter()

    @routes.get("/sd-models", summary="Models; their names are their titles")
    async def models() -> list[dict[str, Any]]:
        return [_model(row) for row in await asyncio.to_thread(parts.models.rows)]

    @routes.get("/samplers", summary="Samplers")
    async def samplers() -> list[dict[str, Any]]:
        return [{"name": row.title, "aliases": [row.name, *row.aliases], "options": {}} for row in SAMPLERS]

    @routes.get("/schedulers", summary="Sigma curves")
    async def schedulers() -> list[dict[str, Any]]:
        return [_scheduler(name) for name in CURVES]

    @routes.get("/upscalers", summary="None: pictures are drawn at their size")
    async def upscalers() -> list[dict[str, Any]]:
        return [{"name": "None", "model_name": None, "model_path": None, "model_url": None, "scale": 1}]

    @routes.get("/embeddings", summary="There are none")
    async def embeddings() -> dict[str, Any]:
        return {"loaded": {}, "skipped": {}}

    @routes.get("/scripts", summary="There are none")
    async def scripts() -> dict[str, list[str]]:
        return {"txt2img": [], "img2img": []}

    @routes.get("/cmd-flags", summary="How the service was started, as far as clients ask")
    async def flags() -> dict[str, Any]:
        return {"api": True, "listen": parts.options.lan, "port": parts.options.port, "nowebui": False}

    @routes.get("/memory", summary="Memory of this machine, in bytes")
    async def memory() -> dict[str, Any]:
        return await asyncio.to_thread(_memory)

    for path in (
        "sd-vae", "sd-modules", "loras", "hypernetworks", "face-restorers", "realesrgan-models", "prompt-styles",
        "latent-upscale-modes", "script-info", "extensions",
    ):  # fmt: skip
        routes.add_api_route(f"/{path}", _nothing, methods=["GET"], summary="There are none")
    return routes


async def _nothing() -> list[dict[str, Any]]:
    return []


def _model(row: ModelRow) -> dict[str, Any]:
    """The title is the name alone, so that what clients send back needs no taking apart. No folder is told."""
    return {
        "title": row.name,
        "model_name": row.name,
        "hash": None,
        "sha256": None,
        "filename": row.name,
        "config": None,
    }


def _scheduler(name: str) -> dict[str, Any]:
    label = "SGM Uniform" if name == "sgm uniform" else name.capitalize()
    rho = _RHO.get(name, -1)
    return {
        "name": name.replace(" ", "_"),
        "label": label,
        "aliases": None,
        "default_rho": rho,
        "need_inner_model": False,
    }


def _memory() -> dict[str, Any]:
    memory = psutil.virtual_memory()
    ram = {"free": memory.available, "used": memory.total - memory.available, "total": memory.total}
    return {"ram": ram, "cuda": {"error": "unavailable"}}
