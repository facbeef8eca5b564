"""`nutshell compress quantize`: weights in eight or four bits."""

from __future__ import annotations

from collections.abc import Sequence

from nutshell.cli.compress_common import method_parser, read_parts, write
from nutshell.language import tr

DESCRIPTION = tr(
    "Store the weights of linear layers and convolutions in eight or four bits. Nutshell draws with such a model as it "
    "lies; other programs cannot open it. In eight bits a half-precision model takes about half of its disk, in four "
    "about 30%. The arithmetic is as before, so pictures take as long as before."
)
EXAMPLES = """\
  nutshell compress quantize artist --output artist-int8
  nutshell compress quantize artist --bits int4 --group 32 --output artist-int4
  nutshell compress quantize artist --bits int4 --dequantized --output artist-rounded
"""
BITS_HELP = tr("int8 or int4 (default: int8)")
PER_TENSOR_HELP = tr("int8: one scale for each weight, instead of one for each output channel")
GROUP_HELP = tr("int4: inputs that share a scale, at most: 32, 64 or 128 (default: 64)")
DEQUANTIZED_HELP = tr("write the rounded numbers in half precision: a normal model, to compare")


def main(words: Sequence[str]) -> int:
    parser = method_parser("quantize", DESCRIPTION, EXAMPLES, parts="text_encoder,unet")
    parser.add_argument("--bits", default="int8", choices=("int8", "int4"), help=BITS_HELP)
    parser.add_argument("--per-tensor", action="store_true", help=PER_TENSOR_HELP)
    parser.add_argument("--group", type=int, default=64, metavar="N", help=GROUP_HELP)
    parser.add_argument("--dequantized", action="store_true", help=DEQUANTIZED_HELP)
    given = parser.parse_intermixed_args(words)

    from nutshell.compress.quantize import Quantize

    return write(
        given,
        lambda _: Quantize(given.bits, given.per_tensor, given.group, given.dequantized, read_parts(given.parts)),
    )
