"""`nutshell compress distil`: let a smaller model learn from its teacher."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nutshell.cli.compress_common import found, method_parser, tell_of
from nutshell.cli.options import add_settings, settle
from nutshell.cli.report import note
from nutshell.language import tr

if TYPE_CHECKING:
    from nutshell.compress.distil.wish import Wish

DESCRIPTION = tr(
    "Let a model that was pruned learn to draw again from the one that it was made of: it is shown pictures, and held "
    "to what its teacher predicts and to the features on the way there. The pictures are a folder of captioned ones, "
    "or the teacher draws them from a list of prompts. With --steps the new model needs that few steps, without "
    "guidance; with --latent it works at a smaller size. Stopped with Ctrl-C, the same command goes on from there. It "
    'needs PyTorch (pip install "nutshell[train]"), and hours; a graphics card is used where there is one.'
)
EXAMPLES = """\
  nutshell compress distil tiny --teacher stable-diffusion-v1-5 --examples pictures/ --output taught
  nutshell compress distil artist-narrow --teacher artist --prompts prompts.txt --draw 2000 --output taught
  nutshell compress distil taught --teacher taught --prompts prompts.txt --steps 4 --output quick
  nutshell compress distil taught --teacher stable-diffusion-v1-5 --examples pictures/ --latent 32 --output half
"""
STUDENT_HELP = tr("the model that learns: a name, a folder, or a .safetensors file; it stays as it is")
TEACHER_HELP = tr("the model that it was made of")
EXAMPLES_HELP = tr(
    "a folder of pictures, each with its caption in a .txt of the same name, or all in metadata.jsonl; with --steps "
    "only the captions are used"
)
PROMPTS_HELP = tr("instead: a file of prompts, one a line, that the teacher draws")
DRAW_HELP = tr("how many pictures the teacher draws of the prompts (default: one of each, 64 at least)")
STEPS_HELP = tr("teach the model to need only so many steps, with guidance folded in: 1, 2, 4, 5, 8 ...")
LATENT_HELP = tr("the side in latent cells that the new model works at, such as 32 (256 pixels) instead of 64")
BATCHES_HELP = tr("how many batches to learn from (default: 2000)")
BATCH_HELP = tr("pictures in a batch; fewer take less memory (default: 4)")
RATE_HELP = tr("how fast to learn (default: 5e-4, 5e-5 above 100 million parameters; with --steps a third)")
OUTPUT_WEIGHT_HELP = tr("how much the error to the teacher's prediction counts (default: 1; with --latent 0)")
FEATURE_WEIGHT_HELP = tr("how much the error to the teacher's features counts (default: 0.1; with --latent 0)")
DATA_WEIGHT_HELP = tr("how much the error to the pictures themselves counts (default: 0.1; with --latent 1)")
GUIDANCE_HELP = tr("guidance when the teacher draws (default: what suits it)")
SEED_HELP = tr("the same seed learns the same (default: 0)")
DEVICE_HELP = tr("cpu, cuda, mps, xpu or npu (default: cuda where there is one, else cpu)")
PRECISION_HELP = tr("f32 or bf16, for the arithmetic (default: bf16 on a graphics card that has it)")
_NOTE_SECONDS = 30.0


def main(words: Sequence[str]) -> int:
    parser = method_parser("distil", DESCRIPTION, EXAMPLES, model=("STUDENT", STUDENT_HELP))
    parser.add_argument("--teacher", metavar="MODEL", required=True, help=TEACHER_HELP)
    parser.add_argument("--examples", metavar="FOLDER", help=EXAMPLES_HELP)
    parser.add_argument("--prompts", metavar="FILE", help=PROMPTS_HELP)
    parser.add_argument("--draw", type=int, metavar="N", help=DRAW_HELP)
    parser.add_argument("--steps", type=int, default=0, metavar="N", help=STEPS_HELP)
    parser.add_argument("--latent", type=int, metavar="N", help=LATENT_HELP)
    parser.add_argument("--batches", type=int, default=2000, metavar="N", help=BATCHES_HELP)
    parser.add_argument("--batch", type=int, default=4, metavar="N", help=BATCH_HELP)
    parser.add_argument("--rate", type=float, metavar="RATE", help=RATE_HELP)
    parser.add_argument("--output-weight", type=float, metavar="X", help=OUTPUT_WEIGHT_HELP)
    parser.add_argument("--feature-weight", type=float, metavar="X", help=FEATURE_WEIGHT_HELP)
    parser.add_argument("--data-weight", type=float, metavar="X", help=DATA_WEIGHT_HELP)
    parser.add_argument("--guidance", type=float, metavar="X", help=GUIDANCE_HELP)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help=SEED_HELP)
    parser.add_argument("--device", metavar="NAME", help=DEVICE_HELP)
    parser.add_argument("--precision", choices=("f32", "bf16"), help=PRECISION_HELP)
    add_settings(parser, "threads")
    arguments = parser.parse_intermixed_args(words)
    settings = settle(arguments)
    wish = _wish(arguments, settings["threads"])

    from nutshell.compress.distil.run import Ears, distil
    from nutshell.compress.original import open_original

    student, teacher = (open_original(found(name, settings)) for name in (arguments.model, arguments.teacher))
    output = Path(arguments.output).expanduser()
    tell = _silently if settings["quiet"] or settings["json"] else note
    return tell_of(
        lambda progress: distil(student, teacher, wish, output, Ears(progress, tell)),
        arguments.output,
        settings,
        _NOTE_SECONDS,
    )


def _silently(text: str) -> None:
    """Tell nobody."""


def _wish(given: argparse.Namespace, threads: int | None) -> Wish:
    from nutshell.cli.prompts import read_prompts
    from nutshell.compress.distil.wish import Wish
    from nutshell.compress.examples import examples_in

    return Wish(
        examples=tuple(examples_in(Path(given.examples).expanduser())) if given.examples else (),
        prompts=tuple(read_prompts([], given.prompts)) if given.prompts else (),
        draw=given.draw,
        few=given.steps,
        latent=given.latent,
        batches=given.batches,
        batch=given.batch,
        rate=given.rate,
        output_weight=given.output_weight,
        feature_weight=given.feature_weight,
        data_weight=given.data_weight,
        guidance=given.guidance,
        seed=given.seed,
        device=given.device,
        precision=given.precision,
        threads=threads,
    )
