"""`nutshell serve --daemon`, `serve status`, `serve stop` and `serve logs`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nutshell.cli.report import note
from nutshell.cli.speech import one_line, padded, say, words
from nutshell.errors import NutshellError, UsageError
from nutshell.language import Text, tr

if TYPE_CHECKING:
    from nutshell.service.daemon_record import Record
    from nutshell.service.options import ServiceOptions
    from nutshell.settings import Settings

# As systemctl has it: LSB's code for a program that is not running.
NOT_RUNNING = 3
NOT_RUNNING_WORDS = tr("not running")
_POLL_SECONDS = 0.3
_KEEPERS = {
    "foreground": tr("in a terminal"),
    "detached": tr("in the background"),
    "systemd": tr("in the background, kept by systemd"),
}


def main(arguments: argparse.Namespace, settings: Settings) -> int:
    """Status, stop or logs."""
    for name in ("daemon", "open", "new_token"):
        if getattr(arguments, name):
            flag = "--" + name.replace("_", "-")
            raise UsageError(
                tr("{flag} does not go with {action}", flag=flag, action=arguments.action),
                tr("nutshell serve {flag} starts one", flag=flag),
            )
    from nutshell.service.options import service_folder

    folder = service_folder(settings)
    if arguments.action == "logs":
        return _logs(folder, arguments.lines, follow=arguments.follow, as_json=settings["json"])
    act = _status if arguments.action == "status" else _stop
    return act(folder, settings)


# ---------------------------------------------------------------- start


def start(given: Sequence[str], options: ServiceOptions, settings: Settings, arguments: argparse.Namespace) -> int:
    """In the background. given: the flags for the service itself; arguments: all of them."""
    from nutshell.cli.serve import open_page, with_token
    from nutshell.cli.serve_words import tell_started
    from nutshell.service.daemon import DidNotStart, start_detached, start_unit
    from nutshell.service.daemon_record import DETACHED, SYSTEMD, find_record, record_folder
    from nutshell.service.daemon_systemd import Systemd
    from nutshell.service.open_sockets import listen

    running = find_record(options.folder)
    if running is not None and running.alive:
        return _runs_already(running, settings)
    # What is wrong with the port is told here, before systemd or anybody else is asked.
    for opened in listen(options.host, options.port):
        opened.close()
    folder = record_folder(options)
    if folder is None:
        raise NutshellError(
            tr("there is no folder in memory for a service that forgets"),
            tr("set XDG_RUNTIME_DIR to one, or start it without --daemon"),
        )
    options = with_token(options, new=arguments.new_token)
    command = [sys.executable, "-m", "nutshell.cli.main", "serve", *_without_token(given), "--manager"]
    environment = dict(os.environ)
    if settings["token"] or (options.amnesia and options.token):
        # Not as a flag, for everybody on the machine can read those; what is kept in the file is found there.
        environment["NUTSHELL_TOKEN"] = options.token
    systemd = Systemd()
    facts: tuple[Text, ...]
    if systemd.runs():
        record, unit = start_unit([*command, SYSTEMD], environment, folder, systemd, amnesia=options.amnesia)
        facts = (tr("Kept by systemd ({unit}): {lasting}.", unit=unit, lasting=systemd.stay()),)
    else:
        try:
            record = start_detached([*command, DETACHED], environment, folder)
        except DidNotStart as error:
            if not error.told:
                raise
            sys.stderr.write(error.told)
            return error.exit_code
        facts = (tr("Process {pid}, which notes itself in {folder}.", pid=record.pid, folder=folder),)
    options = replace(options, port=record.port)
    tell_started(options, as_json=settings["json"], quiet=settings["quiet"], background=facts)
    if arguments.open:
        open_page(options).join()
    return 0


def _without_token(given: Sequence[str]) -> Iterator[str]:
    """The flags but for --token and its value."""
    rest = iter(given)
    for word in rest:
        if word == "--token":
            next(rest, None)
        elif not word.startswith("--token="):
            yield word


def _runs_already(running: Record, settings: Settings) -> int:
    from nutshell.service.token_link import address, reached_at

    if settings["json"]:
        print(json.dumps({"address": address(reached_at(running.host), running.port), "port": running.port}))
        return 0
    note(
        tr("it runs already, since {when}, on {address} (process {pid}); with other settings: nutshell serve stop, "
           "then start again",
           when=_moment(running.since), address=address(reached_at(running.host), running.port), pid=running.pid)
    )  # fmt: skip
    return 0


# ---------------------------------------------------------------- status


def _status(folder: Path, settings: Settings) -> int:
    from nutshell.service.daemon_record import find_record

    record = find_record(folder)
    if record is None or not record.alive:
        if settings["json"]:
            print(json.dumps({"running": False, "died": record is not None}))
        else:
            say(NOT_RUNNING_WORDS if record is None else _died(record))
        return NOT_RUNNING
    facts = _facts(record, settings["token"])
    if settings["json"]:
        print(json.dumps(facts, ensure_ascii=False))
        return 0
    for label, text in _rows(record, facts):
        print(f"{padded(words(label), 10)}{one_line(text)}")
    return 0


def _died(record: Record) -> Text:
    return tr(
        "not running: it was started at {when} and ended without saying so (killed, or the machine was switched off); "
        "jobs that waited are taken up by the next start",
        when=_moment(record.since),
    )


def _facts(record: Record, token: str) -> dict[str, Any]:
    from nutshell.service.daemon import ask, memory_bytes
    from nutshell.service.logs import FILE_NAME
    from nutshell.service.token import read_token
    from nutshell.service.token_link import address, reached_at

    folder = Path(record.folder)
    machine = ask(record, record.token or token or read_token(folder), "/api/machine") or {}
    return {
        "running": True,
        "answers": ask(record, token, "/healthz") is not None,
        "pid": record.pid,
        "since": record.since,
        "manager": record.manager,
        "address": address(reached_at(record.host), record.port),
        "lan": record.lan,
        "amnesia": record.amnesia,
        "memory_bytes": memory_bytes(record),
        "queue": machine.get("queue"),
        "model": machine.get("worker", {}).get("model"),
        "log": None if record.amnesia else str(folder / FILE_NAME),
        "version": record.version,
    }


def _rows(record: Record, facts: dict[str, Any]) -> Iterator[tuple[Text, str]]:
    keeper = _KEEPERS.get(record.manager, record.manager)
    running = tr("since {when}, {keeper} (process {pid})", when=_moment(record.since), keeper=keeper, pid=record.pid)
    yield tr("running"), words(running)
    if not facts["answers"]:
        silent = tr("does not answer; nutshell serve logs may tell why, nutshell serve stop ends it")
        yield tr("address"), f"{facts['address']}  {words(silent)}"
    else:
        yield tr("address"), str(facts["address"])
    queue = facts["queue"]
    if isinstance(queue, dict):
        counted = tr("{waiting} waiting, {running} running",
                     waiting=queue.get("waiting", 0), running=1 if queue.get("running") else 0)  # fmt: skip
        yield tr("queue"), words(counted)
    yield tr("model"), str(facts["model"] or words(tr("none loaded")))
    yield tr("memory"), f"{facts['memory_bytes'] / 1e6:.0f} MB"
    yield tr("log"), str(facts["log"] or words(tr("none: it keeps nothing")))


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


# ---------------------------------------------------------------- stop


def _stop(folder: Path, settings: Settings) -> int:
    from nutshell.cli.serve_words import STOPPED
    from nutshell.service.daemon import stop
    from nutshell.service.daemon_record import find_record, forget
    from nutshell.service.daemon_systemd import Systemd

    record = find_record(folder)
    if record is None or not record.alive:
        if record is not None:
            forget(record)
        _say(NOT_RUNNING_WORDS, settings)
        return 0
    if stop(record, Systemd()):
        _say(STOPPED, settings)
    else:
        _say(
            tr("it did not stop by itself and was killed; what it was drawing is drawn again at the next start"),
            settings,
        )
    return 0


def _say(text: Text, settings: Settings) -> None:
    if settings["json"]:
        print(json.dumps({"running": False, "told": text}))
    elif not settings["quiet"]:
        say(text)


# ---------------------------------------------------------------- logs


def _logs(folder: Path, count: int, *, follow: bool, as_json: bool) -> int:
    from nutshell.service.logs import FILE_NAME, Follower, last_lines

    if count < 0:
        raise UsageError(tr("--lines must be at least 0"))
    if not follow and not (folder / FILE_NAME).exists():
        raise NutshellError(
            tr("there is no log in {folder}", folder=folder),
            tr("nutshell serve writes one, but for a service with --amnesia"),
        )
    # Opened first: what comes while the last lines are read is shown afterwards.
    follower = Follower(folder) if follow else None
    _show(last_lines(folder, count), as_json=as_json)
    while follower is not None:
        _show(follower.read(), as_json=as_json)
        time.sleep(_POLL_SECONDS)
    return 0


def _show(lines: Sequence[str], *, as_json: bool) -> None:
    for line in lines:
        print(one_line(line) if as_json else log_line(line))
    sys.stdout.flush()


def log_line(line: str) -> str:
    """A line of the log for people: time here, level, message, values."""
    try:
        told = json.loads(line)
        when = _local(told.pop("time"))
        level, message, logger = told.pop("level"), told.pop("message"), told.pop("logger")
    except (ValueError, KeyError, TypeError, AttributeError):
        return one_line(line)
    told = {name: value for name, value in told.items() if name not in ("method", "path")}
    where = "" if logger == "uvicorn.access" else f"{logger.removeprefix('nutshell.service.')}: "
    values = "".join(f"  {name}={value}" for name, value in told.items())
    return one_line(f"{when}  {level:<7} {where}{message}{values}")


def _local(text: str) -> str:
    from datetime import datetime

    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone().strftime("%Y-%m-%d %H:%M:%S")
