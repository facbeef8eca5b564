"""Eight bits with weights in place: products of integers over a scratch file, against NumPy over the same bits."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from op_cases import stored

from nutshell.engines import onnx_int8
from nutshell.engines.numpy_engine import NumpyEngine
from nutshell.engines.onnx_engine import OnnxEngine
from nutshell.engines.scratch import Scratch
from nutshell.errors import EngineError
from nutshell.networks.ops import Input, Int8Weight, Network
from nutshell.quantization.scales import int8_rows
from nutshell.weights import Tensor, Weights

pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")

REPOSITORY = Path(__file__).parents[2]
HEIGHT, WIDTH = 9, 7
# Kernel, stride and padding of a convolution.
CONVOLUTIONS = {
    "3x3": (3, 1, (1, 1, 1, 1)),
    "1x1": (1, 1, (0, 0, 0, 0)),
    "every second": (3, 2, (0, 0, 1, 1)),
    "1x1 every second": (1, 2, (0, 0, 0, 0)),
    "uneven padding": (3, 1, (0, 1, 1, 2)),
}


def network(kernel: int, stride: int, padding: tuple[int, int, int, int], bias: bool) -> Network:
    """A convolution and a linear over it, both in eight bits."""

    def run(ops: Any, weights: Weights, inputs: Any) -> Any:
        weight = weights.take("conv", (12, 6, kernel, kernel))
        x = ops.fake_quantize(inputs["x"], 0.04, 120)
        x = ops.conv2d(x, eight(weight), weights.take("conv.bias", (12,)) if bias else None, stride, padding)
        _, _, height, width = ops.shape(x)
        x = ops.transpose(ops.reshape(x, (1, 12, height * width)), (0, 2, 1))
        return ops.linear(ops.fake_quantize(x, 0.2, 130), eight(weights.take("linear", (5, 12))), None)

    return Network("probe", "probe", {"x": Input((1, 6, HEIGHT, WIDTH))}, run)


def eight(weight: Tensor) -> Int8Weight:
    return Int8Weight(weight, int8_rows)


def weights(kernel: int, dtype: str = "F16") -> Weights:
    random = np.random.default_rng(kernel)
    shapes = {"conv": (12, 6, kernel, kernel), "conv.bias": (12,), "linear": (5, 12)}
    return Weights({name: stored(name, random.standard_normal(shape), dtype) for name, shape in shapes.items()})


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(5).standard_normal((1, 6, HEIGHT, WIDTH)).astype(np.float32)


@pytest.mark.parametrize("pieces", [1, 500, 10**9])
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_products_give_what_numpy_gives(
    name: str,
    pieces: int,
    picture: np.ndarray,
    tmp_path: Path,
    assert_close: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(onnx_int8, "NEIGHBOURHOODS", pieces)
    monkeypatch.setattr(onnx_int8, "_WIDENED", pieces)
    given, probe = weights(CONVOLUTIONS[name][0]), network(*CONVOLUTIONS[name], bias=pieces > 1)
    session = OnnxEngine(lean=True, scratch=tmp_path / "new").compile(probe, given, threads=1)
    wanted = NumpyEngine().compile(probe, given)(x=picture)
    assert_close(session(x=picture), wanted)
    # Pages that are dropped come back, and no name is left of the file.
    session.release()
    assert_close(session(x=picture), wanted)
    assert not list((tmp_path / "new").iterdir())
    session.close()
    session.release()


def test_without_a_folder_weights_are_in_memory(picture: np.ndarray, assert_close: Callable[..., None]) -> None:
    given, probe = weights(3), network(*CONVOLUTIONS["3x3"], bias=True)
    session = OnnxEngine(lean=True).compile(probe, given, threads=1)
    assert_close(session(x=picture), NumpyEngine().compile(probe, given)(x=picture))
    session.release()


def test_nothing_is_brought_back_from_eight_bits_in_vain() -> None:
    from nutshell.engines.onnx_lean import LeanOnnxOps

    ops, probe = LeanOnnxOps(), network(*CONVOLUTIONS["3x3"], bias=True)
    given = {name: ops.input(name, it) for name, it in probe.inputs.items()}
    ops.model("probe", given, probe.results(ops, weights(3), given))
    kinds = [node.op_type for node in ops._nodes]
    assert kinds.count("MatMulIntegerToFloat") == 2
    assert not {"DequantizeLinear", "Conv", "Gemm"} & set(kinds)


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    engine = OnnxEngine(lean=True, scratch=tmp_path / "file")
    with pytest.raises(EngineError, match="cannot be kept") as refused:
        engine.compile(network(*CONVOLUTIONS["3x3"], bias=True), weights(3))
    assert "--precision" in refused.value.hint


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = Scratch(tmp_path)
    assert scratch.mapped() is None
    scratch.append(np.arange(3, dtype=np.int8))
    assert scratch.append(np.arange(5, dtype=np.int8)) == 64

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EngineError, match=os.strerror(errno.ENOSPC)):
        scratch.append(np.zeros(40 << 20, np.int8))


MEMORY = """
import json, mmap, re, sys, tempfile
from pathlib import Path
import numpy as np
from nutshell.engines.onnx_engine import OnnxEngine
from nutshell.networks.ops import Input, Int8Weight, Network
from nutshell.quantization.scales import int8_rows
from nutshell.weights import Tensor, Weights

LAYERS, CHANNELS = 24, 512
SHAPE = (CHANNELS, CHANNELS, 3, 3)

def memory(kind):
    return int(re.search(kind + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024

with tempfile.TemporaryFile(dir=sys.argv[1]) as file:
    one = np.full(SHAPE, 1e-3, np.float16)
    for _ in range(LAYERS):
        file.write(one.tobytes())
    file.flush()
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
given = Weights({f"w{n}": Tensor(f"w{n}", "F16", SHAPE, mapped, n * one.nbytes) for n in range(LAYERS)})

def quantize(stored):
    made = int8_rows(stored)
    mapped.madvise(mmap.MADV_DONTNEED)
    return made

def run(ops, weights, inputs):
    x = inputs["x"]
    for n in range(LAYERS):
        weight = Int8Weight(weights.take(f"w{n}", SHAPE), quantize)
        x = ops.conv2d(ops.fake_quantize(x, 0.05, 128), weight, None, 1, (1, 1, 1, 1))
    return x

engine = OnnxEngine(lean=True, scratch=Path(sys.argv[1]))
start = memory("RssAnon")
session = engine.compile(Network("probe", "probe", {"x": Input((1, CHANNELS, 8, 8))}, run), given, threads=1)
loaded = memory("RssAnon") - start
session(x=np.ones((1, CHANNELS, 8, 8), np.float32))
ran, pages = memory("RssAnon") - start, memory("RssFile")
session.release()
print(json.dumps([LAYERS * one.size, loaded, ran, pages - memory("RssFile")]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_weights_are_pages_of_a_file(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src")}
    words = [sys.executable, "-c", MEMORY, str(tmp_path)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    parameters, loaded, ran, dropped = json.loads(done.stdout)
    assert max(loaded, ran) < 0.5 * parameters
    assert dropped > 0.9 * parameters
