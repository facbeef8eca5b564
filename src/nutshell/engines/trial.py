"""A small network through an engine, in a process of its own: whether it computes here at all, and rightly.

    python -m nutshell.engines.trial openvino

For processors that an engine is no longer made for: an instruction that is not there ends that process, and no other.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from nutshell.engines.numpy_engine import NumpyEngine
from nutshell.engines.ports import why_it_ended
from nutshell.language import Text, tr
from nutshell.networks.ops import Input, Network, Ops
from nutshell.weights import Tensor, Weights

SECONDS = 60.0
"""An old processor with a slow disk: the import alone may take ten."""

_CLOSE = 1e-3
_WIDTH, _HEADS, _GROUPS, _SIDE = 32, 2, 4, 8
SHAPES = {
    "conv.weight": (_WIDTH, _WIDTH, 3, 3),
    "linear.weight": (_WIDTH, _WIDTH),
    "weight": (_WIDTH,),
    "bias": (_WIDTH,),
}


def trial(engine: str, seconds: float = SECONDS) -> Text | None:
    """Why `engine` cannot be used on this machine; None if it draws the small network as NumPy does."""
    paths = [path for path in sys.path if path]
    process = subprocess.Popen(
        [sys.executable, "-m", "nutshell.engines.trial", engine],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    try:
        output, complaint = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return tr("did not answer within {seconds:g} s", seconds=seconds)
    if process.returncode != 0:
        return Text(why_it_ended(process.returncode, complaint.decode("utf-8", "replace")))
    if output.strip() != b"right":
        return tr("it computes wrong results on this processor")
    return None


def small_network() -> Network:
    """Every operation of weight that a text encoder, denoiser or decoder is made of."""

    def run(ops: Ops[Any], weights: Weights, inputs: Mapping[str, Any]) -> Any:
        stored = {name: weights.take(name, shape) for name, shape in SHAPES.items()}
        scale, shift = stored["weight"], stored["bias"]
        x = ops.conv2d(inputs["x"], stored["conv.weight"], shift, 1, (1, 1, 1, 1))
        x = ops.silu(ops.group_norm(x, scale, shift, _GROUPS, 1e-5))
        rows = ops.transpose(ops.reshape(x, (1, _WIDTH, _SIDE * _SIDE)), (0, 2, 1))
        rows = ops.layer_norm(ops.linear(rows, stored["linear.weight"], shift), scale, shift, 1e-5)
        rows = ops.gelu(ops.attention(rows, rows, rows, _HEADS, False))
        x = ops.add(x, ops.reshape(ops.transpose(rows, (0, 2, 1)), (1, _WIDTH, _SIDE, _SIDE)))
        return ops.tanh(ops.upsample(ops.concat([x, ops.relu(x)], 1), 2 * _SIDE, 2 * _SIDE))

    return Network("trial", "trial", {"x": Input((1, _WIDTH, _SIDE, _SIDE))}, run)


def main(name: str) -> None:
    """Say "right" where the engine comes near to NumPy."""
    from nutshell.engines.openvino_engine import OpenVinoEngine

    if name != "openvino":
        raise SystemExit(f"no trial of {name}")
    random = np.random.default_rng(0)
    tensors = {key: random.standard_normal(shape).astype(np.float32) / 8 for key, shape in SHAPES.items()}
    weights = Weights({key: Tensor.of(key, values) for key, values in tensors.items()})
    x = random.standard_normal((1, _WIDTH, _SIDE, _SIDE)).astype(np.float32)
    got, wanted = (
        engine.compile(small_network(), weights, "f32")(x=x) for engine in (OpenVinoEngine(tried=True), NumpyEngine())
    )
    print("right" if np.abs(got - wanted).max() <= _CLOSE else "wrong", flush=True)
    # At its end a broken library may crash once more.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
