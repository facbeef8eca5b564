"""Which hubs answer. Only the doctor asks, and never with --offline."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from nutshell.errors import os_reason
from nutshell.language import Text, tr
from nutshell.machine.examination import HubReport
from nutshell.machine.source import Unreadable, brief
from nutshell.machine.this_computer import within

HUB_SECONDS = 2.0

# Answers headers (name in small letters -> value); raises what it likes.
Head = Callable[[str, float], Mapping[str, str]]


def ask_hubs(hubs: Mapping[str, str], head: Head | None = None, seconds: float = HUB_SECONDS) -> tuple[HubReport, ...]:
    """Ask all at once (name -> URL) with a HEAD request; none may take longer than `seconds`."""
    if not hubs:
        return ()
    with ThreadPoolExecutor(len(hubs)) as pool:
        return tuple(pool.map(lambda name: _ask(name, hubs[name], head or http_head, seconds), hubs))


def http_head(url: str, seconds: float) -> Mapping[str, str]:
    """The headers of an answer, by the library and the proxy that models are fetched through. A redirect is an answer.

    Raises what the library does, and OSError for a status that means that nothing will be fetched from there.
    """
    import httpx2

    answer = httpx2.head(url, timeout=seconds, headers={"User-Agent": "nutshell-doctor"})
    # 4xx to a bare HEAD is an answer all the same, but for a proxy that wants to know who we are.
    if answer.status_code == 407 or answer.status_code >= 500:
        raise OSError(f"HTTP {answer.status_code} {answer.reason_phrase}")
    return {name.lower(): value for name, value in answer.headers.items()}


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
    return HubReport(name, url, True, time.monotonic() - begun, clock_ahead_seconds=ahead)


def _reason(error: Unreadable) -> Text:
    """The cause in few words, without its number."""
    cause = error.__cause__
    return tr(brief(os_reason(cause))) if isinstance(cause, Exception) else error.reason


# What connections say most beside the system's own errors, for the catalogues.
_SAID = (
    tr("timed out"),
    tr("Name or service not known"),
    tr("Temporary failure in name resolution"),
    tr("No route to host"),
)
