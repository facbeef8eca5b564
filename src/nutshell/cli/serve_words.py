"""What `nutshell serve` says when it has started, and when it has stopped."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nutshell.cli.report import colourful, fancy
from nutshell.cli.speech import say, width
from nutshell.language import Text, tr

if TYPE_CHECKING:
    from nutshell.service.options import ServiceOptions

STOPPED = tr("stopped")
BACKGROUND = tr("It goes on in the background: nutshell serve status, nutshell serve logs -f, nutshell serve stop.")
FOREGROUND = tr("Ctrl-C ends it.")


def tell_started(
    options: ServiceOptions, *, as_json: bool = False, quiet: bool = False, background: tuple[Text, ...] = ()
) -> None:
    """The addresses, with --lan as links that hold the token. background: what is to be said of a daemon."""
    if as_json:
        print(json.dumps(_plain(options)), flush=True)
        return
    if quiet:
        return
    from nutshell.service.token_link import address, reached_at

    here = address(reached_at(options.host), options.port)
    say(tr("Nutshell serves on {address} : open that in a browser.", address=f"{here}/"))
    say(tr("For programs: {openai} (OpenAI), {here} (AUTOMATIC1111), {docs} (all of it)",
           openai=f"{here}/v1", here=here, docs=f"{here}/docs"))  # fmt: skip
    if options.amnesia:
        say(tr("It keeps nothing: jobs and pictures are gone when it ends."))
    if options.lan:
        _tell_lan(options)
    for line in background:
        say(line)
    say(BACKGROUND if background else FOREGROUND)


def tell_stopped(waiting: int, *, kept: bool, quiet: bool) -> None:
    """At the end. waiting: jobs that were not drawn; kept: whether they will be, next time."""
    if quiet:
        return
    if waiting and kept:
        say(tr("stopped; jobs that wait for the next start: {count}", count=waiting))
    else:
        say(STOPPED)


def qr_code(text: str) -> Iterator[str]:
    """The lines of a QR code, none where this terminal cannot show one."""
    if not fancy(sys.stdout) or (sys.stdout.encoding or "").lower().replace("-", "") != "utf8":
        return
    from nutshell.service.token_link import qr_lines

    lines, size = qr_lines(text), shutil.get_terminal_size()
    if width(lines[0]) <= size.columns and len(lines) < size.lines:
        yield from qr_lines(text, colours=True) if colourful(sys.stdout) else lines


def _tell_lan(options: ServiceOptions) -> None:
    links = lan_links(options)
    if not links:
        say(tr("No other machine can reach it: there is no private address here. Is the network connected?"))
        say(tr("The token is {token}", token=options.token))
        return
    say(tr("On the local network, with the token in the link:"))
    for link in links:
        print(f"  {link}", flush=True)
    for line in qr_code(links[0]):
        print(line, flush=True)
    say(tr("Who has the link may draw; nutshell serve --lan --new-token makes another."))


def lan_links(options: ServiceOptions) -> list[str]:
    """For other machines; the most likely one first."""
    from nutshell.service.open_sockets import private_addresses
    from nutshell.service.options import EVERYWHERE
    from nutshell.service.token_link import link

    hosts = private_addresses() if options.host in (EVERYWHERE, "::") else [options.host]
    return [link(host, options.port, options.token) for host in hosts]


def _plain(options: ServiceOptions) -> dict[str, object]:
    from nutshell.service.token_link import address, reached_at

    told: dict[str, object] = {"address": address(reached_at(options.host), options.port), "port": options.port}
    if options.lan:
        told |= {"token": options.token, "links": lan_links(options)}
    return told
