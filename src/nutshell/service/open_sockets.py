"""What the service listens on, opened before anything else, so that what is wrong is told in words."""

from __future__ import annotations

import errno
import ipaddress
import socket
import sys
from collections.abc import Iterator

from nutshell.errors import NutshellError, os_reason
from nutshell.language import Text, tr
from nutshell.service.options import EVERYWHERE

_BACKLOG = 1024
# RFC 1918 and RFC 4193. What Python calls private includes ranges for documentation and tests.
PRIVATE_NETWORKS = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))
# Interfaces whose networks end within this machine, or are nobody's neighbourhood.
_VIRTUAL = (
    "docker",
    "br-",
    "veth",
    "virbr",
    "vmnet",
    "vboxnet",
    "vEthernet",
    "podman",
    "cni",
    "lxc",
    "lxd",
    "tun",
    "wg",
)


class CannotListen(NutshellError):
    """The port is in use, the address is not this machine's, or neither is permitted."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen. "0.0.0.0" means every address, those of IPv6 included where there are any; a name means
    each address it has here. Port 0 takes a free one, the same for all. Raises CannotListen.
    """
    found: list[socket.socket] = []
    try:
        for family, address in _addresses(host):
            try:
                found.append(_listen(family, address, port))
            except OSError as error:
                # IPv6 may be switched off.
                if found and family == socket.AF_INET6:
                    continue
                raise _cannot_listen(host, port, error) from error
            port = port_of(found)
    except BaseException:
        for opened in found:
            opened.close()
        raise
    return found


def port_of(sockets: list[socket.socket]) -> int:
    """The port that they listen on."""
    return int(sockets[0].getsockname()[1])


def private_addresses() -> list[str]:
    """The addresses under which the local network reaches this machine, the likeliest first: IPv4 before IPv6, those of
    virtual machines and containers last. Those of the link alone are left out: a browser wants the interface's name
    with them.
    """
    import psutil

    states = psutil.net_if_stats()
    found = [
        (name.startswith(_VIRTUAL), ipaddress.ip_address(address.address.split("%")[0]))
        for name, addresses in psutil.net_if_addrs().items()
        if name not in states or states[name].isup
        for address in addresses
        if address.family in (socket.AF_INET, socket.AF_INET6)
    ]
    shown = {each for each in found if any(each[1] in network for network in PRIVATE_NETWORKS)}
    return [str(each) for _, each in sorted(shown, key=lambda each: (each[0], each[1].version, int(each[1])))]


def _addresses(host: str) -> Iterator[tuple[socket.AddressFamily, str]]:
    if host in (EVERYWHERE, "::"):
        yield socket.AF_INET, EVERYWHERE
        if socket.has_ipv6:
            yield socket.AF_INET6, "::"
        return
    try:
        known = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise CannotListen(
            tr("there is no address of the name {host}: {reason}", host=host, reason=os_reason(error)), _here(host)
        ) from error
    yield from dict.fromkeys((socket.AddressFamily(family), str(address[0])) for family, *_, address in known)


def _listen(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    # By its protocol asyncio knows that it may switch off Nagle's delay (RFC 896), which costs an answer 40 ms.
    opened = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if sys.platform == "win32":
            # There SO_REUSEADDR lets two programs have one port.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            # The port of a service that has just ended is free at once.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((address, port))
        # Not only bound: of two that bind at once, both would succeed.
        opened.listen(_BACKLOG)
        opened.setblocking(False)
    except BaseException:
        opened.close()
        raise
    return opened


def _cannot_listen(host: str, port: int, error: OSError) -> CannotListen:
    if error.errno == errno.EADDRINUSE:
        return CannotListen(
            tr("port {port} of {host} is in use by another program", port=port, host=host),
            tr("choose another: nutshell serve --port {other}; nutshell serve status tells if it is a service of yours",
               other=port + 1 if port < 65535 else 0),
        )  # fmt: skip
    if error.errno in (errno.EACCES, errno.EPERM):
        return CannotListen(
            tr("you may not listen on port {port}", port=port),
            tr("ports from 1024 on are free to everybody: nutshell serve --port 8000"),
        )
    if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return CannotListen(tr("{host} is no address of this machine", host=host), _here(host))
    return CannotListen(
        tr("cannot listen on port {port} of {host}: {reason}", port=port, host=host, reason=os_reason(error)),
        tr("choose another: nutshell serve --port 8001"),
    )


def _here(host: str) -> Text:
    mine = ", ".join(address for address in ["127.0.0.1", *private_addresses()] if address != host)
    return tr("its addresses are {addresses}; leave --host out for the usual", addresses=mine)
