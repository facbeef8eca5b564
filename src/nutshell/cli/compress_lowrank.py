"""`nutshell compress lowrank`: linear layers of fewer ranks."""

from __future__ import annotations

from collections.abc import Sequence

from nutshell.cli.compress_common import method_parser, read_parts, write
from nutshell.language import tr

DESCRIPTION = tr(
    "Put each linear layer and 1x1 convolution together of its strongest directions (singular value decomposition). A "
    "layer for which two factors would be more work than itself stays as it is. By default the product of the factors "
    "is stored, a normal model that shows what is lost and saves nothing; with --factors they are stored and run one "
    "after the other, which saves disk and work."
)
EXAMPLES = """\
  nutshell compress lowrank artist --energy 0.95 --factors --output artist-lowrank
"""
ENERGY_HELP = tr("the share of a layer's squared singular values to keep (default: 0.95)")
FACTORS_HELP = tr("store two factors for each layer that gains; only Nutshell opens such a model")


def main(words: Sequence[str]) -> int:
    parser = method_parser("lowrank", DESCRIPTION, EXAMPLES, parts="unet")
    parser.add_argument("--energy", type=float, default=0.95, metavar="SHARE", help=ENERGY_HELP)
    parser.add_argument("--factors", action="store_true", help=FACTORS_HELP)
    arguments = parser.parse_intermixed_args(words)

    from nutshell.compress.lowrank import LowRank

    return write(arguments, lambda _: LowRank(arguments.energy, arguments.factors, read_parts(arguments.parts)))
