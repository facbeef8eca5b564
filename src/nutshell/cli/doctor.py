"""`nutshell doctor`: what this machine is, what is wrong with it, and how to mend it."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from nutshell.cli.options import add_settings, make_parser, settle
from nutshell.cli.report import fancy
from nutshell.cli.speech import width, words
from nutshell.language import tr
from nutshell.settings import Settings
from nutshell.user_folders import data_folder

if TYPE_CHECKING:
    from nutshell.machine.examination import EngineReport, Examination, FolderReport, HubReport
    from nutshell.machine.facts import Unknown

DESCRIPTION = tr(
    "Say what this machine is, which engines work on it, what is wrong and how to mend it. Changes nothing."
)
EXAMPLES = """\
  nutshell doctor
  nutshell doctor --offline --json
"""
FULL_HELP = tr("also measure how fast the folder for models is read (writes 64 MB there and deletes them)")
# A driver that answers after three seconds is slow and not broken.
_PATIENCE = 3.0

WAITING = tr("looking at this machine ...")

SCHEMA = 1
"""Of the JSON report; it grows when something that was there changes its meaning or goes."""


def main(arguments: Sequence[str]) -> int:
    parser = make_parser("doctor", DESCRIPTION, EXAMPLES)
    parser.add_argument("--full", action="store_true", help=FULL_HELP)
    add_settings(parser, "store", "offline", "hf_endpoint", "ms_endpoint", "json", "log_level")
    given = parser.parse_args(arguments)
    settings = settle(given)
    begun = time.monotonic()
    with _waiting():
        examination, unknown = examine(settings, full=given.full)
    if settings["json"]:
        report = as_json(examination, unknown, offline=settings["offline"], seconds=time.monotonic() - begun)
        print(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        from nutshell.cli.doctor_text import lines

        for line in lines(examination, unknown, offline=settings["offline"]):
            print(line)
    return 0


def examine(settings: Settings, *, full: bool = False) -> tuple[Examination, tuple[Unknown, ...]]:
    """Everything at once, for engines and hubs take their time. Also what could not be found out, and why."""
    from nutshell.engines.ports import ask_engines
    from nutshell.machine import Machine, probe
    from nutshell.machine.examination import Examination
    from nutshell.machine.folders import look_at
    from nutshell.machine.network import ask_hubs
    from nutshell.machine.source import Notes
    from nutshell.machine.this_computer import ThisComputer

    notes = Notes()
    models, temporary = _folders(settings)
    hubs = {} if settings["offline"] else _hubs(settings)
    # Before the engines are asked: importing three of them keeps processor and disk busy.
    machine = notes.attempt("machine", lambda: probe(ThisComputer(_PATIENCE), (str(models), str(temporary))), Machine())
    folders: tuple[FolderReport, ...] = notes.attempt(
        "folders", lambda: (look_at("models", models, measure=full), look_at("temporary", temporary)), ()
    )
    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(ask_engines), pool.submit(ask_hubs, hubs)
        engines: tuple[EngineReport, ...] = notes.attempt("engines", lambda: asked[0].result(), ())
        answered: tuple[HubReport, ...] = notes.attempt("network", lambda: asked[1].result(), ())
    found = Examination(machine, engines, folders, answered if hubs else None)
    return found, (*machine.unknown, *notes.unknown)


def as_json(examination: Examination, unknown: Sequence[Unknown], *, offline: bool, seconds: float) -> dict[str, Any]:
    """The report for programs; docs/reference/doctor.md describes it."""
    from nutshell.machine.rules import findings

    machine = examination.machine
    facts = asdict(machine)
    del facts["unknown"]
    facts["cpu"]["features"] = sorted(machine.cpu.features)
    hubs = examination.hubs
    return {
        "schema": SCHEMA,
        "machine": {**facts, "cores": machine.cores, "usable_bytes": machine.usable_bytes},
        "engines": [asdict(engine) for engine in examination.engines],
        "folders": [asdict(folder) for folder in examination.folders],
        "network": {"offline": offline, "hubs": None if hubs is None else [asdict(hub) for hub in hubs]},
        "findings": [
            {
                "key": finding.key,
                "severity": finding.severity,
                "sentence": finding.sentence,
                "remedy": finding.remedy,
                "values": dict(finding.values),
            }
            for finding in findings(examination)
        ],
        "unknown": [asdict(item) for item in unknown],
        "seconds": round(seconds, 3),
    }


@contextmanager
def _waiting() -> Iterator[None]:
    """A word on a terminal meanwhile: PyTorch on a slow disk takes ten seconds to say who it is."""
    if not fancy(sys.stderr):
        yield
        return
    text = words(WAITING)
    print(text, end="", file=sys.stderr, flush=True)
    try:
        yield
    finally:
        print("\r" + " " * width(text) + "\r", end="", file=sys.stderr, flush=True)


def _folders(settings: Settings) -> tuple[Path, Path]:
    """Where models are kept, and temporary files."""
    usual = data_folder(os.environ)
    models = settings["store"] or (usual / "models" if usual else Path.cwd())
    try:
        temporary = Path(tempfile.gettempdir())
    except OSError:  # Python tried to write in every usual place.
        temporary = Path(os.environ.get("TMPDIR") or "/tmp")
    return Path(models).absolute(), temporary.absolute()


def _hubs(settings: Settings) -> Mapping[str, str]:
    """Name -> URL: the hubs that the settings name, and Hugging Face itself beside a mirror of it."""
    urls = (settings["hf_endpoint"], "https://huggingface.co", settings["ms_endpoint"])
    return {urlsplit(url).netloc or url: url for url in urls}
