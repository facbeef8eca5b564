"""`/api/models`, `/api/plan`, `/api/machine`: what can be drawn with, how it would go, and how the machine is."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

import psutil
from fastapi import APIRouter, Query

from nutshell import __version__
from nutshell.pipeline.request import LARGEST_SIDE, MOST_STEPS
from nutshell.service.http.native_answers import MachineAnswer, ModelsAnswer, PlanAnswer, described
from nutshell.service.models import shown_name
from nutshell.service.parts import Parts

# Of what psutil calls them: processors before boards and drives.
_PROCESSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "cpu-thermal", "soc_thermal", "acpitz")

Side = Annotated[int | None, Query(ge=8, le=LARGEST_SIDE, description="pixels, a multiple of 8")]


def router(parts: Parts) -> APIRouter:
    """The routes that tell of models and machine."""
    routes = APIRouter(prefix="/api", tags=["machine"])

    @routes.get("/models", summary="The models that are here, the default first", responses=described(ModelsAnswer))
    async def models() -> dict[str, Any]:
        rows = await asyncio.to_thread(parts.models.rows)
        default = shown_name(parts.models.default)
        return {
            "default": default,
            "models": [
                {**asdict(row), "default": row.name == default, "loaded": _is(row.name, parts.worker.loaded)}
                for row in rows
            ],
        }

    @routes.get(
        "/plan", summary="How a model would be run on this machine, and why so", responses=described(PlanAnswer)
    )
    async def plan(
        model: Annotated[str | None, Query(max_length=300, description="the default where none is given")] = None,
        width: Side = None,
        height: Side = None,
        steps: Annotated[int | None, Query(ge=1, le=MOST_STEPS)] = None,
    ) -> Any:
        name = await asyncio.to_thread(parts.models.resolve, model)
        return await asyncio.to_thread(parts.models.plan, name, width=width, height=height, steps=steps)

    @routes.get(
        "/machine",
        summary="Memory, temperature where it is known, the queue and the model that is loaded",
        responses=described(MachineAnswer),
    )
    async def machine() -> dict[str, Any]:
        facts = await asyncio.to_thread(_facts)
        loaded = parts.worker.loaded
        return {
            "version": __version__,
            **facts,
            "queue": {"waiting": parts.queue.waiting, "running": parts.queue.running, "limit": parts.options.queue},
            "worker": {
                "model": shown_name(loaded) if loaded is not None else None,
                "memory_bytes": parts.worker.memory_bytes,
                "keep_alive_seconds": parts.options.keep_alive_seconds,
            },
            "limits": asdict(parts.options.limits),
        }

    return routes


def _is(name: str, loaded: str | None) -> bool:
    return loaded is not None and shown_name(loaded) == name


def _facts() -> dict[str, Any]:
    memory = psutil.virtual_memory()
    return {
        "cores": psutil.cpu_count(),
        "memory": {"total_bytes": memory.total, "available_bytes": memory.available},
        "temperature_celsius": temperature(),
    }


def temperature() -> float | None:
    """Of the processor, the hottest of its sensors; None where the system tells none."""
    # psutil has it for Linux and FreeBSD only.
    read = getattr(psutil, "sensors_temperatures", None)
    if read is None:
        return None
    try:
        sensors = read()
    except OSError:
        return None
    for name in _PROCESSORS:
        degrees = [entry.current for entry in sensors.get(name, ()) if entry.current and entry.current > 0]
        if degrees:
            return float(round(max(degrees), 1))
    return None
