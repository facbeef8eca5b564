"""`nutshell calibrate`: make the card that lets a model draw in eight bits."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nutshell.cli.drawing import give_way
from nutshell.cli.options import add_settings, make_parser, settle
from nutshell.cli.progress import new_bar
from nutshell.cli.report import Signals, fancy, note
from nutshell.cli.speech import say, words
from nutshell.errors import OutputError, UsageError
from nutshell.language import Text, tr
from nutshell.settings import Settings

if TYPE_CHECKING:
    from nutshell.quantization import CalibrationCard
    from nutshell.store import Found

DESCRIPTION = tr(
    "Make a model's calibration card, by which it draws in eight bits: some pictures are drawn, every layer is "
    "watched, and what eight bits cost is measured. The model's files stay as they are. It may take from a minute to "
    "hours; stopped with Ctrl-C, the same command goes on after the last picture."
)
EXAMPLES = """\
  nutshell calibrate artist
  nutshell calibrate stable-diffusion-1.5 --pictures 8 --prompts mine.txt
  nutshell calibrate my-model/ --output my-model/calibration.json
"""
MODEL_HELP = tr("a model's name, its folder or file (default: as --model or the settings say)")
PROMPTS_HELP = tr("prompts like those that will be drawn, one a line (default: sixteen of many kinds)")
PICTURES_HELP = tr("how many pictures to draw and watch (default: 4)")
OUTPUT_HELP = tr("where to write the card (default: the state folder, where every model's card is looked for)")


def main(given: Sequence[str], *, signals: Signals | None = None) -> int:
    parser = make_parser("calibrate", DESCRIPTION, EXAMPLES)
    parser.add_argument("name", nargs="?", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("--prompts", metavar="FILE", help=PROMPTS_HELP)
    parser.add_argument("--pictures", metavar="N", default="4", help=PICTURES_HELP)
    parser.add_argument("--output", dest="card", metavar="FILE", help=OUTPUT_HELP)
    add_settings(
        parser,
        *("size", "steps", "model", "models", "engine", "int8_budget", "threads", "max_memory", "polite"),
        *("store", "sticks", "offline", "json", "quiet", "log_level"),
    )
    arguments = parser.parse_intermixed_args(given)
    settings = settle(arguments)
    pictures = _pictures(arguments.pictures)
    target = _target(arguments.card)
    if settings["polite"]:
        give_way()

    from nutshell.cli.prompts import read_prompts
    from nutshell.compress import calibrate
    from nutshell.pipeline.cards import FOLDER, kept_path
    from nutshell.plan.kept import state_folder
    from nutshell.store import find
    from nutshell.store.places import Places

    state = state_folder()
    work_folder = _work_folder(None if state is None else state / FOLDER, target)
    prompts = read_prompts([], arguments.prompts) if arguments.prompts is not None else None
    found: Found = find(arguments.name or settings["model"], Places.of(settings))
    with _Told(settings, signals or Signals()) as told:
        card = calibrate(
            found,
            prompts=prompts,
            pictures=pictures,
            work_folder=work_folder,
            on_progress=told.progress,
            **settings.given("engine", "threads", "max_memory", "size", "steps"),
        )
    path = target or kept_path(card.model_hash)
    assert path is not None, "without a state folder a target was asked for"
    card.write(path)
    _report(card, path, settings)
    return 0


def _pictures(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise UsageError(
            tr("{origin} must be {word}, not {shown!r}", origin="--pictures", word=tr("a whole number"), shown=text),
            tr("1 to 1000; 4 are enough for most models"),
        )
    return int(text)


def _target(text: str | None) -> Path | None:
    """Where --output says. That it can be written there is found out now, not after hours."""
    if text is None:
        return None
    from nutshell.files import check_folder

    path = Path(text).expanduser()
    if path.is_dir():
        path = path / "calibration.json"
    check_folder(path.parent)
    return path


def _work_folder(folder: Path | None, target: Path | None) -> Path | None:
    """Where work is kept meanwhile: the folder of cards, if it can be written. Without it a card needs a target."""
    from nutshell.files import check_folder, make_folder

    try:
        if folder is not None:
            make_folder(folder)
            check_folder(folder)
            return folder
    except OutputError:
        if target is None:
            raise
    if target is None:
        raise OutputError(tr("there is no folder to keep the card in"), tr("name a file for it with --output"))
    note(tr("there is no folder to keep what was done so far: a break means to begin anew"))
    return None


class _Told:
    """Progress on standard error: a bar on a terminal, else a line for each tenth."""

    def __init__(self, settings: Settings, signals: Signals) -> None:
        self._quiet: bool = settings["quiet"] or settings["json"]
        self._fancy = fancy(sys.stderr) and not self._quiet
        self._signals = signals
        self._bar: Any = None
        self._last: tuple[Text, int] | None = None

    def progress(self, what: Text, done: int, total: int) -> None:
        self._signals.check()
        percent = 100 * done // max(1, total)
        if self._quiet or self._last == (what, percent):
            return
        if self._fancy:
            if self._bar is None:
                self._bar = new_bar("")
            self._bar.total = 100
            self._bar.set_description_str(words(what), refresh=False)
            self._bar.n = percent
            self._bar.refresh()
        elif self._last is None or self._last[0] != what or percent // 10 != self._last[1] // 10:
            note(tr("{what}: {percent}%", what=what, percent=percent))
        self._last = (what, percent)

    def __enter__(self) -> _Told:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


def _report(card: CalibrationCard, path: Path, settings: Settings) -> None:
    from dataclasses import asdict

    layers = sum(len(part.layers) for part in card.parts.values())
    allowed = card.allowed(settings["int8_budget"], tuple(card.half))
    if settings["json"]:
        content = {"path": str(path), "model": card.model, "hash": card.model_hash, "layers": layers}
        content |= {"curve": list(map(asdict, card.curve))}
        content |= {"half": {name: list(map(asdict, curve)) for name, curve in card.half.items()}}
        content |= {"kept": None, "beside": None} if allowed is None else asdict(allowed)
        print(json.dumps(content, ensure_ascii=False))
        return
    if allowed is None:
        best = f"{card.best_db:.1f}"
        poor = tr(
            "eight bits come no nearer to float32 than {best} dB; --int8-budget=-1dB takes them all the same", best=best
        )
        say(poor)
    else:
        near, small, beside = f"{allowed.db:.1f}", layers - allowed.kept, allowed.beside
        say(
            tr(
                "{small} of {layers} layers in eight bits, the rest in {beside}: {db} dB to float32",
                small=small, layers=layers, beside=beside, db=near,
            )
        )  # fmt: skip
        moved = sum(len(part.migrations) for part in card.parts.values())
        if moved:
            say(tr("outliers of {count} layer norms move into the weights behind them", count=moved))
    say(tr("kept in {path}", path=path))
