"""Errors in the shape of AUTOMATIC1111's web UI: {"error", "detail", "body", "errors"}, and `field` and `hint`."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import JSONResponse, Response

from nutshell.service.http.errors import Trouble

# How `nutshell.pipeline.Request` calls a field, and how this face does.
_FIELDS = {
    "guidance": "cfg_scale",
    "strength": "denoising_strength",
    "sampler": "sampler_name",
    "schedule": "scheduler",
    "count": "batch_size",
    "image": "init_images",
    "clip_skip": "override_settings.CLIP_stop_at_last_layers",
    "model": "sd_model_checkpoint",
}


def tell_a1111(request: Request, trouble: Trouble) -> Response:
    """detail: the sentence with its hint, for clients that show that key alone. In English, as the web UI's."""
    message, hint = str(trouble.message), str(trouble.hint)
    content = {
        "error": trouble.kind,
        "detail": f"{message}: {hint}" if hint else message,
        "body": "",
        "errors": message,
        "field": _FIELDS.get(trouble.field, trouble.field),
        "hint": hint,
    }
    return JSONResponse(content, trouble.status, dict(trouble.headers))
