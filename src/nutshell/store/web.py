"""The one place where connections are made. httpx2 is imported here, and only when something is fetched."""

from __future__ import annotations

import contextlib
import email.utils
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nutshell.errors import FetchError, Offline, os_reason
from nutshell.language import tr

if TYPE_CHECKING:
    import httpx2

LARGEST_ANSWER = 50_000_000  # bytes; a listing of ten thousand files has five million
AGAIN = tr("try again; what was fetched is kept")
LOGIN = tr("is this a network with a login page? open any page in a browser, log in, and try again")


@dataclass(frozen=True)
class Body:
    """Bytes on their way. start: offset of the first one. total: size of the whole file, None if not told."""

    start: int
    total: int | None
    chunks: Iterator[bytes]


class RangeRefused(FetchError):
    """416: what we have is no beginning of what the server has."""


class Missing(FetchError):
    """404, and what a hub says instead of it to those whom it does not know."""


@dataclass(frozen=True)
class Pace:
    """What counts as too slow. Fewer than `least_bytes` in `window_seconds` ends a request; so does silence for
    `silence_seconds`, or no connection within `connect_seconds`."""

    connect_seconds: float = 10.0
    silence_seconds: float = 30.0
    window_seconds: float = 60.0
    least_bytes: int = 64_000
    clock: Callable[[], float] = time.monotonic


class Web:
    """GET, with errors that say what happened. offline: refuse everything. Use it in a `with`, or close it."""

    def __init__(self, *, offline: bool = False, pace: Pace | None = None) -> None:
        self._offline = offline
        self._pace = pace or Pace()
        self._client: httpx2.Client | None = None

    def __enter__(self) -> Web:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def json(self, url: str, token: str = "") -> tuple[Any, str]:
        """The JSON value at `url`, and the address of the next page ("" if there is none). Raises FetchError."""
        with self._get(url, token, {}) as response:
            raw = bytearray()
            with _telling(url):
                for chunk in response.iter_bytes():
                    raw += chunk
                    if len(raw) > LARGEST_ANSWER:
                        raise FetchError(
                            tr("{host} sends an endless listing", host=_host(url)), tr("try another source")
                        )
            try:
                value = json.loads(raw)
            except (ValueError, RecursionError) as error:
                raise FetchError(
                    tr("{host} answered with something that is no listing", host=_host(url)), LOGIN
                ) from error
            following = response.links.get("next", {}).get("url", "")
            return value, str(response.url.join(following)) if following else ""

    @contextlib.contextmanager
    def open(self, url: str, start: int = 0, token: str = "") -> Iterator[Body]:
        """The bytes at `url` from `start` on; a server that knows no ranges begins at 0. Raises FetchError."""
        # Compressed bytes could not be resumed in the middle.
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={start}-"} if start else {})}
        with self._get(url, token, headers) as response:
            if response.headers.get("content-type", "").startswith("text/html"):
                raise FetchError(tr("{host} sent a web page instead of the file", host=_host(url)), LOGIN)
            begins, total = _extent(response)
            yield Body(begins, total, self._chunks(response, url))

    def _chunks(self, response: httpx2.Response, url: str) -> Iterator[bytes]:
        begun, count = self._pace.clock(), 0
        with _telling(url):
            # Some proxies compress what was asked for plain.
            encoded = "content-encoding" in response.headers
            for chunk in response.iter_bytes() if encoded else response.iter_raw():
                yield chunk
                count += len(chunk)
                if self._pace.clock() - begun >= self._pace.window_seconds:
                    if count < self._pace.least_bytes:
                        raise FetchError(
                            tr("{host} sends next to nothing any more", host=_host(url)), AGAIN, transient=True
                        )
                    begun, count = self._pace.clock(), 0

    @contextlib.contextmanager
    def _get(self, url: str, token: str, headers: Mapping[str, str]) -> Iterator[httpx2.Response]:
        if self._offline:
            raise Offline(
                tr("{host} was not asked: the setting offline forbids connections", host=_host(url)),
                tr("use --no-offline, or --from a folder or stick"),
            )
        sent = {**headers, **({"Authorization": f"Bearer {token}"} if token else {})}
        with contextlib.ExitStack() as open_now:
            with _telling(url):
                response = open_now.enter_context(self._opened().stream("GET", url, headers=sent))
            if response.status_code not in (200, 206):
                raise _refusal(response, url)
            yield response

    def _opened(self) -> httpx2.Client:
        if self._client is None:
            import httpx2

            timeout = httpx2.Timeout(self._pace.silence_seconds, connect=self._pace.connect_seconds)
            agent = {"User-Agent": "nutshell"}  # no version, no machine: nobody's business
            try:
                self._client = httpx2.Client(timeout=timeout, follow_redirects=True, headers=agent)
            except (ImportError, ValueError) as error:
                raise FetchError(
                    tr("the proxy settings cannot be used: {error}", error=error), tr("see HTTPS_PROXY, ALL_PROXY")
                ) from error
        return self._client


