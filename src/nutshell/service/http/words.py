"""Who asks, and in which language they read."""

from __future__ import annotations

from functools import cache

from starlette.requests import HTTPConnection

from nutshell.language import Translation, read_language

_LONGEST_HEADER = 1000  # characters; browsers send under a hundred


def translation(connection: HTTPConnection) -> Translation:
    """The language that the header Accept-Language likes best of those there are, else English."""
    return _translation(preferred(connection.headers.get("accept-language", "")))


def preferred(header: str) -> str:
    """A code of `nutshell.language.LANGUAGES` from `zh-CN,zh;q=0.9,en;q=0.8` (RFC 9110, section 12.5.4)."""
    wanted: list[tuple[float, int, str]] = []
    for place, part in enumerate(header[:_LONGEST_HEADER].split(",")):
        name, _, weight = part.partition(";")
        try:
            quality = float(weight.partition("=")[2]) if weight.strip() else 1.0
            # Of two that are liked as much the first.
            if quality > 0:
                wanted.append((-quality, place, read_language(name)))
        except ValueError:
            continue
    return min(wanted)[2] if wanted else "en"


def client_name(connection: HTTPConnection) -> str:
    """Who asks, for the fair order of the queue: the address, or what the guard took the token for."""
    known = connection.scope.get("nutshell.client")
    if isinstance(known, str) and known:
        return known
    return connection.client.host if connection.client is not None else "local"


@cache
def _translation(language: str) -> Translation:
    return Translation(language)
