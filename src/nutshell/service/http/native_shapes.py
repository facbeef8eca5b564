"""The JSON of the native face."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from nutshell.service.gallery import Item
from nutshell.service.http.bodies import Interval, PictureBytes
from nutshell.service.http.errors import snake_case
from nutshell.service.http.guard_paths import without_folders
from nutshell.service.job import Event, Fault, Job
from nutshell.service.models import shown_name

Say = Callable[[str], str]


class JobRequest(BaseModel):
    """What is to be drawn. Whatever is left out is as the model's card says."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, protected_namespaces=())

    prompt: str = Field(description="what to draw")
    model: str | None = Field(None, description="a name of GET /api/models; the service's own where none is given")
    negative_prompt: str = Field("", description="what should not be in the picture")
    width: int | None = Field(None, description="pixels, a multiple of 8")
    height: int | None = Field(None, description="pixels, a multiple of 8")
    steps: int | None = Field(None, description="denoising steps: more is slower and often better")
    guidance: float | None = Field(None, description="how closely to follow the prompt; 1 is off, and twice as fast")
    guidance_interval: Interval | None = Field(None, description="from 0 (noise) to 1 (finished): where guidance works")
    guidance_rescale: float = Field(0.0, description="0 to 1: undo the contrast that guidance adds")
    sampler: str | None = Field(None, description="ddim, euler, dpmpp_2m, ...")
    schedule: str | None = Field(None, description="model, karras, exponential or sgm_uniform")
    spacing: str | None = Field(None, description="leading, trailing or linspace")
    eta: float | None = Field(None, description="0 to 1: fresh noise in every step")
    seed: int | None = Field(None, description="the same seed draws the same picture; random where none is given")
    count: int = Field(1, description="pictures; their seeds count up")
    strength: float = Field(0.8, description="with an image: 0 to 1, how much of it to redraw")
    mask_blur: float = Field(4.0, description="pixels over which redrawn and kept parts blend")
    clip_skip: int = Field(0, description="last layers of the text encoder to leave out")
    fast: bool = Field(False, description="leave out what costs much time and changes the picture little")
    reuse: int | None = Field(None, description="run the whole denoiser at every so many steps only; 1: at every step")
    reuse_depth: int = Field(1, description="with reuse: outer layers that run at every step")
    merge: float | None = Field(None, description="0 to 0.75: tokens merged in attention, a share")
    fewer_keys: bool | None = Field(None, description="let attention look at a quarter of the picture's cells")
    int8_attention: bool = Field(False, description="attention in eight bits, by the model's calibration card")
    precision: str | None = Field(None, description="f32, bf16, f16, int8 (with a calibration card) or int8_weights")
    image: PictureBytes | None = Field(None, description="a picture to start from")
    mask: PictureBytes | None = Field(None, description="white where the image is to be redrawn, black where it stays")
    previews: bool = Field(False, description="send pictures of the way with the events")
    keep_alive: float | None = Field(None, description="seconds that the model stays loaded afterwards")


class ErrorContent(BaseModel):
    """What went wrong. type: stable, for programs. message, hint: in the language of Accept-Language."""

    type: str
    message: str
    hint: str = Field(description="what to do next; may be empty")
    field: str | None = Field(description="what of the request is wrong")


class ErrorAnswer(BaseModel):
    """The form of all errors of this face."""

    error: ErrorContent


def job_json(job: Job, position: int, say: Say) -> dict[str, Any]:
    """A job as it is told. position: how many are served before it."""
    return {
        "id": job.id,
        "number": job.number,
        "state": job.state,
        "position": position,
        "created": job.created,
        "started": job.started,
        "finished": job.finished,
        "attempts": job.attempts,
        "request": {**job.wish.to_json(), "model": shown_name(job.wish.model)},
        "pictures": [picture_links(id) for id in job.pictures],
        "error": fault_json(job.fault, say),
        "notes": [say(without_folders(note)) for note in job.notes],
        "links": {"self": f"/api/jobs/{job.id}", "events": f"/api/jobs/{job.id}/events"},
    }


def picture_links(id: str) -> dict[str, str]:
    """Where a picture is to be had."""
    return {"id": id, "url": f"/api/gallery/{id}.png", "item": f"/api/gallery/{id}"}


def fault_json(fault: Fault | None, say: Say) -> dict[str, Any] | None:
    """Why a job failed, in the form of the face's errors."""
    if fault is None:
        return None
    message, hint = without_folders(fault.message), without_folders(fault.hint)
    return {"type": snake_case(fault.kind), "message": say(message), "hint": say(hint), "field": None}


def item_json(item: Item) -> dict[str, Any]:
    """A picture of the gallery."""
    return {
        "id": item.id,
        "number": item.number,
        "job": item.job,
        "created": item.created,
        "bytes": item.bytes,
        "width": item.width,
        "height": item.height,
        "favourite": item.favourite,
        "parameters": finite(item.parameters),
        "links": {"self": f"/api/gallery/{item.id}", "picture": f"/api/gallery/{item.id}.png"},
    }


def finite(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What a file says, without what JSON cannot: numbers such as "CFG scale: nan", and halves of characters."""
    return {_speakable(key): _speakable(value) for key, value in parameters.items()}


def _speakable(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return [_speakable(item) for item in value] if isinstance(value, (list, tuple)) else value


def event_json(event: Event, say: Say) -> Mapping[str, Any]:
    """What happened to a job; only what its kind tells."""
    content: dict[str, Any] = {"job": event.job, "kind": event.kind}
    if event.kind == "queued":
        content["position"] = event.position
    if event.kind in ("step", "preview", "picture"):
        content |= {"step": event.step, "total": event.total, "picture": event.picture, "pictures": event.pictures}
    if event.kind not in ("done", "failed", "cancelled"):
        content["seconds_left"] = event.seconds_left
    if event.preview:
        content["preview"] = "data:image/jpeg;base64," + base64.b64encode(event.preview).decode()
    if event.picture_id:
        content |= picture_links(event.picture_id)
    if event.fault is not None:
        content["error"] = fault_json(event.fault, say)
    if event.note is not None:
        content["note"] = say(without_folders(event.note))
    return content
