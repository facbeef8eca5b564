"""What the tests of this room share: pictures, random weights that behave, and how far two results are apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from nutshell.engines import open_engine
from nutshell.engines.cost import CostOps
from nutshell.errors import Shape, WeightsMismatch
from nutshell.networks.ops import Network, Ops
from nutshell.networks.unet_config import UNetConfig
from nutshell.quantization import FULL_WEIGHT, SAFE_WEIGHT, Scales, quantized
from nutshell.weights import Tensor, Weights

# A small denoiser with attention to itself and to a condition.
UNET = UNetConfig.read(
    {
        "block_out_channels": (32, 64),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "mid_block_type": None,
        "cross_attention_dim": 24,
        "attention_head_dim": 2,
        "norm_num_groups": 8,
    }
)

F32 = npt.NDArray[np.float32]


_PROCESSOR = Path("/proc/cpuinfo")
# Where nothing tells, it is taken to be missing, which is always safe.
VNNI = _PROCESSOR.exists() and any(flag in _PROCESSOR.read_text() for flag in ("avx512_vnni", "avx_vnni"))
LARGEST_WEIGHT = FULL_WEIGHT if VNNI else SAFE_WEIGHT


def small(network: Network, scales: Scales) -> Network:
    """The network in eight bits as this processor can compute them."""
    return quantized(network, scales, LARGEST_WEIGHT)


def picture(seed: int, side: int) -> F32:
    """Some ellipses and rectangles of random colours, (1, 3, side, side) in [-1, 1]."""
    random = np.random.default_rng(seed)

    def colour() -> tuple[int, ...]:
        return tuple(int(value) for value in random.integers(0, 256, 3))

    image = Image.new("RGB", (side, side), colour())
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = (int(value) for value in random.integers(0, side, 2))
        width, height = (int(value) for value in random.integers(side // 8, side // 2, 2))
        box = (x - width // 2, y - height // 2, x + width // 2, y + height // 2)
        shape = (draw.ellipse, draw.rectangle)[int(random.integers(2))]
        shape(box, fill=colour(), outline=colour(), width=2)
    return (np.asarray(image, np.float32) / np.float32(127.5) - 1).transpose(2, 0, 1)[None]


def random_weights(account: Callable[[Any, Weights, Ops[Any]], None], config: Any) -> Weights:
    """Weights for every tensor that a network asks for, of a size that keeps activations near one."""
    shapes: dict[str, Shape] = {}
    try:
        account(config, Weights({}), CostOps())
    except WeightsMismatch as error:
        shapes = error.missing
    random = np.random.default_rng(7)

    def values(shape: Shape, name: str) -> F32:
        noise = random.standard_normal(shape).astype(np.float32)
        if len(shape) > 1:
            return noise / np.float32(math.sqrt(math.prod(shape[1:])))
        return np.float32(0.1) * noise + np.float32(name.endswith("weight"))

    return Weights({name: Tensor.of(name, values(shape, name)) for name, shape in shapes.items()}, "test")


def snr(got: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> float:
    """Spread of what was wanted over the error, in dB."""
    assert got.shape == wanted.shape
    assert np.isfinite(got).all()
    error = float(np.mean((got.astype(np.float64) - wanted) ** 2))
    return math.inf if error == 0 else 10 * math.log10(float(wanted.var()) / error)


def assert_same_eight_bits(
    network: Network,
    weights: Weights,
    scales: Scales,
    engine: str,
    examples: Sequence[Mapping[str, F32]],
    least: float = 80,
) -> None:
    """An engine computes the fake-quantized network as NumPy does.

    Where float32 leaves a value on the edge between two steps, engines may round it to either side, and
    the difference spreads. So not every example can come out the same: one has to reach `least` dB, and
    every one has to be as near to float32 as NumPy's eight bits are.
    """
    reference, eight_bits = open_engine("numpy"), small(network, scales)
    session = open_engine(engine).compile(eight_bits, weights, "f32", threads=1)
    same = []
    for inputs in examples:
        wanted, full = (reference.compile(way, weights)(**inputs) for way in (eight_bits, network))
        got = session(**inputs)
        same.append(snr(got, wanted))
        assert 20 <= snr(got, full) < 70
        assert abs(snr(got, full) - snr(wanted, full)) < 2
    session.close()
    assert max(same) >= least, same


def psnr(got: F32, wanted: F32) -> float:
    """Of two pictures in [-1, 1], as they are shown: clipped, in dB."""
    error = float(np.mean((np.clip(got, -1, 1) - np.clip(wanted, -1, 1)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(4 / error)
