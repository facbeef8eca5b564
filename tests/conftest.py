"""Common to all tests: no network but this machine's own, a visible reason where there is no GPU."""

from __future__ import annotations

import functools
import ipaddress
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Before anything imports huggingface_hub.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
# The machine's owner may have settings of their own.
os.environ["NUTSHELL_CONFIG"] = ""
# ... and models.
os.environ["XDG_DATA_HOME"] = os.path.join(os.sep, "nonexistent")

import hypothesis
import pytest

# A busy machine is no failure.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# Whoever started the tests in the background may have them ignore these, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
for name in ("SIGTERM", "SIGHUP"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_DFL)

REPOSITORY = Path(__file__).parents[1]


class NetworkBlocked(RuntimeError):
    """A test reached for the network."""


def is_local(address: Any) -> bool:
    """Whether a socket address stays on this machine. Unix sockets have a path for an address."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    if host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host.split("%")[0]).is_loopback
    except ValueError:
        return False


def _guarded(method: Callable[..., Any], where: int) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: socket.socket, *arguments: Any) -> Any:
        address = arguments[where]
        if not is_local(address):
            raise NetworkBlocked(f"a test reached for {address!r}; tests run without a network")
        return method(self, *arguments)

    return call


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Sockets connect to this machine only, and names of other machines are not looked up."""
    patch = pytest.MonkeyPatch()
    for name, where in (("connect", 0), ("connect_ex", 0), ("sendto", -1)):
        patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name), where))
    look_up = socket.getaddrinfo

    def guarded_look_up(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and not is_local((name,)):
            raise NetworkBlocked(f"a test looked up {name!r}; tests run without a network")
        return look_up(host, *arguments, **options)

    patch.setattr(socket, "getaddrinfo", guarded_look_up)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder that holds pyproject.toml."""
    return REPOSITORY


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not has_gpu():
        pytest.skip("no GPU on this machine (no CUDA device, no MPS)")


@functools.cache
def has_gpu() -> bool:
    """Asked only if a test is marked gpu: importing PyTorch takes seconds."""
    tools = ("nvidia-smi", "rocm-smi", "xpu-smi")
    if sys.platform == "linux" and not Path("/dev/nvidia0").exists() and not any(map(shutil.which, tools)):
        return False
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available() or torch.backends.mps.is_available())
