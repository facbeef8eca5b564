"""Headers: how many may come, and which go with every answer."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nutshell.language import tr
from nutshell.service.http.errors import Trouble
from nutshell.service.http.guard_answers import refuse

_MOST_HEADERS = 100
_MOST_BYTES = 32_768  # of all headers
_LONGEST_ADDRESS = 8_192  # bytes of path and query; RFC 9110, section 4.1 asks for 8,000 at least

# The page is plain modules and a sheet from this origin; pictures may also be made in it (blob:, data:).
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_ALWAYS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Answers hold what was asked for; whoever knows better says so.
    "Cache-Control": "no-store",
}


class Headers:
    """Adds what browsers are told with every answer. A face that set one of them knows better."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; add to the answer's headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _ALWAYS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)


class HeaderLimits:
    """Refuses requests whose headers or address are too large. What is much larger the HTTP parser refuses."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is of a usual size."""
        if scope["type"] == "http":
            headers = scope["headers"]
            if len(headers) > _MOST_HEADERS or sum(len(name) + len(value) for name, value in headers) > _MOST_BYTES:
                trouble = Trouble(431, "headers_too_large", tr("the request has too many or too large headers"))
                await refuse(scope, receive, send, trouble)
                return
            if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > _LONGEST_ADDRESS:
                await refuse(scope, receive, send, Trouble(414, "address_too_long", tr("the address is too long")))
                return
        await self._app(scope, receive, send)
