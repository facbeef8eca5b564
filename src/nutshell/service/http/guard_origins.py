"""Pages of other origins: what a browser may be made to do here by a page that the user merely visits."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from nutshell.language import tr
from nutshell.service.http.errors import Trouble
from nutshell.service.http.guard_answers import refuse
from nutshell.service.http.guard_hosts import host_and_port
from nutshell.service.options import ServiceOptions

_SAFE = {"GET", "HEAD", "OPTIONS"}
_DEFAULT_PORTS = {"http": 80, "https": 443}


class OriginCheck:
    """Refuses what comes from a page of another origin, unless it is allowed or follows a plain link.

    Browsers say so by Origin (RFC 6454) and by Fetch Metadata (https://www.w3.org/TR/fetch-metadata/); programs send
    neither.
    """

    def __init__(self, app: ASGIApp, options: ServiceOptions) -> None:
        self._app = app
        self._allowed = set(options.origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is of this origin, or allowed."""
        if scope["type"] == "http" and self._foreign(scope["method"], Headers(scope=scope)):
            trouble = Trouble(
                403,
                "foreign_origin",
                tr("a page of another site asked for this"),
                tr("whoever runs the service can allow that site: nutshell serve --origins ADDRESS"),
            )
            await refuse(scope, receive, send, trouble)
            return
        await self._app(scope, receive, send)

    def _foreign(self, method: str, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is not None:
            if origin.lower() in self._allowed or _same(origin, headers.get("host", "")):
                return False
            if method not in _SAFE:
                return True
        elsewhere = headers.get("sec-fetch-site", "none") in ("cross-site", "same-site")
        # A link may be followed; what a page embeds or fetches without our knowing may not.
        linked = method in _SAFE and headers.get("sec-fetch-mode") == "navigate"
        return elsewhere and not linked and not (origin is not None and origin.lower() in self._allowed)


def _same(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        return False
    default = _DEFAULT_PORTS.get(parts.scheme)
    if default is None:
        return False
    name, own_port = host_and_port(host)
    return bool(name) and (parts.hostname, port or default) == (name, own_port or default)
