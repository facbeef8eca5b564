"""No connection leaves this process, whoever asks for it.

`Web` refuses by itself. This is the second lock: an audit hook (PEP 578) sees every socket that Python code connects,
in whatever library. Sockets of this machine (loopback, Unix) stay open, for some libraries talk to themselves.
Importing `nutshell.store` would take longer than this needs, so it stands by itself.
"""

from __future__ import annotations

import ipaddress
import sys
from typing import Any

from nutshell.errors import Offline
from nutshell.language import tr

_state = {"installed": False}
_CONNECTING = {"socket.connect", "socket.sendto", "socket.sendmsg"}
_LOOKING_UP = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}


def forbid_connections() -> None:
    """From now on every connection beyond this machine raises Offline. There is no way back, by design of PEP 578."""
    if not _state["installed"]:
        _state["installed"] = True
        sys.addaudithook(_hook)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _CONNECTING:
        host = arguments[1][0] if isinstance(arguments[1], tuple) else None
    elif event in _LOOKING_UP:
        host = arguments[0]
    else:
        return
    if host is not None and not is_here(host):
        raise Offline(
            tr("a connection to {host!s} was refused: the setting offline holds", host=host),
            tr("use --no-offline to allow it"),
        )


def is_here(host: Any) -> bool:
    """Whether an address or name is this machine's own."""
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    if text in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(text.split("%")[0]).is_loopback
    except ValueError:
        return False
