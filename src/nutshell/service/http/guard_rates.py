"""How many requests a minute one client may send."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from nutshell.language import tr
from nutshell.service.http.errors import Trouble
from nutshell.service.http.guard_answers import refuse
from nutshell.service.http.guard_hosts import address_of
from nutshell.service.options import ServiceOptions

_MOST_CLIENTS = 4096
_FREE = {"/healthz"}


class Buckets:
    """A token bucket for each client (Turner 1986): `per_minute` may come at once, and that many a minute later on.

    Of more clients than are kept the one that was not heard of for longest is forgotten.
    """

    def __init__(
        self, per_minute: float, clock: Callable[[], float] = time.monotonic, most_clients: int = _MOST_CLIENTS
    ) -> None:
        self._most, self._per_second = per_minute, per_minute / 60
        self._clock, self._most_clients = clock, most_clients
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """Take one; 0, or the seconds after which there is one again."""
        now = self._clock()
        left, then = self._buckets.pop(client, (self._most, now))
        left = min(self._most, left + (now - then) * self._per_second)
        taken = left >= 1
        self._buckets[client] = (left - 1 if taken else left, now)
        if len(self._buckets) > self._most_clients:
            self._buckets.popitem(last=False)
        return 0.0 if taken else (1 - left) / self._per_second

    def missing(self, client: str) -> float:
        """The same without taking one."""
        left, then = self._buckets.get(client, (self._most, 0.0))
        left = min(self._most, left + (self._clock() - then) * self._per_second)
        return max(0.0, (1 - left) / self._per_second)

    def __len__(self) -> int:
        return len(self._buckets)


class RateLimit:
    """429 for those who ask too often. This machine itself, where no token is wanted, may ask as often as it likes."""

    def __init__(self, app: ASGIApp, options: ServiceOptions) -> None:
        self._app = app
        self._open_to_loopback = not options.token
        self._buckets = Buckets(options.requests_per_minute) if options.requests_per_minute > 0 else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is within the limit."""
        if scope["type"] == "http" and self._buckets is not None and scope["path"] not in _FREE:
            client = client_key(scope)
            if not (client == "loopback" and self._open_to_loopback):
                seconds = self._buckets.wait(client)
                if seconds > 0:
                    await refuse(scope, receive, send, too_often(seconds))
                    return
        await self._app(scope, receive, send)


def client_key(scope: Scope) -> str:
    """An address; of IPv6 the network that one household has (RFC 6177), for it may take any address there."""
    address = address_of((scope.get("client") or ("", 0))[0])
    if address is None or address.is_loopback:
        return "loopback"
    if address.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def too_often(seconds: float) -> Trouble:
    """What is said to those who ask too often."""
    wait = math.ceil(seconds)
    return Trouble(
        429,
        "too_many_requests",
        tr("too many requests in a short time"),
        tr("try again in {seconds:.0f} seconds", seconds=wait),
        headers={"Retry-After": str(wait)},
    )
