"""What stands before every face: who may ask, from where, how much, how slowly.

    Headers       what browsers are told about every answer
    LastResort    an exception nobody foresaw is a plain 500; the log has it
    HeaderLimits  too many headers, too long an address
    PeerCheck     addresses outside private networks
    HostCheck     names that are not this machine's (DNS rebinding)
    CORS          pages of other origins that the user allowed (starlette's)
    OriginCheck   pages of other origins that nobody allowed (cross-site requests)
    RateLimit     requests a minute
    TokenCheck    the token, where one is wanted
    BodyLimit     bytes of a body, and how long it may take

Each is a plain ASGI application around the next (https://asgi.readthedocs.io), so that streams pass as they are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from nutshell.service.http.bodies import most_bytes
from nutshell.service.http.guard_bodies import BodyLimit
from nutshell.service.http.guard_headers import HeaderLimits, Headers
from nutshell.service.http.guard_hosts import HostCheck, PeerCheck
from nutshell.service.http.guard_last import LastResort
from nutshell.service.http.guard_origins import OriginCheck
from nutshell.service.http.guard_protocol import PatientProtocol
from nutshell.service.http.guard_rates import RateLimit
from nutshell.service.http.guard_token import TokenCheck
from nutshell.service.options import ServiceOptions

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_ASKED_HEADERS = ("Authorization", "Content-Type", "Accept-Language", "Last-Event-ID")
_TOLD_HEADERS = ("Retry-After", "Location", "Content-Disposition")
_PREFLIGHT_SECONDS = 600


def guard(app: ASGIApp, options: ServiceOptions) -> ASGIApp:
    """The application, guarded as `options` say."""
    # As browsers write them.
    options = replace(options, origins=tuple(origin.lower().rstrip("/") for origin in options.origins))
    app = BodyLimit(app, most_bytes(options.limits))
    app = TokenCheck(app, options)
    app = RateLimit(app, options)
    app = OriginCheck(app, options)
    if options.origins:
        app = CORSMiddleware(
            app,
            allow_origins=options.origins,
            allow_methods=_METHODS,
            allow_headers=_ASKED_HEADERS,
            expose_headers=_TOLD_HEADERS,
            max_age=_PREFLIGHT_SECONDS,
        )
    app = HostCheck(app, options)
    app = PeerCheck(app, options)
    app = HeaderLimits(app)
    app = LastResort(app)
    return Headers(app)


def uvicorn_options() -> dict[str, Any]:
    """What `uvicorn.Config` is to be given, for what an application cannot guard itself."""
    return {
        "http": PatientProtocol,
        "ws": "none",
        "timeout_keep_alive": 15,
        "limit_concurrency": 500,
        "h11_max_incomplete_event_size": 32_768,
        "server_header": False,
        # Else a client could say by a header whom it speaks for.
        "proxy_headers": False,
    }
