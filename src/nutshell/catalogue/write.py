"""A card as TOML text: for cards that the program makes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from nutshell.catalogue.card import REQUIRED, ModelCard
from nutshell.catalogue.source import HUBS, Source

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_TABLES = ("sources", "parameters", "shapes")


def card_table(card: ModelCard) -> dict[str, Any]:
    """The keys of a card that differ from their defaults, as plain values: `ModelCard.read` makes the card again."""
    default = ModelCard("", "", "")
    table: dict[str, Any] = {}
    for field in fields(ModelCard):
        value = getattr(card, field.name)
        if field.name != "name" and (field.name in REQUIRED or value != getattr(default, field.name)):
            table[field.name] = _plain(value)
    return table


def card_text(card: ModelCard) -> str:
    """The text of the card's file."""
    return "\n".join(_lines(card_table(card))) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Source):
        usual = HUBS[value.hub] == value.revision
        return {"hub": value.hub, "repo": value.repo, **({} if usual else {"revision": value.revision})}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return "" if value is None else value


def _lines(table: Mapping[str, Any]) -> Iterator[str]:
    """Single values first: what follows a [table] belongs to it."""
    for key, value in table.items():
        if key not in _TABLES:
            yield f"{key} = {_value(value)}"
    for source in table.get("sources", ()):
        yield "\n[[sources]]"
        yield from _rows(source)
    if "parameters" in table:
        yield "\n[parameters]"
        yield from _rows(table["parameters"])
    for part, config in table.get("shapes", {}).items():
        yield f"\n[shapes.{_key(part)}]"
        yield from _rows(config)


def _rows(table: Mapping[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        yield f"{_key(key)} = {_value(value)}"


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)  # numbers, true and false are the same in both


def _text(text: str) -> str:
    # A JSON string is a TOML string, but for this character, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
