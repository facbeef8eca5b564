"""PyTorch, eager: for graphics cards and accelerators. An optional extra, never needed on a CPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from nutshell.engines.heap import trim_heap
from nutshell.errors import EngineError, EngineUnavailable, UsageError
from nutshell.language import Text, tr
from nutshell.networks.ops import Network
from nutshell.weights import Weights

Array = npt.NDArray[Any]

DEVICES = ("cpu", "cuda", "mps", "xpu", "npu")
"""Kinds of device: processor, NVIDIA or AMD card, Apple, Intel, Ascend."""


class TorchSession:
    """A network, its weights on the device, and nothing compiled: every call runs it anew."""

    def __init__(self, torch: Any, ops: Any, network: Network, weights: Weights, threads: int | None) -> None:
        self._torch = torch
        self._ops = ops
        self._network: Network | None = network
        self._weights: Weights | None = weights
        self._name = network.name
        self._threads = threads

    def __call__(self, **inputs: Array) -> npt.NDArray[np.float32]:
        return self.run(**inputs)[0]

    def run(self, **inputs: Array) -> tuple[npt.NDArray[np.float32], ...]:
        if self._network is None or self._weights is None:
            raise EngineError(tr("the session of {name} is closed", name=self._name))
        expected = self._network.inputs
        if inputs.keys() != expected.keys():
            raise EngineError(
                tr(
                    "{name} takes {expected}, not {inputs}",
                    name=self._name,
                    expected=", ".join(expected),
                    inputs=", ".join(inputs),
                )
            )
        torch = self._torch
        with (
            _torch_errors(torch, tr("while it ran {name}", name=self._name)),
            self._thread_count(),
            torch.inference_mode(),
        ):
            values = {
                name: self._value(inputs[name], torch.int64 if given.integer else self._ops.dtype)
                for name, given in expected.items()
            }
            found = self._network.results(self._ops, self._weights, values)
            # A copy: on the CPU the output may be an input, or a weight.
            return tuple(np.array(output.float().cpu().numpy(), np.float32) for output in found)

    def close(self) -> None:
        if self._network is None:
            return
        self._network = self._weights = None
        self._ops.free()
        trim_heap()
        accelerator = getattr(self._torch, self._ops.device.type, None)
        if accelerator is not None and hasattr(accelerator, "empty_cache"):
            accelerator.empty_cache()

    def _value(self, array: Array, dtype: Any) -> Any:
        # torch.tensor copies, so that no output can alias the caller's array.
        return self._torch.tensor(np.asarray(array), dtype=dtype, device=self._ops.device)

    @contextlib.contextmanager
    def _thread_count(self) -> Iterator[None]:
        """PyTorch counts threads for the whole process, so the count is put back."""
        before = self._torch.get_num_threads()
        if self._threads is None or self._threads == before:
            yield
            return
        self._torch.set_num_threads(self._threads)
        try:
            yield
        finally:
            self._torch.set_num_threads(before)


class TorchEngine:
    """PyTorch on one device: "cpu", "cuda", "cuda:1", "mps", "xpu" or "npu"."""

    name = "torch"

    def __init__(self, device: str = "cpu") -> None:
        kind = device.partition(":")[0]
        if kind not in DEVICES:
            raise UsageError(
                tr("there is no device {device!r}", device=device),
                tr("choose one of {devices}", devices=", ".join(DEVICES)),
            )
        try:
            import torch

            from nutshell.engines.torch_ops import ShapeOps, TorchOps
        except ImportError as error:
            raise EngineUnavailable(
                tr("PyTorch cannot be imported: {error}", error=error), tr("pip install 'nutshell[torch]'")
            ) from error
        _require(torch, kind, device)
        self.device = device
        self.precisions = _precisions(torch, kind, device)
        self._torch = torch
        self._ops = TorchOps
        self._shapes = ShapeOps

    def compile(
        self, network: Network, weights: Weights, precision: str = "f32", threads: int | None = None
    ) -> TorchSession:
        if precision not in self.precisions:
            raise EngineUnavailable(
                tr("PyTorch has no {precision} on {device} here", precision=precision, device=self.device),
                tr("use one of {precisions}", precisions=", ".join(self.precisions)),
            )
        ops = self._ops(self.device, precision)
        shapes = self._shapes(ops, precision)
        with _torch_errors(self._torch, tr("while it loaded {name}", name=network.name)), self._torch.inference_mode():
            values = {
                name: self._torch.empty(
                    given.shape, dtype=self._torch.int64 if given.integer else ops.dtype, device="meta"
                )
                for name, given in network.inputs.items()
            }
            network.results(shapes, weights, values)
        return TorchSession(self._torch, ops, network, weights, threads)


def _require(torch: Any, kind: str, device: str) -> None:
    """Raise EngineUnavailable unless the device is there and answers."""
    if kind == "npu":
        try:
            import torch_npu  # noqa: F401 - importing it registers torch.npu
        except ImportError as error:
            raise EngineUnavailable(
                tr("Ascend's torch_npu cannot be imported: {error}", error=error), tr("pip install torch_npu")
            ) from error
    module = torch.backends.mps if kind == "mps" else getattr(torch, kind, None)
    if kind != "cpu" and (module is None or not module.is_available()):
        raise EngineUnavailable(
            tr("this PyTorch ({version}) finds no {kind} device", version=torch.__version__, kind=kind),
            tr("install PyTorch's build for {kind} (pytorch.org), check the driver, or use another engine", kind=kind),
        )
    with _torch_errors(torch, tr("when it was asked for {device}", device=device), EngineUnavailable):
        torch.zeros(1, device=device)


def _precisions(torch: Any, kind: str, device: str) -> tuple[str, ...]:
    """Best first. On cards float16 goes before bfloat16: as fast, and eight times as fine."""
    if kind == "cpu":
        # Half precision is emulated on most processors.
        return ("f32", "bf16")
    if kind != "cuda":
        return ("f16", "bf16", "f32") if kind == "xpu" else ("f16", "f32")
    if "GTX 16" in torch.cuda.get_device_name(device):
        # GeForce GTX 1630 to 1660: their float16 convolutions yield NaN (black pictures).
        return ("f32",)
    half = ("f16", "bf16") if torch.cuda.is_bf16_supported(including_emulation=False) else ("f16",)
    # NVIDIA's cards before Volta compute float16 no faster than float32; it only saves memory.
    old = torch.version.hip is None and torch.cuda.get_device_capability(device) < (7, 0)
    return ("f32", "f16") if old else (*half, "f32")


@contextlib.contextmanager
def _torch_errors(torch: Any, when: Text, kind: type[EngineError] = EngineError) -> Iterator[None]:
    """PyTorch's errors as ours. It raises RuntimeError for nearly everything that its kernels refuse."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise kind(
            tr("PyTorch ran out of memory {when}", when=when), tr("try a smaller picture or a half precision")
        ) from error
    except RuntimeError as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise kind(tr("PyTorch failed {when}: {reason}", when=when, reason=first)) from error
