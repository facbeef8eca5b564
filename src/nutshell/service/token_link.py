"""How the token reaches a phone: a link with it, and the same as a QR code that a terminal can show."""

from __future__ import annotations

import io
from urllib.parse import quote

BORDER = 2  # modules; the standard wants 4, and readers do with 2 where the surroundings are of one colour


def reached_at(host: str) -> str:
    """Where this machine itself reaches what listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def address(host: str, port: int) -> str:
    """`http://192.168.1.20:8000`; IPv6 in its brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def link(host: str, port: int, token: str) -> str:
    """The address of the page, the token in it where there is one."""
    plain = address(host, port) + "/"
    return f"{plain}?token={quote(token, safe='')}" if token else plain


def qr_lines(text: str, *, colours: bool = False) -> list[str]:
    """A QR code (ISO/IEC 18004) in half blocks, two rows of it a line.

    The light modules are drawn, as on a dark terminal. colours: say black and white, so that it is right on any.
    """
    import segno

    code = segno.make_qr(text, error="l", boost_error=False)
    drawn = io.StringIO()
    code.terminal(drawn, border=BORDER, compact=True)
    lines = drawn.getvalue().splitlines()
    return [f"\033[97;40m{line}\033[0m" for line in lines] if colours else lines
