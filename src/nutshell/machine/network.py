"""Which hubs answer. Only the doctor asks, and never with --offline."""

from __future__ import annotations

import email.utils
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from nutshell.machine.examination import HubReport
from nutshell.machine.source import Unreadable
from nutshell.machine.this_computer import within

HUB_SECONDS = 2.0

# Answers headers (name in small letters -> value); raises OSError or http.client.HTTPException.
Head = Callable[[str, float], Mapping[str, str]]


def ask_hubs(hubs: Mapping[str, str], head: Head | None = None, seconds: float = HUB_SECONDS) -> tuple[HubReport, ...]:
    """Ask all at once (name -> URL) with a HEAD request; none may take longer than `seconds`."""
    if not hubs:
        return ()
    with ThreadPoolExecutor(len(hubs)) as pool:
        return tuple(pool.map(lambda name: _ask(name, hubs[name], head or http_head, seconds), hubs))


def http_head(url: str, seconds: float) -> Mapping[str, str]:
    """The headers of an answer, through the proxy of the environment if it names one. A redirect is an answer."""
    request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": "nutshell-doctor"})
    try:
        with urllib.request.build_opener(_Stay).open(request, timeout=seconds) as answer:
            headers = answer.headers
    except urllib.error.HTTPError as error:
        # It speaks: 4xx to a bare HEAD is an answer; 407 and 5xx mean that nobody will fetch anything from it.
        if error.code == 407 or error.code >= 500:
            raise OSError(f"HTTP {error.code} {error.reason}") from error
        headers = error.headers
    return {name.lower(): value for name, value in headers.items()}


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def _ask(name: str, url: str, head: Head, seconds: float) -> HubReport:
    begun = time.monotonic()
    try:
        # The socket's timeout counts each wait by itself, and looking a name up has none: so a clock over it all.
        headers = within(seconds, name, lambda: head(url, seconds))
    except Unreadable as error:
        return HubReport(name, url, False, time.monotonic() - begun, _reason(error))
    ahead = None
    told = email.utils.parsedate_tz(headers.get("date", ""))
    if told:
        ahead = time.time() - email.utils.mktime_tz(told)
    return HubReport(name, url, True, time.monotonic() - begun, "", ahead)


def _reason(error: Unreadable) -> str:
    """The cause in few words: the classes of urllib wrap it twice."""
    cause: object = error.__cause__
    while isinstance(cause, urllib.error.URLError) and isinstance(cause.reason, BaseException):
        cause = cause.reason
    if isinstance(cause, (OSError, http.client.HTTPException)) and str(cause):
        return " ".join(str(getattr(cause, "strerror", None) or cause).split())
    return str(error)
