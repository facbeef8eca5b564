"""The guard itself."""

from __future__ import annotations

import socket

import pytest


def test_the_network_is_blocked() -> None:
    with socket.socket() as client, pytest.raises(RuntimeError, match="without a network"):
        client.connect(("192.0.2.1", 80))
    with pytest.raises(RuntimeError, match="without a network"):
        socket.create_connection(("example.com", 80))
    with socket.socket(type=socket.SOCK_DGRAM) as client, pytest.raises(RuntimeError, match="without a network"):
        client.sendto(b"x", ("192.0.2.1", 80))


def test_this_machine_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        client.sendall(b"x")
