"""Finished pictures, as AUTOMATIC1111's web UI answers them."""

from __future__ import annotations

import json
import time
from typing import Any

from fastapi import Response

from nutshell import __version__
from nutshell.pipeline.parameters import to_text
from nutshell.service.gallery import Item
from nutshell.service.http.a1111_base64 import encoded
from nutshell.service.http.a1111_request import Drawing
from nutshell.service.models import shown_name
from nutshell.service.parts import Parts
from nutshell.service.wish import Wish

# Of the request, what is not told back: it is large, or nothing of it was looked at.
_NOT_ECHOED = {"alwayson_scripts", "override_settings", "init_images", "mask"}


def answer(parts: Parts, asked: Drawing, wish: Wish, seed: int, pictures: list[str]) -> Response:
    """images: base64 of PNG files, their parameters in them; info: JSON in a string.

    Reads files and writes megabytes of JSON: to be called in a thread.
    """
    items, images = [], []
    for id in pictures:
        item, png = parts.gallery.get(id), parts.gallery.read(id)
        if item is not None and png is not None:  # else it was the oldest, and the gallery is full
            items.append(item)
            images.append(encoded(png))
    content = {
        "images": images if asked.send_images is not False else [],
        "parameters": _echo(asked),
        "info": json.dumps(_info(wish, seed, items)),
    }
    return Response(json.dumps(content), media_type="application/json")


def _echo(asked: Drawing) -> dict[str, Any]:
    told = asked.model_dump(exclude=_NOT_ECHOED)
    settings = asked.override_settings or {}
    known = {name: settings[name] for name in ("sd_model_checkpoint", "CLIP_stop_at_last_layers") if name in settings}
    if "init_images" in type(asked).model_fields:
        wants = getattr(asked, "include_init_images", False)
        told |= {name: getattr(asked, name) if wants else None for name in ("init_images", "mask")}
    return {**told, "override_settings": known, "alwayson_scripts": {}}


def _info(wish: Wish, seed: int, items: list[Item]) -> dict[str, Any]:
    """The keys of the web UI's `Processed.js()`. What is not known here, or is never so, is null or nothing."""
    seeds = [int(item.parameters.get("seed") or 0) for item in items]
    first = items[0] if items else None
    known = first.parameters if first is not None else {}
    count = len(items)
    return {
        "prompt": wish.prompt,
        "all_prompts": [wish.prompt] * count,
        "negative_prompt": wish.negative_prompt,
        "all_negative_prompts": [wish.negative_prompt] * count,
        "seed": seeds[0] if seeds else seed,
        "all_seeds": seeds,
        "subseed": -1,
        "all_subseeds": [-1] * count,
        "subseed_strength": 0,
        "width": first.width if first is not None else wish.width,
        "height": first.height if first is not None else wish.height,
        "sampler_name": known.get("sampler", wish.sampler),
        "cfg_scale": known.get("guidance", wish.guidance),
        "steps": known.get("steps", wish.steps),
        "batch_size": count,
        "restore_faces": False,
        "face_restoration_model": None,
        "sd_model_name": shown_name(wish.model),
        "sd_model_hash": None,
        "sd_vae_name": None,
        "sd_vae_hash": None,
        "seed_resize_from_w": -1,
        "seed_resize_from_h": -1,
        "denoising_strength": wish.strength if wish.image is not None else None,
        "extra_generation_params": {},
        "index_of_first_image": 0,
        "infotexts": [to_text(item.parameters) for item in items],
        "styles": [],
        "job_timestamp": time.strftime("%Y%m%d%H%M%S"),
        "clip_skip": wish.clip_skip + 1,
        "is_using_inpainting_conditioning": False,
        "version": f"nutshell {__version__}",
    }
