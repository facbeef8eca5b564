"""Sentences and errors as JSON, so that they pass a pipe and a database and can still be translated."""

from __future__ import annotations

from typing import Any

from nutshell import errors
from nutshell.errors import NutshellError, UsageError
from nutshell.language import Text, tr
from nutshell.language.text import Joined


def sentence_to_json(text: str) -> Any:
    """A Text with its template and values; any other string as it is."""
    if isinstance(text, Joined):
        return {"separator": sentence_to_json(text.separator), "parts": [sentence_to_json(part) for part in text.parts]}
    if isinstance(text, Text):
        return {"template": text.template, "values": {name: _value(value) for name, value in text.values.items()}}
    return text


def sentence_from_json(value: Any) -> Text:
    """What `sentence_to_json` made. What is not of that form becomes a sentence without values."""
    text = _read(value)
    return text if isinstance(text, Text) else tr(str(text))


def error_to_json(error: NutshellError) -> dict[str, Any]:
    """The class, the sentences, and the field of a UsageError."""
    return {
        "kind": type(error).__name__,
        "message": sentence_to_json(error.message),
        "hint": sentence_to_json(error.hint),
        "field": getattr(error, "field", ""),
    }


def error_from_json(value: dict[str, Any]) -> NutshellError:
    """An error of the same class where it is made of sentences alone, else of the nearest base that is."""
    message, hint = sentence_from_json(value["message"]), sentence_from_json(value["hint"])
    kind = getattr(errors, str(value["kind"]), NutshellError)
    if not (isinstance(kind, type) and issubclass(kind, NutshellError)):
        kind = NutshellError
    error: NutshellError = kind.__new__(kind)
    Exception.__init__(error, message)
    error.message, error.hint = message, hint
    if isinstance(error, UsageError):
        error.field = str(value.get("field", ""))
    return error


def _value(value: Any) -> Any:
    if isinstance(value, BaseException) and value.args and isinstance(value.args[0], Text):
        value = value.args[0]
    if isinstance(value, Text):
        return sentence_to_json(value)
    # Numbers keep their type, for the templates format them.
    return value if isinstance(value, (int, float, str)) else str(value)


def _read(value: Any) -> Any:
    if isinstance(value, dict) and "template" in value:
        return Text(str(value["template"]), {name: _read(item) for name, item in value.get("values", {}).items()})
    if isinstance(value, dict) and "parts" in value:
        return Joined(_read(value["separator"]), [_read(part) for part in value["parts"]])
    return value