@contextlib.contextmanager
def _telling(url: str) -> Iterator[None]:
    """Turn what the library raises into one FetchError. What the block itself raises passes."""
    import httpx2

    host = _host(url)
    try:
        yield
    except httpx2.ConnectTimeout as error:
        raise FetchError(
            tr("{host} does not answer", host=host), tr("check the network, or name a mirror"), transient=True
        ) from error
    except httpx2.TimeoutException as error:
        raise FetchError(tr("{host} has stopped sending", host=host), AGAIN, transient=True) from error
    except httpx2.ConnectError as error:
        raise FetchError(
            tr("{host} cannot be reached: {reason}", host=host, reason=os_reason(error)),
            tr("check the network, or name a mirror"),
            transient=True,
        ) from error
    except (httpx2.NetworkError, httpx2.RemoteProtocolError) as error:
        raise FetchError(tr("the connection to {host} was cut", host=host), AGAIN, transient=True) from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise FetchError(
            tr("{host} cannot be asked: {error}", host=host, error=error), tr("check the address and the proxy")
        ) from error


def _refusal(response: httpx2.Response, url: str) -> FetchError:
    """What a status other than 200 and 206 means."""
    status, host = response.status_code, _host(url)
    elsewhere = bool(response.history) and response.url.host != urlsplit(url).hostname
    if status == 416:
        return RangeRefused(tr("{host} has no such part of the file", host=host), AGAIN, transient=True)
    # Hugging Face answers 401 to strangers for a repository that is not there, and says so in a header.
    if status in (404, 410) or response.headers.get("x-error-code", "").endswith("NotFound"):
        return Missing(
            tr("{host} has no {path}", host=host, path=urlsplit(url).path),
            tr("the repository may have moved: try another source"),
        )
    if status in (401, 403) and not elsewhere:
        return FetchError(
            tr("{host} does not give this away without an account (status {status})", host=host, status=status),
            tr("accept the model's licence on its page there; for Hugging Face, set HF_TOKEN to a token of yours"),
        )
    if status == 429:
        wait = _retry_after(response)
        return FetchError(
            tr("{host} has had too many requests from here", host=host),
            tr("wait a while and try again; what was fetched is kept"),
            transient=True,
            wait_seconds=wait,
        )
    # A signed address that has run out answers 403 in the storage behind the hub; the hub gives a new one.
    transient = status >= 500 or status in (408, 425) or elsewhere
    wait = _retry_after(response) if transient else None
    return FetchError(
        tr("{host} failed with status {status}", host=host, status=status),
        AGAIN,
        transient=transient,
        wait_seconds=wait,
    )


def _retry_after(response: httpx2.Response) -> float | None:
    """Seconds, or a date: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after"""
    text = response.headers.get("retry-after", "")
    if re.fullmatch(r"\d{1,9}", text):
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def _extent(response: httpx2.Response) -> tuple[int, int | None]:
    """Offset of the first byte and size of the whole: https://www.rfc-editor.org/rfc/rfc9110#field.content-range"""
    if response.status_code == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("content-range", "").strip())
        if match is None:
            raise FetchError(
                tr("{host} sends a part of the file and does not say which", host=response.url.host), tr("try another")
            )
        return int(match[1]), None if match[2] == "*" else int(match[2])
    length = response.headers.get("content-length", "")
    return 0, int(length) if length.isdigit() and "content-encoding" not in response.headers else None


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2] or url
