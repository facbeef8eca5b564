"""`nutshell compress report`: two models side by side."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nutshell.cli.options import add_settings, make_parser, settle
from nutshell.cli.report import note
from nutshell.cli.speech import padded, width, words
from nutshell.language import Text, tr

if TYPE_CHECKING:
    from nutshell.compress.report import Column, Report

DESCRIPTION = tr(
    "Compare two models: what they weigh, how much work a step is, how long it takes, the most memory, and how alike "
    "their pictures of the same prompts and seeds are. Both draw with the steps, guidance and sampler of the first, "
    "one after the other, each in a process of its own."
)
EXAMPLES = """\
  nutshell compress report artist artist-int8 --sheet sheet.png
  nutshell compress report stable-diffusion-v1-5 tiny --steps 10 --json
"""
FIRST_HELP = tr("the model to compare with")
SECOND_HELP = tr("the model that was made of it")
PROMPT_HELP = tr("what to draw; may be given several times (default: four prompts)")
SHEET_HELP = tr("write the pictures side by side to this PNG")
JUDGE_HELP = tr(
    "draw N prompts of the artist's evaluation and let the judge read them; needs the repository and PyTorch"
)


def main(given: Sequence[str]) -> int:
    parser = make_parser("compress report", DESCRIPTION, EXAMPLES)
    parser.add_argument("first", metavar="A", help=FIRST_HELP)
    parser.add_argument("second", metavar="B", help=SECOND_HELP)
    parser.add_argument("--prompt", action="append", metavar="TEXT", help=PROMPT_HELP)
    parser.add_argument("--sheet", metavar="FILE", help=SHEET_HELP)
    parser.add_argument("--judge", type=int, default=0, metavar="N", help=JUDGE_HELP)
    add_settings(
        parser,
        *("size", "steps", "guidance", "seed", "engine", "precision", "threads"),
        *("models", "store", "sticks", "offline", "json", "quiet", "log_level"),
    )
    arguments = parser.parse_intermixed_args(given)
    settings = settle(arguments)

    from nutshell.compress.report import PROMPTS, Wish, compare
    from nutshell.store import find
    from nutshell.store.places import Places

    places, size = Places.of(settings), settings["size"]
    wish = Wish(
        arguments.prompt or PROMPTS,
        1 if settings["seed"] is None else settings["seed"],
        settings["steps"],
        size[0] if size else None,
        size[1] if size else None,
        settings["guidance"],
        {key: settings[key] for key in ("engine", "precision", "threads") if settings[key] is not None},
        arguments.judge,
    )
    quiet = settings["quiet"] or settings["json"]
    sheet = Path(arguments.sheet).expanduser() if arguments.sheet else None
    report = compare(
        find(arguments.first, places),
        find(arguments.second, places),
        wish,
        sheet,
        lambda name: None if quiet else note(tr("drawing with {name}", name=name)),
    )
    if settings["json"]:
        print(json.dumps(report.to_json(), ensure_ascii=False))
        return 0
    for line in report_lines(report):
        print(line)
    if sheet is not None:
        print(words(tr("pictures: {path}", path=sheet)))
    sys.stdout.flush()
    return 0


def report_lines(report: Report) -> Iterator[str]:
    """A table for people: a row for each figure, a column for each model, and what B is of A."""
    first, second = report.columns
    table: list[tuple[str, str, str, str]] = [("", first.name, second.name, words(tr("B of A")))]
    table += [(words(title), *cells) for title, cells in _rows(first, second)]
    widths = [max(width(row[place]) for row in table) for place in range(4)]
    for row in table:
        cells = [padded(row[0], widths[0]), *(padded(row[n], widths[n], right=True) for n in (1, 2, 3))]
        yield "  ".join(cells).rstrip()
    yield ""
    infinite = words(tr("infinite (equal)"))
    shown = f"{report.psnr:.2f} dB" if math.isfinite(report.psnr) else infinite
    yield words(
        tr("pictures of the same seeds: PSNR {psnr}, SSIM {ssim:.4f}, mean of {count}", psnr=shown, ssim=report.ssim,
           count=len(report.orders))
    )  # fmt: skip
    order = report.orders[0]
    yield words(
        tr(
            "drawn at {size} with {steps} steps, guidance {guidance}, sampler {sampler}",
            size=f"{order['width']}x{order['height']}",
            steps=order["steps"],
            guidance=order["guidance"],
            sampler=order["sampler"],
        )
    )
    if report.no_judge:
        yield words(report.no_judge)
    elif second.judged and second.judged.frechet is None:
        yield words(tr("too few pictures for a Frechet distance: ask with --judge 100 or more"))


def _rows(first: Column, second: Column) -> Iterator[tuple[Text, tuple[str, str, str]]]:
    names = {"text_encoder": tr("text encoder"), "unet": tr("denoiser"), "vae": tr("autoencoder")}
    for part, said in names.items():
        pair = first.parameters.get(part, 0), second.parameters.get(part, 0)
        yield tr("parameters, {part}", part=said), _cells(pair, 1e6, "{:,.2f} M")
    sizes = sum(first.weight_bytes.values()), sum(second.weight_bytes.values())
    yield tr("weights on disk"), _cells(sizes, 1e6, "{:,.1f} MB")
    yield tr("operations a step"), _cells((first.step_operations, second.step_operations), 1e9, "{:,.2f} G")
    decoders = first.decoder_operations, second.decoder_operations
    yield tr("operations of the decoder"), _cells(decoders, 1e9, "{:,.2f} G")
    yield tr("seconds a step"), _cells((first.step_seconds, second.step_seconds), 1, "{:.4f}")
    yield tr("seconds to load"), _cells((first.load_seconds, second.load_seconds), 1, "{:.2f}")
    yield tr("peak memory"), _cells((first.peak_bytes, second.peak_bytes), 1e6, "{:,.0f} MB")
    if first.judged and second.judged:
        yield tr("judge: right answers"), _cells((first.judged.accuracy, second.judged.accuracy), 1, "{:.1f}%")
        if second.judged.frechet is not None:
            yield tr("Frechet distance from A"), _cells((0.0, second.judged.frechet), 1, "{:.2f}")


def _cells(pair: tuple[Any, Any], unit: float, form: str) -> tuple[str, str, str]:
    shown = ["-" if value is None else form.format(value / unit) for value in pair]
    known = None not in pair and pair[0]
    return shown[0], shown[1], f"{100 * pair[1] / pair[0]:.0f}%" if known else ""
