"""What went wrong, told in the form of the face that was asked.

    an exception -> Trouble (status, kind, sentences, field) -> the answer of a face

No text of an unforeseen exception is shown: it may hold paths of this machine. The log has it.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from nutshell.errors import NO_HINT, NutshellError, UsageError
from nutshell.language import Text, tr
from nutshell.service.http.guard_paths import without_folders
from nutshell.service.http.words import translation
from nutshell.service.job import Fault
from nutshell.service.queue import QueueFull

_LOG = logging.getLogger(__name__)

# By the name of an error's class, for a job that failed elsewhere is known by that name alone.
_STATUS = {
    "UsageError": 422,
    "ModelNotFound": 404,
    "ModelError": 422,
    "UnsupportedModel": 422,
    "PickleRefused": 422,
    "CorruptFile": 422,
    "WeightsMismatch": 422,
    "NotEnoughMemory": 422,
    "MemoryPressure": 503,
    "QueueFull": 429,
    "Stopping": 503,
    "Cancelled": 410,
    "OutputError": 507,
    "StoreError": 507,
    "FetchError": 503,
    "Offline": 503,
    "EngineError": 500,
    "EngineUnavailable": 501,
    "WorkerDied": 500,
}
_OF_HTTP = {
    400: ("bad_request", tr("the request cannot be read")),
    401: ("unauthorized", tr("this service wants its token")),
    403: ("forbidden", tr("this is not allowed")),
    404: ("not_found", tr("there is nothing of that name here")),
    405: ("method_not_allowed", tr("this address does not take that method")),
    406: ("not_acceptable", tr("there is no such form of it")),
    413: ("too_large", tr("what was sent is too large")),
    415: ("unsupported_media_type", tr("this kind of content is not understood")),
}
# How the names of pydantic's errors begin: int_type, int_parsing, int_from_float, ...
_MUST_BE = {
    "int_": tr("must be a whole number"),
    "float_": tr("must be a number"),
    "finite_number": tr("must be a finite number"),
    "string_type": tr("must be text"),
    "bool_": tr("must be true or false"),
}


@dataclass(frozen=True)
class Trouble:
    """What a face has to tell. kind: in snake case, stable, for programs. field: what of the request is wrong."""

    status: int
    kind: str
    message: Text
    hint: Text = NO_HINT
    field: str = ""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


Tell = Callable[[Request, Trouble], Response]


class HttpTrouble(Exception):
    """Raised by a face for what is wrong with a request as HTTP: nothing there, too large, another media type."""

    def __init__(
        self, status: int, message: Text | None = None, hint: Text = NO_HINT, *, kind: str = "", field: str = ""
    ) -> None:
        usual = _OF_HTTP.get(status, ("error", tr("the request failed")))
        self.trouble = Trouble(status, kind or usual[0], message or usual[1], hint, field)
        super().__init__(self.trouble.message)

    @classmethod
    def of(cls, trouble: Trouble) -> HttpTrouble:
        """To raise what is known already."""
        error = cls(trouble.status)
        error.trouble = trouble
        return error


def trouble_of(error: Exception) -> Trouble:
    """An exception as it is told to those who asked, without the folders of this machine."""
    trouble = _trouble_of(error)
    return dataclasses.replace(trouble, message=without_folders(trouble.message), hint=without_folders(trouble.hint))


def _trouble_of(error: Exception) -> Trouble:
    if isinstance(error, HttpTrouble):
        return error.trouble
    if isinstance(error, NutshellError):
        return _of_ours(error)
    if isinstance(error, RequestValidationError):
        return trouble_of_fields(error.errors())
    if isinstance(error, HTTPException):
        kind, message = _OF_HTTP.get(error.status_code, ("error", tr("the request failed")))
        return Trouble(error.status_code, kind, message, headers=dict(error.headers or {}))
    return Trouble(500, "internal_error", tr("something went wrong here"), tr("the service's log says what"))


def trouble_of_fault(fault: Fault) -> Trouble:
    """Why a job failed, for faces that answer when it has ended."""
    message, hint = without_folders(fault.message), without_folders(fault.hint)
    return Trouble(_STATUS.get(fault.kind, 500), snake_case(fault.kind), message, hint)


def trouble_of_fields(errors: Sequence[Mapping[str, Any]]) -> Trouble:
    """The first of pydantic's complaints (https://docs.pydantic.dev/latest/errors/validation_errors/)."""
    first = errors[0]
    place = [str(part) for part in first["loc"] if part not in ("body", "query", "path", "header", "form")]
    name = ".".join(place)
    if first["type"] in ("json_invalid", "json_type"):
        return Trouble(400, "bad_request", tr("the body is not valid JSON"), NO_HINT)
    if first["type"] == "missing":
        message = tr("{field} is missing", field=name or "body")
    elif first["type"] == "extra_forbidden":
        message = tr("{field} is not known here", field=name)
    else:
        message = tr("{field} {problem}", field=name or "body", problem=_problem(first))
    return Trouble(422, "invalid_request", message, tr("/docs lists every field"), name)


def _problem(error: Mapping[str, Any]) -> Text:
    """Our own words for what happens most; pydantic's for the rest."""
    kind, limits = str(error["type"]), error.get("ctx", {})
    if kind == "literal_error":
        return tr("must be one of {names}", names=limits["expected"])
    if kind in ("greater_than_equal", "less_than_equal"):
        at_least = tr("must be at least {least}", least=limits.get("ge", 0))
        return at_least if kind == "greater_than_equal" else tr("must be at most {most}", most=limits.get("le", 0))
    for begin, words in _MUST_BE.items():
        if kind.startswith(begin):
            return words
    return Text(str(error["msg"]))


def snake_case(name: str) -> str:
    """`NotEnoughMemory` as `not_enough_memory`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


def tell_native(request: Request, trouble: Trouble) -> Response:
    """{"error": {"type", "message", "hint", "field"}}, in the reader's language."""
    say = translation(request)
    content = {
        "type": trouble.kind,
        "message": say(trouble.message),
        "hint": say(trouble.hint),
        "field": trouble.field or None,
    }
    return JSONResponse({"error": content}, trouble.status, dict(trouble.headers))


def install(app: FastAPI, faces: Mapping[str, Tell]) -> None:
    """Tell errors as the face does whose address begins with one of the keys, else as the native one does."""

    async def tell(request: Request, error: Exception) -> Response:
        trouble = trouble_of(error)
        if trouble.kind == "internal_error":
            _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
        for prefix, face in faces.items():
            if request.url.path.startswith(prefix):
                return face(request, trouble)
        return tell_native(request, trouble)

    for kind in (HttpTrouble, NutshellError, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, tell)


def _of_ours(error: NutshellError) -> Trouble:
    name = next((kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _STATUS), "")
    headers = {}
    if isinstance(error, QueueFull):
        headers["Retry-After"] = str(max(1, round(error.retry_after_seconds)))
    wrong = error.field if isinstance(error, UsageError) else "model" if name == "ModelNotFound" else ""
    return Trouble(_STATUS.get(name, 500), snake_case(name or "Error"), error.message, error.hint, wrong, headers)
