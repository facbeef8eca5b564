"""`nutshell generate`: draw pictures from prompts."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nutshell.cli.drawing import draw, open_model, request_of
from nutshell.cli.options import add_settings, make_parser, settle
from nutshell.cli.outputs import Outputs
from nutshell.cli.progress import Show
from nutshell.cli.prompts import read_prompts
from nutshell.cli.report import Signals, note
from nutshell.language import tr
from nutshell.settings import Settings

if TYPE_CHECKING:
    from nutshell.pipeline import Request

DESCRIPTION = tr("Draw pictures from a prompt. Several words are one prompt; --from-file takes one prompt a line.")
EXAMPLES = """\
  nutshell generate "a red apple" --seed 7 --size 256 --output apple.png
  nutshell generate "a green apple" --image apple.png --strength 0.6
  nutshell generate --from-file prompts.txt --count 2 --output pictures/ --json
"""
PROMPT_HELP = tr("what to draw; - reads prompts from standard input, one a line")
FROM_FILE_HELP = tr("prompts, one a line (- for standard input); empty lines and those that begin with # are skipped")
IMAGE_HELP = tr("a picture to start from")
MASK_HELP = tr("white where --image is to be redrawn, black where it stays")


def main(words: Sequence[str], *, load: Callable[..., Any] | None = None, signals: Signals) -> int:
    """What is wrong with a request in itself is found before the model is loaded."""
    arguments = _parser().parse_intermixed_args(words)
    settings = settle(arguments)
    prompts = read_prompts(arguments.prompt, arguments.from_file)
    requests = _requests(prompts, arguments, settings)
    outputs = Outputs(settings["output"], several=len(requests) * settings["count"] > 1)
    outputs.check()
    with Show(settings, outputs.folder, signals) as show, open_model(settings, load) as model:
        for request in requests:
            draw(model, request, show, outputs)
        if not (settings["quiet"] or settings["json"]):
            _advise(model, requests[0])
    return 0


def _advise(model: Any, request: Request) -> None:
    """Say once for each model that it could draw in eight bits, where that helps. After the pictures: it can wait."""
    advice = model.calibration_advice(request)
    if advice is not None:
        note(advice)


def _parser() -> argparse.ArgumentParser:
    parser = make_parser("generate", DESCRIPTION, EXAMPLES)
    parser.add_argument("prompt", nargs="*", metavar="PROMPT", help=PROMPT_HELP)
    parser.add_argument("--from-file", metavar="FILE", help=FROM_FILE_HELP)
    parser.add_argument("--image", metavar="FILE", help=IMAGE_HELP)
    parser.add_argument("--mask", metavar="FILE", help=MASK_HELP)
    add_settings(
        parser,
        *("negative", "size", "steps", "guidance", "guidance_interval", "guidance_rescale", "sampler", "schedule"),
        *("spacing", "eta", "seed", "count", "strength", "mask_blur", "clip_skip"),
        *("fast", "reuse", "reuse_depth", "merge", "fewer_keys", "int8_attention"),
        *("model", "models", "vae", "preview_vae", "embedding", "prediction", "engine", "precision", "threads"),
        *("int8_budget", "max_memory", "polite", "learn", "compile_cache", "compile_cache_limit"),
        *("store", "sticks", "offline"),
        *("output", "preview", "json", "quiet", "log_level"),
    )
    return parser


def _requests(prompts: Sequence[str], arguments: argparse.Namespace, settings: Settings) -> list[Request]:
    from nutshell.pipeline.picture_file import open_picture

    files = (arguments.image, arguments.mask)
    image, mask = (open_picture(Path(file)) if file is not None else None for file in files)
    return [request_of(prompt, settings, image, mask) for prompt in prompts]
