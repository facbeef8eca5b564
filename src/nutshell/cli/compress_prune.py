"""`nutshell compress prune`: take blocks, channels and heads out of a denoiser."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nutshell.cli.compress_common import method_parser, write
from nutshell.errors import UsageError
from nutshell.language import tr

if TYPE_CHECKING:
    from nutshell.compress.job import Method
    from nutshell.compress.original import Original
    from nutshell.compress.recipes import Wishes

DESCRIPTION = tr(
    "Take out of a model's denoiser what matters least. A recipe of BK-SDM takes out whole blocks; shares and numbers "
    "take out channels and attention heads, chosen by the size of the weights around them. Such a model draws badly "
    "until it is trained again (distilled)."
)
EXAMPLES = """\
  nutshell compress prune stable-diffusion-v1-5 --recipe tiny --output tiny
  nutshell compress prune artist --channels 0.75 --output artist-narrow
  nutshell compress prune stable-diffusion-v1-5 --heads 4 --halve-middle --output four-heads
"""
RECIPE_HELP = tr("base, small or tiny: the blocks that BK-SDM keeps of Stable Diffusion 1.x")
CHANNELS_HELP = tr("the share of every level's channels that stays, such as 0.75; the nearest that fits is taken")
HEADS_HELP = tr("heads that stay of each attention, such as 4 of 8; only Nutshell opens such a model")
MIDDLE_HELP = tr("plain: no attention in the middle block; none: no middle block")
HALVE_HELP = tr("halve what is inside the middle block; only Nutshell opens such a model")
LAYERS_HELP = tr("residual blocks that stay of each level")
LEVELS_HELP = tr("levels that stay, the finest first; the middle block goes with the others")
IMPORTANCE_HELP = tr(
    "how channels and heads are chosen: magnitude (the size of the weights), or taylor (what the loss loses without "
    "them, over --examples; needs the extra nutshell[train]) (default: magnitude)"
)
EXAMPLES_HELP = tr(
    "with --importance taylor: a folder of pictures, each with its caption in a .txt of the same name, or all in "
    "metadata.jsonl"
)
BATCHES_HELP = tr("with --importance taylor: how many batches of four pictures to look at (default: 16)")
UNSTRUCTURED_HELP = tr("instead: set this share of every weight to zero; to compare, for it saves no time and no disk")


def main(words: Sequence[str]) -> int:
    parser = method_parser("prune", DESCRIPTION, EXAMPLES)
    parser.add_argument("--recipe", default="", metavar="NAME", help=RECIPE_HELP)
    parser.add_argument("--channels", type=float, metavar="SHARE", help=CHANNELS_HELP)
    parser.add_argument("--heads", type=int, default=0, metavar="N", help=HEADS_HELP)
    parser.add_argument("--middle", default="", choices=("plain", "none"), help=MIDDLE_HELP)
    parser.add_argument("--halve-middle", action="store_true", help=HALVE_HELP)
    parser.add_argument("--layers", type=int, default=0, metavar="N", help=LAYERS_HELP)
    parser.add_argument("--levels", type=int, default=0, metavar="N", help=LEVELS_HELP)
    parser.add_argument("--importance", default="magnitude", choices=("magnitude", "taylor"), help=IMPORTANCE_HELP)
    parser.add_argument("--examples", metavar="FOLDER", help=EXAMPLES_HELP)
    parser.add_argument("--batches", type=int, default=16, metavar="N", help=BATCHES_HELP)
    parser.add_argument("--unstructured", type=float, metavar="SHARE", help=UNSTRUCTURED_HELP)
    arguments = parser.parse_intermixed_args(words)
    return write(arguments, lambda original: _method(arguments, original))


def _method(arguments: argparse.Namespace, original: Original) -> Method:
    from nutshell.compress.prune import Prune, Sparsify
    from nutshell.compress.recipes import Wishes

    wishes = Wishes(
        arguments.recipe,
        arguments.channels,
        arguments.heads,
        arguments.middle,
        arguments.halve_middle,
        arguments.layers,
        arguments.levels,
    )
    if arguments.unstructured is None:
        if arguments.importance == "magnitude":
            return Prune(wishes)
        return _first_order(wishes, arguments, original)
    if wishes != Wishes():
        raise UsageError(
            tr("--unstructured stands alone"), tr("make one model with it, and another with the other flags")
        )
    return Sparsify(arguments.unstructured)


def _first_order(wishes: Wishes, arguments: argparse.Namespace, original: Original) -> Method:
    from nutshell.compress.examples import examples_in
    from nutshell.compress.prune import Prune
    from nutshell.compress.taylor import importance

    if not arguments.examples or arguments.batches < 1:
        raise UsageError(
            tr("--importance taylor needs pictures to learn from"),
            tr("name a folder of captioned pictures with --examples, and one batch or more"),
        )
    found = importance(original, examples_in(Path(arguments.examples).expanduser()), arguments.batches)
    return Prune(wishes, found.scores, f"taylor, {arguments.batches} batches ({found.digest[:12]})")
