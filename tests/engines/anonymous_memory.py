"""Run as a script: how much memory of its own an ONNX session takes over mapped weights, in kilobytes.

    python anonymous_memory.py {F32,F16} {lean,fast}

Prints the size of the weights, how much anonymous memory grew by loading and by running, and the most while it ran.
"""

from __future__ import annotations

import mmap
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nutshell.engines.onnx_engine import OnnxEngine
from nutshell.networks.ops import Input, Network
from nutshell.weights import Tensor, Weights

LAYERS, WIDTH, CONVOLUTIONS, CHANNELS = 12, 1024, 8, 256


def anonymous_kilobytes() -> int:
    found = re.search(r"RssAnon:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])


def most_during(work: Callable[[], Any]) -> int:
    """The most anonymous memory, looked at every millisecond, while `work` runs."""
    seen, done = [anonymous_kilobytes()], threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.append(anonymous_kilobytes())
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    done.set()
    watcher.join()
    return max(seen)


def mapped_weights(dtype: str) -> dict[str, Tensor]:
    """Tensors in one private map of a file that is already unlinked."""
    shapes = {f"linear.{n}": (WIDTH, WIDTH) for n in range(LAYERS)}
    shapes |= {f"conv.{n}": (CHANNELS, CHANNELS, 3, 3) for n in range(CONVOLUTIONS)}
    kind = np.dtype({"F32": np.float32, "F16": np.float16}[dtype])
    tensors, offset = {}, 64
    with tempfile.TemporaryFile() as file:
        file.write(bytes(offset))
        for shape in shapes.values():
            file.write(np.full(shape, 1e-3, kind).tobytes())
        file.flush()
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    for name, shape in shapes.items():
        tensors[name] = Tensor(name, dtype, shape, mapped, offset)
        offset += tensors[name].nbytes
    return tensors


def run(ops: Any, weights: Weights, inputs: Any) -> Any:
    x = inputs["x"]
    for n in range(LAYERS):
        x = ops.linear(x, weights.take(f"linear.{n}", (WIDTH, WIDTH)), None)
    x = ops.reshape(x, (1, CHANNELS, 8, 8))
    for n in range(CONVOLUTIONS):
        x = ops.conv2d(x, weights.take(f"conv.{n}", (CHANNELS, CHANNELS, 3, 3)), None, 1, (1, 1, 1, 1))
    return x


def main(dtype: str, kind: str) -> None:
    tensors = mapped_weights(dtype)
    network = Network(part="probe", name="probe", inputs={"x": Input((1, 16, WIDTH))}, run=run)
    engine = OnnxEngine(lean=kind == "lean")
    start = anonymous_kilobytes()
    session = engine.compile(network, Weights(tensors), threads=1)
    loaded = anonymous_kilobytes() - start
    most = most_during(lambda: [session(x=np.zeros((1, 16, WIDTH), np.float32)) for _ in range(8)]) - start
    ran = anonymous_kilobytes() - start
    print(sum(tensor.nbytes for tensor in tensors.values()) // 1024, loaded, ran, most)


if __name__ == "__main__":
    main(*sys.argv[1:])
