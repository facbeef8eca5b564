"""What clients are told where something goes wrong that nobody foresaw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nutshell import errors as tree
from nutshell.errors import NutshellError
from nutshell.service.http.errors import trouble_of, trouble_of_fields
from nutshell.service.http.native_shapes import JobRequest
from tests.service.serving import Served

Serve = Callable[..., Served]


def test_an_unforeseen_exception_tells_nothing_of_the_machine(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    served = serve()

    def broken(*given: Any, **named: Any) -> Any:
        raise RuntimeError("/home/somebody/secret")

    served.parts.gallery.page = broken  # type: ignore[method-assign]
    served.parts.models.rows = broken  # type: ignore[method-assign]
    with served.client() as client:
        native = client.get("/api/gallery")
        openai = client.get("/v1/models")
    assert native.status_code == openai.status_code == 500
    assert native.json()["error"]["type"] == "internal_error"
    assert openai.json()["error"]["type"] == "server_error"
    assert "secret" not in native.text + openai.text
    assert "secret" in caplog.text


def every_error() -> list[type[NutshellError]]:
    kinds = [NutshellError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    return [kind for kind in kinds if kind.__module__ == tree.__name__]


@pytest.mark.parametrize("kind", every_error())
def test_every_error_has_a_status(kind: type[NutshellError]) -> None:
    error = kind.__new__(kind)
    NutshellError.__init__(error, tree.NO_HINT)
    if isinstance(error, tree.UsageError):
        error.field = "steps"
    trouble = trouble_of(error)
    assert 400 <= trouble.status < 600
    assert trouble.status != 500 or kind in (NutshellError, tree.EngineError)
    assert trouble.kind == trouble.kind.lower()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "prompt is missing"),
        ({"prompt": 1}, "prompt must be text"),
        ({"prompt": "x", "steps": 1.5}, "steps must be a whole number"),
        ({"prompt": "x", "guidance": "high"}, "guidance must be a number"),
        ({"prompt": "x", "guidance": float("inf")}, "guidance must be a finite number"),
        ({"prompt": "x", "previews": "perhaps"}, "previews must be true or false"),
        ({"prompt": "x", "image": "%"}, "image must be the base64 of a PNG, JPEG or WebP file"),
        ({"prompt": "x", "colour": "red"}, "colour is not known here"),
    ],
)
def test_what_is_wrong_with_a_field_is_said_in_plain_words(given: dict[str, Any], said: str) -> None:
    from pydantic import ValidationError

    with pytest.raises(ValidationError) as caught:
        JobRequest.model_validate(given)
    trouble = trouble_of_fields(caught.value.errors())
    assert str(trouble.message) == said
    assert trouble.status == 422
