"""How the service is to behave: settings of `nutshell serve`, checked."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from nutshell.errors import UsageError
from nutshell.language import tr
from nutshell.service.wish import Limits
from nutshell.settings import BY_NAME, Settings
from nutshell.user_folders import Environment, state_folder

EVERYWHERE = "0.0.0.0"
_AMNESIA_BYTES = 200_000_000  # about two thousand pictures of the built-in model


@dataclass(frozen=True)
class ServiceOptions:
    """folder: jobs, gallery, log and pid file lie in it. gallery: another folder for the pictures. amnesia: nothing is
    written to disk at all.

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
    gallery: Path | None = None
    gallery_bytes: int = 2_000_000_000
    keep_alive_seconds: float = 300.0
    requests_per_minute: int = 600
    offline: bool = False
    amnesia: bool = False
    log_prompts: bool = False
    limits: Limits = field(default_factory=Limits)


def service_options(settings: Settings, environment: Environment | None = None) -> ServiceOptions:
    """The options that these settings ask for; the token is that of the settings only. Raises UsageError."""
    for name, least in (("queue", 1), ("max_pixels", 64), ("max_count", 1), ("max_steps", 1), ("rate_limit", 0)):
        if settings[name] < least:
            raise UsageError(
                tr("{origin} must be at least {least}, not {value}",
                   origin=settings.origins[name], least=least, value=settings[name]),
                tr("{name}: {meaning}", name=name, meaning=BY_NAME[name].help),
            )  # fmt: skip
    return ServiceOptions(
        folder=service_folder(settings, environment),
        model=settings["model"],
        host=_host(settings),
        port=settings["port"],
        lan=settings["lan"],
        token=settings["token"],
        allow=settings["allow"],
        origins=settings["origins"],
        queue=settings["queue"],
        gallery=settings["gallery"],
        gallery_bytes=_gallery_bytes(settings),
        keep_alive_seconds=settings["keep_alive"],
        requests_per_minute=settings["rate_limit"],
        offline=settings["offline"],
        amnesia=settings["amnesia"],
        log_prompts=settings["log_prompts"],
        limits=Limits(pixels=settings["max_pixels"], count=settings["max_count"], steps=settings["max_steps"]),
    )


def service_folder(settings: Settings, environment: Environment | None = None) -> Path:
    """Where the service keeps what it keeps. Raises UsageError where there is no home folder and none is named."""
    if settings["service_folder"] is not None:
        return Path(settings["service_folder"]).absolute()
    usual = state_folder(os.environ if environment is None else environment)
    if usual is not None:
        return usual / "service"
    if settings["amnesia"]:
        return Path(os.devnull)  # nothing can be written below it, and nothing is
    raise UsageError(
        tr("there is no home folder to keep jobs and pictures in"),
        tr("name a folder with --service-folder, or keep nothing with --amnesia"),
    )


def _gallery_bytes(settings: Settings) -> int:
    """Of a disk as the setting says; a gallery in memory is small unless somebody says otherwise."""
    usual = settings.origins["gallery_limit"] == "default"
    return _AMNESIA_BYTES if settings["amnesia"] and usual else int(settings["gallery_limit"])


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own alone. Names other than localhost are not looked up."""
    import ipaddress

    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _host(settings: Settings) -> str:
    """--lan alone listens everywhere; an address beyond this machine needs --lan, for without it there is no token."""
    host = str(settings["host"]).strip("[]")
    if settings["lan"]:
        return EVERYWHERE if settings.origins["host"] == "default" else host
    if not is_loopback(host):
        raise UsageError(
            tr("{origin}: other machines can reach {host}", origin=settings.origins["host"], host=host),
            tr("add --lan, which lets them in with a token"),
        )
    return host
