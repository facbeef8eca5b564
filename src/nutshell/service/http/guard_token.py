"""The token that other machines show.

programs   Authorization: Bearer TOKEN
A1111's    Authorization: Basic, the token as password (webui's --api-auth)
browsers   the link with ?token=TOKEN once; then a cookie, which pages of other sites cannot have sent
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import html
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from nutshell.language import tr
from nutshell.service.http.errors import Trouble
from nutshell.service.http.guard_answers import refusal
from nutshell.service.http.guard_rates import Buckets, client_key, too_often
from nutshell.service.http.words import translation
from nutshell.service.options import ServiceOptions

_FREE = {"/healthz"}
_COOKIE_SECONDS = 90 * 24 * 3600
_WRONG_PER_MINUTE = 30
_WANTED = tr("this service wants its token")
_HOW = tr("open the link that was shown when it started, or enter the token")
_PAGE = """<!doctype html>
<html lang="{language}">
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<title>Nutshell</title>
<h1>Nutshell</h1>
<p>{wanted}</p>
<form action="/" method="get">
<input name="token" type="password" autocomplete="current-password" aria-label="{token}" autofocus>
<button>{enter}</button>
</form>
"""
_ONWARD = """<!doctype html><meta charset="utf-8"><title>Nutshell</title>
<meta http-equiv="refresh" content="0;url={address}"><a href="{address}">Nutshell</a>
"""


class TokenCheck:
    """Refuses those who do not show the token, where there is one."""

    def __init__(self, app: ASGIApp, options: ServiceOptions) -> None:
        self._app = app
        self._token = options.token
        # Cookies go to every port of a host. What is kept there is not the token, and has the port in its name.
        self._cookie = f"nutshell_{options.port}"
        self._kept = hmac.new(options.token.encode(), b"nutshell page", hashlib.sha256).hexdigest()
        self._wrong = Buckets(_WRONG_PER_MINUTE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on those who may."""
        if scope["type"] != "http" or not self._token or scope["path"] in _FREE:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        if _equal(_cookies(request.headers).get(self._cookie, ""), self._kept):
            allowed, tried = True, False
        else:
            given = _given(request)
            tried = given is not None
            seconds = self._wrong.missing(client_key(scope)) if tried else 0.0
            if seconds > 0:
                # Not even looked at, or guessing on would pay.
                await refusal(scope, too_often(seconds))(scope, receive, send)
                return
            allowed = given is not None and _equal(given, self._token)
        if allowed and _in_query(request) is not None:
            await self._entered(request)(scope, receive, send)
        elif allowed:
            await self._app(scope, receive, send)
        else:
            if tried:
                self._wrong.wait(client_key(scope))
            await _refused(request)(scope, receive, send)

    def _entered(self, request: Request) -> Response:
        """The way on for a browser that followed the link: the cookie, and the same address without the token."""
        fields = parse_qsl(request.url.query, keep_blank_values=True)
        address = _address(request, urlencode([(name, value) for name, value in fields if name != "token"]))
        # After a redirect the request would still be that of the other site.
        answer = _onward(address, 200) if _from_elsewhere(request) else RedirectResponse(address, 303)
        answer.set_cookie(self._cookie, self._kept, max_age=_COOKIE_SECONDS, httponly=True, samesite="strict")
        return answer


def _given(request: Request) -> str | None:
    """The token that a request shows, right or wrong; None where it shows none."""
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic":
        return _password(value)
    return _in_query(request)


def _in_query(request: Request) -> str | None:
    """The token in the address, which is for people who open a page only: addresses are noted in many places."""
    if request.method != "GET" or not _for_reading(request):
        return None
    fields = parse_qsl(request.url.query, keep_blank_values=True)
    return next((value for name, value in fields if name == "token"), None)


def _refused(request: Request) -> Response:
    if not _for_reading(request):
        return refusal(request.scope, Trouble(401, "unauthorized", _WANTED, _HEADER, headers=_CHALLENGE))
    if _from_elsewhere(request):
        return _onward(_address(request, request.url.query), 401)
    say = translation(request)
    words = {"wanted": tr("{wanted}: {how}.", wanted=_WANTED, how=_HOW), "token": tr("token"), "enter": tr("enter")}
    page = {name: html.escape(say(text)) for name, text in words.items()}
    return HTMLResponse(_PAGE.format(language=say.language.replace("_", "-"), **page), 401, _CHALLENGE)


_HEADER = tr("send it as Authorization: Bearer TOKEN")
# No Basic, though it is taken: browsers would ask for a name and a password in a window of their own.
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="nutshell"'}


def _from_elsewhere(request: Request) -> bool:
    """Whether a link of another site was followed: a strict cookie does not go with that."""
    return request.headers.get("sec-fetch-site") in ("cross-site", "same-site")


def _onward(address: str, status: int) -> Response:
    """A page that asks for `address` by itself, and then it is this site that asks: the cookie goes with it."""
    return HTMLResponse(_ONWARD.format(address=html.escape(address)), status, _CHALLENGE if status == 401 else None)


def _address(request: Request, query: str) -> str:
    # One slash: two would be another host.
    return "/" + request.url.path.lstrip("/\\") + (f"?{query}" if query else "")


def _for_reading(request: Request) -> bool:
    return request.method in ("GET", "HEAD") and (
        request.url.path == "/" or "text/html" in request.headers.get("accept", "")
    )


def _equal(given: str, wanted: str) -> bool:
    """In a time that tells nothing of either."""
    return hmac.compare_digest(_digest(given), _digest(wanted))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _password(value: str) -> str:
    try:
        return base64.b64decode(value.strip(), validate=True).decode("utf-8", "replace").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def _cookies(headers: Headers) -> dict[str, str]:
    try:
        return {name: found.value for name, found in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}
