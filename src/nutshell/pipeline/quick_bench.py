"""What this machine does in a second: measured through the engine that will draw, in well under 20 s."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nutshell.engines import Engine
from nutshell.engines.cost import price
from nutshell.errors import EngineError
from nutshell.networks import layers, unet
from nutshell.networks.ops import Input, Int8Weight, Network, Ops
from nutshell.pipeline.facts import read_unet
from nutshell.plan import Rates
from nutshell.settings import DEFAULT_MODEL
from nutshell.store import find
from nutshell.weights import Tensor, Weights, open_checkpoint

# A level of Stable Diffusion at 512 pixels, where most of its time goes: 3x3 convolution, then feed-forward.
_CHANNELS, _INNER, _SIDE = 640, 2560, 32
_OPERATIONS = 2 * _SIDE**2 * _CHANNELS * (9 * _CHANNELS + 2 * _INNER)
_SHAPES = {
    "conv.weight": (_CHANNELS, _CHANNELS, 3, 3),
    "conv.bias": (_CHANNELS,),
    "up.weight": (_INNER, _CHANNELS),
    "up.bias": (_INNER,),
    "down.weight": (_CHANNELS, _INNER),
    "down.bias": (_CHANNELS,),
}
_TOKENS = 77
_ENOUGH_SECONDS, _MOST_ROUNDS = 0.6, 20
_COPIED_BYTES = 256 << 20  # More than any common processor caches.
_READ_BYTES = 256 << 20
_PIECE_BYTES = 4 << 20
_LEAST_READ_BYTES = 1 << 20  # less says nothing of a disk


def measure_rates(engine: Engine, models: Sequence[Path], usable_bytes: int) -> Rates:
    """Rates of the processor, of memory, of reading from the first of `models` that holds a model, and of building.

    usable_bytes: free memory, of which a small part is taken. A precision that the engine refuses is left out.
    """
    rates: dict[str, float] = {}
    for precision in (*engine.precisions, "int8"):
        with contextlib.suppress(EngineError):
            rates[precision] = operation_rate(engine, precision)
    block = min(_COPIED_BYTES, usable_bytes // 8)
    return Rates(rates, copy_rate(block), read_rate(models), node_build_seconds(engine), guessed=False)


def operation_rate(engine: Engine, precision: str, threads: int | None = None) -> float:
    """Operations per second, a multiply-add counted as two. "int8": eight-bit weights and inputs."""
    eight_bits = precision == "int8"
    working = ("f32" if "f32" in engine.precisions else engine.precisions[0]) if eight_bits else precision
    random = np.random.default_rng(0)
    tensors = {
        name: Tensor.of(name, (random.standard_normal(shape) * 0.02).astype(np.float32))
        for name, shape in _SHAPES.items()
    }
    session = engine.compile(_network(eight_bits), Weights(tensors), working, threads)
    try:
        given = random.standard_normal((1, _CHANNELS, _SIDE, _SIDE)).astype(np.float32)
        session(x=given)  # The first call lays out memory.
        seconds: list[float] = []
        while len(seconds) < _MOST_ROUNDS and sum(seconds) < _ENOUGH_SECONDS:
            begun = time.perf_counter()
            session(x=given)
            seconds.append(time.perf_counter() - begun)
    finally:
        session.close()
    return _OPERATIONS / statistics.median(seconds)


def copy_rate(size: int) -> float:
    """Bytes per second between processor and memory: each byte of a copy is read and written."""
    source, target = np.ones(size, np.uint8), np.zeros(size, np.uint8)
    seconds = []
    for _ in range(5):
        begun = time.perf_counter()
        np.copyto(target, source)
        seconds.append(time.perf_counter() - begun)
    return 2 * size / max(statistics.median(seconds), 1e-9)


def node_build_seconds(engine: Engine) -> float:
    """Seconds that the engine takes to make ready one node of a graph: of the built-in denoiser, which is small."""
    found = find(DEFAULT_MODEL)
    with open_checkpoint(found.path, base=found.base).open("unet") as part:
        config = read_unet(part)
        network = unet.denoiser(config, config.sample_size, config.sample_size, _TOKENS)
        begun = time.perf_counter()
        engine.compile(network, part.weights, "f32").close()
        return (time.perf_counter() - begun) / price(network, part.weights).nodes


def read_rate(folders: Sequence[Path]) -> float:
    """Bytes per second of reading the largest file below the first of `folders` that has one worth it.

    From its disk where the system lets go of its pages (Linux), else perhaps from memory. 0 where there is none.
    """
    largest = (max(_files(folder), key=_size, default=None) for folder in folders)
    path = next((path for path in largest if path is not None and _size(path) >= _LEAST_READ_BYTES), None)
    if path is None:
        return 0.0
    with path.open("rb", buffering=0) as stream:
        advise = getattr(os, "posix_fadvise", None)
        if advise is not None:
            with contextlib.suppress(OSError):
                advise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        done, begun = 0, time.perf_counter()
        while done < _READ_BYTES and (piece := stream.read(_PIECE_BYTES)):
            done += len(piece)
        return done / max(time.perf_counter() - begun, 1e-9)


def _size(path: Path) -> int:
    return path.stat().st_size


def _files(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            with contextlib.suppress(OSError):
                if path.is_file():
                    yield path


def _network(eight_bits: bool) -> Network:
    def weight(tensor: Tensor) -> Any:
        return Int8Weight(tensor, _rounded) if eight_bits else tensor

    def rounded(ops: Ops[Any], x: Any) -> Any:
        return ops.fake_quantize(x, 8 / 255, 128) if eight_bits else x

    def linear(ops: Ops[Any], weights: Weights, name: str, x: Any) -> Any:
        stored = weights.take(f"{name}.weight", _SHAPES[f"{name}.weight"])
        return ops.linear(rounded(ops, x), weight(stored), weights.take(f"{name}.bias", _SHAPES[f"{name}.bias"]))

    def run(ops: Ops[Any], weights: Weights, given: Mapping[str, Any]) -> Any:
        stored = weights.take("conv.weight", _SHAPES["conv.weight"])
        bias = weights.take("conv.bias", _SHAPES["conv.bias"])
        x = ops.silu(ops.conv2d(rounded(ops, given["x"]), weight(stored), bias, 1, (1, 1, 1, 1)))
        return linear(ops, weights, "down", ops.gelu(linear(ops, weights, "up", layers.to_sequence(ops, x))))

    return Network("bench", "bench", {"x": Input((1, _CHANNELS, _SIDE, _SIDE))}, run)


def _rounded(stored: Tensor) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    values = stored.f32()
    scales = np.abs(values.reshape(len(values), -1)).max(axis=1) / np.float32(127)
    shaped = scales.reshape(-1, *(1,) * (values.ndim - 1))
    return np.round(values / shaped).astype(np.int8), scales.astype(np.float32)
