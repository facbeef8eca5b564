"""`nutshell generate`: draw pictures from prompts."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nutshell.cli.options import add_settings, make_parser, settle
from nutshell.cli.outputs import Outputs
from nutshell.cli.progress import Show
from nutshell.cli.prompts import read_prompts
from nutshell.cli.report import Signals
from nutshell.settings import Settings

if TYPE_CHECKING:
    from nutshell.pipeline import Request
    from nutshell.store import Found

DESCRIPTION = "Draw pictures from a prompt. Several words are one prompt; --from-file takes one prompt a line."
EXAMPLES = """\
examples:
  nutshell generate "a red apple" --seed 7 --size 256 --output apple.png
  nutshell generate "a green apple" --image apple.png --strength 0.6
  nutshell generate --from-file prompts.txt --count 2 --output pictures/ --json
"""
PROMPT_HELP = "what to draw; - reads prompts from standard input, one a line"
FROM_FILE_HELP = "prompts, one a line (- for standard input); empty lines and those that begin with # are skipped"
IMAGE_HELP = "a picture to start from"
MASK_HELP = "white where --image is to be redrawn, black where it stays"


def main(words: Sequence[str], *, load: Callable[..., Any] | None = None, signals: Signals) -> int:
    """What is wrong with a request in itself is found before the model is loaded."""
    arguments = _parser().parse_intermixed_args(words)
    settings = settle(arguments)
    prompts = read_prompts(arguments.prompt, arguments.from_file)
    requests = _requests(prompts, arguments, settings)
    outputs = Outputs(settings["output"], several=len(requests) * settings["count"] > 1)
    outputs.check()
    with Show(settings, outputs.folder, signals) as show, _open_model(settings, load) as model:
        for request in requests:
            show.begin(request.prompt, request.count)
            for picture in model.draw(request, show.step):
                show.done(picture, outputs.save(picture, request.prompt))
    return 0


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
        *("model", "models", "vae", "preview_vae", "embedding", "prediction", "engine", "precision", "threads"),
        *("max_memory", "learn"),
        *("store", "sticks", "offline"),
        *("output", "preview", "json", "quiet", "log_level"),
    )
    return parser


def _requests(prompts: Sequence[str], arguments: argparse.Namespace, settings: Settings) -> list[Request]:
    from nutshell.pipeline import Request
    from nutshell.pipeline.picture_file import open_picture

    fields = settings.given(
        *("steps", "guidance", "guidance_interval", "guidance_rescale", "sampler", "schedule", "spacing", "eta"),
        *("seed", "count", "strength", "mask_blur", "clip_skip"),
    )
    if settings["size"] is not None:
        fields["width"], fields["height"] = settings["size"]
    for name in ("image", "mask"):
        if getattr(arguments, name) is not None:
            fields[name] = open_picture(Path(getattr(arguments, name)))
    return [Request(prompt, settings["negative"], **fields) for prompt in prompts]


def _open_model(settings: Settings, load: Callable[..., Any] | None) -> Any:
    model: str | Found = settings["model"]
    if load is None:
        from nutshell.pipeline import load as load_model
        from nutshell.store import find
        from nutshell.store.places import Places

        load, model = load_model, find(settings["model"], Places.of(settings))
    options = {name: settings[name] for name in ("engine", "precision", "threads", "vae", "preview_vae", "prediction")}
    options |= {name: settings[name] for name in ("max_memory", "learn")}
    return load(model, embeddings=settings["embedding"], **options)
