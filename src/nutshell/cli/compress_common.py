"""What the methods of `nutshell compress` that write a model share."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nutshell.cli.options import add_settings, make_parser, settle
from nutshell.cli.report import fancy, note
from nutshell.cli.speech import say, words
from nutshell.errors import UsageError
from nutshell.language import Text, tr
from nutshell.settings import Settings

if TYPE_CHECKING:
    from nutshell.compress.job import Method, Written
    from nutshell.compress.original import Original

MODEL_HELP = tr("the model to make smaller: a name, a folder, or a .safetensors file; it stays as it is")
OUTPUT_HELP = tr("the folder to write; it must not exist yet")
KEPT = tr("what was written is kept; the same command goes on from there")
RESULTS = {
    "layers": tr("layers looked at"),
    "relative_error": tr("relative error of the weights"),
    "layers_of_lower_rank": tr("layers of lower rank"),
    "values_as_factors": tr("values that the factors take, of the layers' own"),
    "zeros": tr("values set to zero"),
    "pictures": tr("pictures learned from"),
    "loss_at_first": tr("loss at first"),
    "loss_at_last": tr("loss at last"),
    "time_saved": tr("time saved (zeros are multiplied as anything else)"),
}
NOTE_SECONDS = 5.0
_PARTS = ("text_encoder", "unet", "vae")


def method_parser(
    method: str, description: Text, examples: str, parts: str = "", model: tuple[str, Text] = ("MODEL", MODEL_HELP)
) -> argparse.ArgumentParser:
    """A parser with MODEL, --output and the settings. parts: the default of --parts; "" for no such flag.

    model: how the model is called, and its help.
    """
    parser = make_parser(f"compress {method}", description, examples)
    parser.add_argument("model", metavar=model[0], help=model[1])
    parser.add_argument("--output", metavar="FOLDER", required=True, help=OUTPUT_HELP)
    if parts:
        parser.add_argument("--parts", default=parts, help=_parts_help(parts))
    add_settings(parser, "models", "store", "sticks", "offline", "json", "quiet", "log_level")
    return parser


def _parts_help(parts: str) -> Text:
    return tr("which parts, with commas: unet, text_encoder, vae (default: {parts})", parts=parts)


def read_parts(text: str) -> tuple[str, ...]:
    """`unet,vae` in the order in which models have them. Raises UsageError."""
    asked = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in asked if name not in _PARTS]
    if unknown or not asked:
        raise UsageError(
            tr("a model has no part {name!r}", name=unknown[0] if unknown else text),
            tr("known: {names}", names=", ".join(_PARTS)),
        )
    return tuple(name for name in _PARTS if name in asked)


def write(arguments: argparse.Namespace, method: Callable[[Original], Method]) -> int:
    """Make the model and tell what was made."""
    settings = settle(arguments)

    from nutshell.compress.job import write_model
    from nutshell.compress.original import open_original

    original = open_original(found(arguments.model, settings))
    how = method(original)
    output = Path(arguments.output).expanduser()
    return tell_of(lambda progress: write_model(original, how, output, progress), arguments.output, settings)


def tell_of(make: Callable[[Progress], Written], output: str, settings: Settings, seconds: float = NOTE_SECONDS) -> int:
    """Make the model, telling how far it is, and what was made. seconds: between two lines where no line is redrawn."""
    try:
        with Progress(settings, seconds) as progress:
            written = make(progress)
    except KeyboardInterrupt:
        if not settings["json"]:
            note(KEPT)
        raise
    if settings["json"]:
        print(json.dumps(_json(written), ensure_ascii=False))
        return 0
    for line in _lines(written, output):
        say(line)
    return 0


def found(model: str, settings: Settings) -> Any:
    """The model of that name. Raises what finding raises."""
    from nutshell.store import find
    from nutshell.store.places import Places

    return find(model, Places.of(settings))


def _lines(written: Written, folder: str) -> Sequence[Text]:
    from nutshell.cli.inspect import megabytes
    from nutshell.compress.history import opens_in_diffusers

    before, after = written.parameters
    lines = [
        tr("{path}: {after:,} parameters (was {before:,})", path=written.path, after=after, before=before),
        tr(
            "weights on disk: {after} (was {before})",
            after=megabytes(written.disk_bytes[1]),
            before=megabytes(written.disk_bytes[0]),
        ),
    ]
    results = written.steps[-1].results
    lines += [
        tr("{name}: {value}", name=title, value=results[name]) for name, title in RESULTS.items() if name in results
    ]
    lines.append(opens_in_diffusers(written.steps))
    lines.append(
        tr("draw with it: {command}", command=f'nutshell "a red apple" --model {folder} {written.flags}'.rstrip())
    )
    return lines


def _json(written: Written) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "path": str(written.path),
        "parameters": {"before": written.parameters[0], "after": written.parameters[1]},
        "disk_bytes": {"before": written.disk_bytes[0], "after": written.disk_bytes[1]},
        "history": [asdict(step) for step in written.steps],
    }


class Progress:
    """A line that is drawn over on a terminal, one every few seconds elsewhere."""

    def __init__(self, settings: Settings, seconds: float = NOTE_SECONDS) -> None:
        self._seconds = seconds
        self._quiet = settings["quiet"] or settings["json"]
        self._fancy = fancy(sys.stderr)
        self._told = time.monotonic()
        self._drawn = False

    def __call__(self, title: Text, done: int, total: int) -> None:
        now = time.monotonic()
        if self._quiet or now - self._told < (0.2 if self._fancy else self._seconds):
            return
        self._told = now
        line = words(tr("{title}: {share:.0f}%", title=title, share=100 * done / max(total, 1)))
        if self._fancy:
            print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
            self._drawn = True
        else:
            print(f"nutshell: {line}", file=sys.stderr, flush=True)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
