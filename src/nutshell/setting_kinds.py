"""The kinds of value that a setting may have, and how each is read from text."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nutshell.language import Text, read_language, tr


@dataclass(frozen=True)
class Kind:
    """How a value is read from text. `words` completes the sentence "steps must be ...". names: all that it may be."""

    words: Text
    read: Callable[[str], Any]
    metavar: str = ""
    names: tuple[str, ...] = ()


def _whole(text: str) -> int:
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _yes_no(text: str) -> bool:
    return {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}[
        text.lower()
    ]


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,6})(?:\s*[xX×*]\s*(\d{1,6}))?", text.strip())
    if match is None:
        raise ValueError(text)
    return int(match[1]), int(match[2] or match[1])


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", text.strip().lower())
    if match is None:
        raise ValueError(text)
    unit: int = (1024 if match[3] else 1000) ** " kmgt".index(match[2] or " ")
    count = round(float(match[1]) * unit)
    if count < 1:
        raise ValueError(text)
    return count


def _interval(text: str) -> tuple[float, float]:
    first, last = re.split(r"\s*(?:,|\.\.|(?<=[\d.])-)\s*", text.strip())
    return _number(first), _number(last)


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError(text)
    return text


def _url(text: str) -> str:
    plain = text.strip().rstrip("/")
    if "://" not in plain:
        plain = f"https://{plain}"
    if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", plain):
        raise ValueError(text)
    return plain


def _urls(text: str) -> tuple[str, ...]:
    return tuple(_url(part) for part in text.split(",") if part.strip())


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 65535:
        raise ValueError(text)
    return value


def _networks(text: str) -> tuple[str, ...]:
    import ipaddress  # only the service asks for networks

    # Host bits are let through: 192.168.1.20/24 is how interfaces are written.
    return tuple(str(ipaddress.ip_network(part.strip(), strict=False)) for part in text.split(",") if part.strip())


def _origins(text: str) -> tuple[str, ...]:
    origins = tuple(_url(part).lower() for part in text.split(",") if part.strip())
    if any(origin.count("/") != 2 for origin in origins):
        raise ValueError(text)
    return origins


def _token(text: str) -> str:
    # It travels in a header and in a link as it is; what is shorter is guessed.
    if not re.fullmatch(r"[A-Za-z0-9_-]{16,128}", text):
        raise ValueError(text)
    return text


def _duration(text: str) -> float:
    match = re.fullmatch(r"(-?\d+(?:\.\d+)?)\s*([smh]?)", text.strip().lower())
    if match is None:
        raise ValueError(text)
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def _decibels(text: str) -> float:
    match = re.fullmatch(r"([+-]?\d{1,3}(?:\.\d+)?)\s*(?:db)?", text.strip().lower())
    if match is None:
        raise ValueError(text)
    return float(match[1])


def _path(text: str) -> Path:
    return Path(_text(text)).expanduser()


def _path_or_folder(text: str) -> str:
    # A Path would lose the slash at the end, which tells a folder from a file.
    return os.path.expanduser(_text(text))


def choice(*names: str) -> Kind:
    """One of a few names."""

    def read(text: str) -> str:
        plain = text.lower().replace("-", "_")
        if plain not in names:
            raise ValueError(text)
        return plain

    return Kind(tr("one of {names}", names=", ".join(names)), read, "|".join(names), names)


WHOLE = Kind(tr("a whole number"), _whole, "N")
NUMBER = Kind(tr("a number"), _number, "X")
YES_NO = Kind(tr("yes or no"), _yes_no)
SIZE = Kind(tr("a size in pixels such as 256 or 512x384"), _size, "WxH|N")
BYTES = Kind(tr("an amount of memory such as 2G, 1500M or 2GiB"), _bytes, "BYTES")
INTERVAL = Kind(tr("two numbers from 0 to 1 such as 0.2,0.8"), _interval, "FROM,TO")
LANGUAGE = Kind(tr("en (English) or zh (简体中文)"), read_language, "en|zh")
NAME = Kind(tr("a name"), _text, "NAME")
TEXT = Kind(tr("text"), str, "TEXT")
URL = Kind(tr("an address such as https://hub.example"), _url, "URL")
URLS = Kind(tr("addresses such as http://192.168.1.20:8188, with commas between"), _urls, "URL,URL")
PORT = Kind(tr("a whole number from 0 to 65535"), _port, "N")
NETWORKS = Kind(tr("networks such as 203.0.113.0/24, with commas between"), _networks, "CIDR,CIDR")
ORIGINS = Kind(tr("origins such as https://example.org, with commas between"), _origins, "URL,URL")
TOKEN = Kind(tr("16 to 128 letters, digits, - and _"), _token, "TOKEN")
DURATION = Kind(tr("a time such as 300, 5m or 1h; -1 for ever"), _duration, "TIME")
DECIBELS = Kind(tr("decibels: 35dB for at least so many, -1dB for at most so many lost"), _decibels, "DB")
PATH = Kind(tr("a path"), _path, "PATH")
FILE_OR_FOLDER = Kind(tr("a path"), _path_or_folder, "FILE|FOLDER/")
