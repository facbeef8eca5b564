"""A program: the peak of memory, in MB above what was there before, of compiling a network in eight bits.

Arguments: a file of weights as `write` makes it, and a precision of a plan.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nutshell.engines import open_engine
from nutshell.machine import PeakMeter
from nutshell.networks.ops import Input, Network, Ops
from nutshell.pipeline.eight_bits import EightBits
from nutshell.plan import Plan
from nutshell.quantization import Scale
from nutshell.weights import Part, Weights
from nutshell.weights.checkpoint import Source
from nutshell.weights.safetensors import read_layout

LAYERS, WIDTH, CHANNELS = 60, 1024, 256
PARAMETERS = LAYERS * (WIDTH * WIDTH + CHANNELS * CHANNELS * 9)
STEP = Scale(float(np.float32(0.05)), 128)


def write(path: Path) -> None:
    """Random weights in float16."""
    from safetensors.numpy import save_file

    random = np.random.default_rng(1)
    arrays = {}
    for place in range(LAYERS):
        arrays[f"linears.{place}.weight"] = _values(random, (WIDTH, WIDTH))
        arrays[f"convolutions.{place}.weight"] = _values(random, (CHANNELS, CHANNELS, 3, 3))
    save_file(arrays, path)


def _values(random: np.random.Generator, shape: tuple[int, ...]) -> Any:
    scale = np.float32(np.prod(shape[1:]) ** -0.5)
    return (random.standard_normal(shape, np.float32) * scale).astype(np.float16)


def chain(ops: Ops[Any], weights: Weights, inputs: Mapping[str, Any]) -> Any:
    """Linears one after another, and convolutions, and their sum."""
    x, y = inputs["x"], inputs["y"]
    for place in range(LAYERS):
        x = ops.relu(ops.linear(x, weights.at("linears", place).take("weight", (WIDTH, WIDTH)), None))
        kernel = weights.at("convolutions", place).take("weight", (CHANNELS, CHANNELS, 3, 3))
        y = ops.relu(ops.conv2d(y, kernel, None, 1, (1, 1, 1, 1)))
    return ops.add(ops.reshape(x, (1, CHANNELS, 4, 4)), y)


def main() -> None:
    part = Part("unet", Source((read_layout(Path(sys.argv[1])),), lambda stored: dict(stored)))
    network = Network("unet", "unet", {"x": Input((1, 4, WIDTH)), "y": Input((1, CHANNELS, 4, 4))}, chain)
    scales = dict.fromkeys((name.removesuffix(".weight") for name in part.weights.names()), STEP)
    engine = open_engine("openvino")
    plan = Plan("openvino", sys.argv[2], threads=1, staged=True, need_bytes=0, reasons=())
    small = EightBits({"unet": scales}, ready=True).applied(network, plan, part, engine.precisions)
    meter = PeakMeter()
    before = meter.bytes()
    session = engine.compile(small, part.weights, "f32", threads=1)
    session(**{name: np.ones(given.shape, np.float32) for name, given in network.inputs.items()})
    print((meter.bytes() - before) / 1e6)


if __name__ == "__main__":
    main()
