"""Layers in eight bits as products of integers, written out for ONNX Runtime.

Its own convolution of integers (ConvInteger) takes four times as long as one in float32, and QLinearConv rounds the
result to eight bits too. A convolution as the product of a matrix of its inputs' neighbourhoods with its weights is
one `MatMulIntegerToFloat`, exact but for what quantizing took, in a fifth of the time of float32 where the processor
has VNNI.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product

import numpy as np
import numpy.typing as npt

from nutshell.networks.ops import Int8Weight
from nutshell.weights import Quantized

# Bytes of the matrix of neighbourhoods that there is at a time; it is there twice while it is put together.
NEIGHBOURHOODS = 12_000_000
# Values of a weight that are widened to be quantized at a time.
_WIDENED = 4 << 20


def int8_columns(weight: Int8Weight) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """A layer's weight as the right side of a product, (inputs, out), inputs by place of the kernel, then channel;
    and the scale of each column. Quantized in pieces: no more than one is ever in float32."""
    out = weight.shape[0]
    columns, scales = np.empty((weight.size // out, out), np.int8), np.empty(out, np.float32)
    for start, stop, (values, its_scales) in _quantized(weight):
        columns[:, start:stop] = values.transpose(*range(2, values.ndim), 1, 0).reshape(-1, stop - start)
        scales[start:stop] = its_scales
    return columns, scales


def _quantized(
    weight: Int8Weight,
) -> Iterator[tuple[int, int, tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]]]:
    """First and last output channel, and their values and scales."""
    out = weight.shape[0]
    if isinstance(weight.stored, Quantized):
        # It is in few bits already.
        yield 0, out, weight.quantize(weight.stored)
        return
    step = max(1, out // math.ceil(weight.size / _WIDENED))
    for start in range(0, out, step):
        stop = min(start + step, out)
        yield start, stop, weight.quantize(weight.stored.rows(start, stop))


def row_pieces(height: int, row_bytes: int) -> list[tuple[int, int]]:
    """Rows of a convolution's result whose neighbourhoods are made at once."""
    step = math.ceil(height / math.ceil(height * row_bytes / NEIGHBOURHOODS))
    return [(start, min(start + step, height)) for start in range(0, height, step)]


def neighbours(kernel: tuple[int, int]) -> list[tuple[int, int]]:
    """Places of a kernel, row by row, in the order of `int8_columns`."""
    return list(product(range(kernel[0]), range(kernel[1])))
