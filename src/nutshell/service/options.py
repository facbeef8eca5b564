"""How the service is to behave: settings of `nutshell serve`, checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from nutshell.service.wish import Limits


@dataclass(frozen=True)
class ServiceOptions:
    """folder: jobs, gallery, log and pid file lie in it. amnesia: nothing is written to disk at all.

    host, port: what is listened on; lan: other machines may connect, with the token. token: what they show; empty
    for none (loopback only). allow: networks (CIDR) beyond the private ones that may connect. origins: pages of other
    origins that may use the service from a browser. queue: jobs that may wait. gallery_bytes: pictures kept at most.
    keep_alive_seconds: how long a model stays loaded after its last picture; below 0 for ever. requests_per_minute:
    for each token or address, loopback without a token excepted; 0 for no limit. log_prompts: whether the log may
    hold them.
    """

    folder: Path
    model: str
    host: str = "127.0.0.1"
    port: int = 8000
    lan: bool = False
    token: str = ""
    allow: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    queue: int = 100
    gallery_bytes: int = 2_000_000_000
    keep_alive_seconds: float = 300.0
    requests_per_minute: int = 600
    offline: bool = False
    amnesia: bool = False
    log_prompts: bool = False
    limits: Limits = field(default_factory=Limits)
