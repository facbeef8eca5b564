"""From which addresses and under which names this service may be asked."""

from __future__ import annotations

import ipaddress
import re
import socket

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from nutshell.language import tr
from nutshell.service.http.errors import Trouble
from nutshell.service.http.guard_answers import refuse
from nutshell.service.options import ServiceOptions

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
# RFC 1918, RFC 3927, RFC 4193, RFC 4291. Not all that Python calls private: that holds ranges of documentation too.
_PRIVATE: tuple[Network, ...] = tuple(
    ipaddress.ip_network(net)
    for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")
)
# What containers call the machine that they run on. Nobody can register a name under `.internal` (ICANN, 2024).
_CONTAINERS_NAMES = {"host.docker.internal", "host.containers.internal", "gateway.docker.internal"}
# Endings that routers and mDNS (RFC 6762, RFC 8375) give the names of a home's machines; not on sale either.
_HOME_ENDINGS = ("local", "lan", "home", "internal", "localdomain", "home.arpa", "fritz.box")
_HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+(?:%[\w.]+)?)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>\d{1,5}))?")


class PeerCheck:
    """Refuses peers that are neither this machine, nor (with `lan`) of a private network, nor allowed by name."""

    def __init__(self, app: ASGIApp, options: ServiceOptions) -> None:
        allowed = tuple(ipaddress.ip_network(net, strict=False) for net in options.allow)
        self._app = app
        self._networks = (*_LOOPBACK, *(_PRIVATE if options.lan else ()), *allowed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and note the address under which the queue knows the client."""
        if scope["type"] == "http" and scope.get("client"):
            peer = address_of(scope["client"][0])
            # This machine may also call itself by its own address, whatever network that is of.
            if peer is None or not (any(peer in net for net in self._networks) or peer == own_address(scope)):
                trouble = Trouble(
                    403,
                    "peer_not_allowed",
                    tr("this service answers its own network only"),
                    tr("whoever runs it can allow more: nutshell serve --lan --allow NETWORK"),
                )
                await refuse(scope, receive, send, trouble)
                return
            scope["nutshell.client"] = str(peer)
        await self._app(scope, receive, send)


class HostCheck:
    """Refuses requests for a name that is not this machine's.

    A page of another origin can have its own name point to this machine, and is then of the same origin to a browser
    (DNS rebinding, Jackson et al. 2007). What it cannot change is the name, which comes in the header Host.
    """

    def __init__(self, app: ASGIApp, options: ServiceOptions) -> None:
        self._app = app
        self._lan = options.lan
        self._networks = (*_LOOPBACK, *(_PRIVATE if options.lan else ()))
        trusted = (host_and_port(origin.partition("://")[2]) for origin in options.origins)
        self._names = {"localhost", options.host.lower(), *_CONTAINERS_NAMES, *(name for name, _ in trusted)}
        if options.lan:
            self._names |= names_of(socket.gethostname())
        self._names.discard("")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what asks for this machine."""
        if scope["type"] == "http" and not self._ours(scope):
            trouble = Trouble(
                421,
                "wrong_host",
                tr("this service does not answer to that name"),
                tr("open it by the address that it was started with, such as http://127.0.0.1:8000"),
            )
            await refuse(scope, receive, send, trouble)
            return
        await self._app(scope, receive, send)

    def _ours(self, scope: Scope) -> bool:
        name, _ = host_and_port(Headers(scope=scope).get("host", ""))
        if name in self._names or name.endswith(".localhost"):
            return True
        # Rebinding needs a name. An address is what somebody typed, and behind a container's port not even this one's.
        address = address_of(name)
        if address is None:
            return False
        return any(address in net for net in self._networks) or (self._lan and address == own_address(scope))


def own_address(scope: Scope) -> Address | None:
    """The address of this machine that the connection came to."""
    return address_of((scope.get("server") or ("", 0))[0])


def address_of(text: str) -> Address | None:
    """An address, IPv4 where it is one mapped to IPv6, without its zone; None for anything else."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if mapped is not None else address


def host_and_port(text: str) -> tuple[str, int | None]:
    """The header Host or the part of an origin after `//`, in lower case; an empty name where it is none."""
    found = _HOST.fullmatch(text)
    if found is None:
        return "", None
    name = (found["six"] or found["name"]).lower().rstrip(".")
    return name, int(found["port"]) if found["port"] else None


def names_of(hostname: str) -> set[str]:
    """The names that a home's network gives a machine."""
    name = hostname.lower().rstrip(".")
    first = name.partition(".")[0]
    if not first:
        return set()
    return {name, first, *(f"{first}.{ending}" for ending in _HOME_ENDINGS)}
