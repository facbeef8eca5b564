"""The sockets that the service listens on."""

from __future__ import annotations

import asyncio
import socket

from nutshell.service.open_sockets import listen, port_of


def test_answers_are_not_kept_back_for_more() -> None:
    """Nagle's algorithm (RFC 896) is off: with the delayed acknowledgements of the other side it costs 40 ms."""
    seen = []

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened = writer.get_extra_info("socket")
        seen.append(opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async def ask() -> None:
        (listening,) = listen("127.0.0.1", 0)
        async with await asyncio.start_server(connected, sock=listening):
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of([listening]))
            await reader.read()
            writer.close()

    asyncio.run(ask())
    assert seen
    assert all(seen)
