"""`nutshell serve`: the service, in this terminal or in the background."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from nutshell.cli.options import add_settings, make_parser, settle
from nutshell.errors import UsageError
from nutshell.language import tr

if TYPE_CHECKING:
    from nutshell.service.options import ServiceOptions
    from nutshell.settings import Settings

DESCRIPTION = tr(
    "Draw for people and programs over HTTP: a page for the browser, and the interfaces of OpenAI and AUTOMATIC1111. "
    "Only this machine can reach it, unless --lan lets in the local network, with a token."
)
EXAMPLES = """\
  nutshell serve
  nutshell serve --open
  nutshell serve --daemon --lan
  nutshell serve status
  nutshell serve logs -f
  nutshell serve stop
"""
ACTION_HELP = tr("what to do with the one that runs: status, stop or logs (default: start one)")
DAEMON_HELP = tr("run in the background, also after this terminal or SSH session has ended")
NEW_TOKEN_HELP = tr("with --lan: make a new token; the old one is worth nothing then")
OPEN_HELP = tr("open the page in the browser")
FOLLOW_HELP = tr("with logs: go on showing what is added, until Ctrl-C")
LINES_HELP = tr("with logs: how many lines (default: 20)")
_SERVICE = (
    *("host", "port", "lan", "allow", "origins", "token", "queue", "service_folder", "gallery", "gallery_limit"),
    *("keep_alive", "max_pixels", "max_count", "max_steps", "rate_limit", "amnesia", "log_prompts"),
)
_MODEL = (
    *("model", "models", "vae", "preview_vae", "embedding", "prediction", "engine", "precision", "threads"),
    *("int8_budget", "max_memory", "polite", "learn", "compile_cache", "compile_cache_limit"),
)
_ONLY_HERE = ("--daemon", "--new-token", "--open")


def main(given: Sequence[str]) -> int:
    arguments = _parser().parse_intermixed_args(given)
    if arguments.action is not None:
        from nutshell.cli import serve_manage

        return serve_manage.main(arguments, settle(arguments))
    settings = settle(arguments)

    from nutshell.service.daemon_record import DETACHED, FOREGROUND, SYSTEMD
    from nutshell.service.options import service_options

    options = service_options(settings)
    if arguments.new_token and not options.lan:
        raise UsageError(tr("--new-token goes with --lan"), tr("without --lan no token is needed"))
    if arguments.manager not in (None, DETACHED, SYSTEMD):
        raise UsageError(tr("--manager is for the service itself"), tr("nutshell serve --daemon starts it"))
    if arguments.daemon:
        from nutshell.cli import serve_manage

        rest = [word for word in given if word not in _ONLY_HERE]
        return serve_manage.start(rest, options, settings, arguments)
    return _run(options, settings, arguments.manager or FOREGROUND, arguments)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("serve", DESCRIPTION, EXAMPLES)
    parser.add_argument("action", nargs="?", choices=("status", "stop", "logs"), metavar="ACTION", help=ACTION_HELP)
    parser.add_argument("--daemon", action="store_true", help=DAEMON_HELP)
    parser.add_argument("--new-token", action="store_true", help=NEW_TOKEN_HELP)
    parser.add_argument("--open", action="store_true", help=OPEN_HELP)
    parser.add_argument("-f", "--follow", action="store_true", help=FOLLOW_HELP)
    parser.add_argument("-n", "--lines", type=int, default=20, metavar="N", help=LINES_HELP)
    # Who keeps it: for the process that --daemon starts.
    parser.add_argument("--manager", help=argparse.SUPPRESS)
    add_settings(parser, *_SERVICE, *_MODEL, "store", "sticks", "offline", "json", "quiet", "log_level")
    return parser


def with_token(options: ServiceOptions, *, new: bool) -> ServiceOptions:
    """With --lan a token, made where none is given or kept, or where another is wanted."""
    from nutshell.service.token import kept_token, make_token

    if not options.lan or (options.token and not new):
        return options
    return replace(options, token=make_token() if options.amnesia else kept_token(options.folder, new=new))


def _run(options: ServiceOptions, settings: Settings, manager: str, arguments: argparse.Namespace) -> int:
    """Until a signal ends it."""
    from nutshell.cli.serve_words import tell_started, tell_stopped
    from nutshell.service.daemon import let_go
    from nutshell.service.daemon_record import FOREGROUND, holding, noted, record_folder, record_of
    from nutshell.service.daemon_systemd import tell_ready
    from nutshell.service.logs import logging_to
    from nutshell.service.open_sockets import listen, port_of

    if manager != FOREGROUND:
        ignore_hang_up()
    # Prompts and pictures are nobody else's business, in whatever folder they lie.
    os.umask(0o077)
    log_folder = None if options.amnesia else options.folder
    with ExitStack() as stack:
        stack.enter_context(holding(record_folder(options)))
        stack.enter_context(logging_to(log_folder, prompts=options.log_prompts))
        sockets = listen(options.host, options.port)
        options = replace(with_token(options, new=arguments.new_token), port=port_of(sockets))

        # Not before: what is wrong with folder or port is told at once.
        from nutshell.service.open import draw_settings, make_models, make_worker, serve

        def ready() -> None:
            stack.enter_context(noted(record_folder(options), record_of(options, manager)))
            tell_ready()
            if manager != FOREGROUND:
                let_go(log_folder)
                return
            tell_started(options, as_json=settings["json"], quiet=settings["quiet"])
            if arguments.open:
                open_page(options)

        drawn = draw_settings(settings, options)
        ending = serve(options, lambda: make_worker(drawn, options), lambda: make_models(settings), sockets, ready)
    if manager == FOREGROUND:
        tell_stopped(ending.waiting, kept=not options.amnesia, quiet=settings["quiet"] or settings["json"])
    return 0


def ignore_hang_up() -> None:
    """The terminal or the SSH session that it was started from may end."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def open_page(options: ServiceOptions) -> threading.Thread:
    """Show the page, from a thread: a browser may keep whoever calls it waiting."""
    import webbrowser

    from nutshell.service.token_link import link, reached_at

    address = link(reached_at(options.host), options.port, options.token)
    opening = threading.Thread(target=webbrowser.open, args=(address,), daemon=True)
    opening.start()
    return opening
