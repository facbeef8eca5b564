"""Errors in the shape of OpenAI's API: {"error": {"message", "type", "param", "code"}}.

https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel

from nutshell.service.http.errors import Trouble


class OpenAIErrorContent(BaseModel):
    """What went wrong. param: what of the request is wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIErrorAnswer(BaseModel):
    """The form of all errors of this face."""

    error: OpenAIErrorContent


# How `nutshell.pipeline.Request` calls a field, and how this face does.
_FIELDS = {"width": "size", "height": "size", "count": "n", "guidance": "guidance_scale"}
_CODES = {"model_not_found": "model_not_found", "queue_full": "rate_limit_exceeded"}


def tell_openai(request: Request, trouble: Trouble) -> Response:
    """In English, as the API's clients expect; the hint follows the message, for there is no other place."""
    # 422 and 410 are for others; OpenAI says 400 for all that is wrong with a request.
    status = 400 if trouble.status in (410, 422) else trouble.status
    headers = dict(trouble.headers)
    if status in (500, 501, 507):
        # What failed here would fail again, and the official client tries twice more by itself.
        headers["x-should-retry"] = "false"
    return JSONResponse({"error": error_json(trouble)}, status, headers)


def error_json(trouble: Trouble) -> dict[str, Any]:
    """The object under "error"."""
    message, hint = str(trouble.message), str(trouble.hint)
    kind = "invalid_request_error"
    if trouble.status == 429:
        kind = "rate_limit_error"
    elif trouble.status == 401:
        kind = "authentication_error"
    elif trouble.status >= 500:
        kind = "server_error"
    return {
        "message": f"{message}: {hint}" if hint else message,
        "type": kind,
        "param": _FIELDS.get(trouble.field, trouble.field) or None,
        "code": _CODES.get(trouble.kind, trouble.kind),
    }
