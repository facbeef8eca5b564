"""ONNX Runtime: the network as an ONNX graph of a few kilobytes over mapped weights."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nutshell.engines.heap import return_large_blocks, trim_heap
from nutshell.engines.scratch import Scratch, drop_pages
from nutshell.errors import EngineError, EngineUnavailable
from nutshell.language import tr
from nutshell.networks.ops import Input, Network
from nutshell.weights import Weights

if TYPE_CHECKING:
    from nutshell.engines.onnx_ops import OnnxOps

Array = npt.NDArray[Any]
Provider = str | tuple[str, Mapping[str, str]]

_CPU = "CPUExecutionProvider"
_FATAL = 4  # Log level. Whatever fails is raised too, so ORT's own lines would only repeat it.


class OnnxSession:
    """A loaded graph, and the views of the mapped weights, which ORT uses without owning them."""

    def __init__(
        self,
        session: Any,
        held: Sequence[Any],
        network: Network,
        failures: tuple[type[Exception], ...],
        made: mmap.mmap | None = None,
    ) -> None:
        """made: a map of weights that were made for it."""
        self._session: Any = session
        self._held = held
        self._inputs: dict[str, Input] = dict(network.inputs)
        self._name = network.name
        self._failures = failures
        self._made = made

    def __call__(self, **inputs: Array) -> npt.NDArray[np.float32]:
        return self.run(**inputs)[0]

    def run(self, **inputs: Array) -> tuple[npt.NDArray[np.float32], ...]:
        if self._session is None:
            raise EngineError(tr("the session of {name} is closed", name=self._name))
        if inputs.keys() != self._inputs.keys():
            raise EngineError(
                tr(
                    "{name} takes {expected}, not {inputs}",
                    name=self._name,
                    expected=", ".join(self._inputs),
                    inputs=", ".join(inputs),
                )
            )
        feeds = {
            name: np.ascontiguousarray(inputs[name], np.int64 if given.integer else np.float32)
            for name, given in self._inputs.items()
        }
        try:
            found = self._session.run(None, feeds)
        except self._failures as error:
            raise EngineError(
                tr("ONNX Runtime failed while it ran {name}: {reason}", name=self._name, reason=_one_line(error))
            ) from error
        # A copy: the output may lie in the arena, and would keep all of it past `close`.
        return tuple(np.array(output, np.float32) for output in found)

    def close(self) -> None:
        if self._session is None:
            return
        # In this order: the session points into the weights, and a view keeps its map from being unmapped.
        self._session = None
        self._held = ()
        self._made = None
        trim_heap()

    def release(self) -> None:
        """Drop the pages of weights that were made for it; they come back from the disk when touched."""
        if self._made is not None:
            drop_pages(self._made)


class OnnxEngine:
    """Microsoft's runtime. Computes in float32, whatever the weights are stored in.

    `lean`: the least memory instead of the most speed. Weights are then used in place (no packed
    copies, no blocked layout, half-precision weights widened piece by piece at each pass), and
    freed activations go back to the system. Else weights may be copied into faster layouts.
    `scratch`: the folder of a nameless file for eight-bit weights, which else take memory; with `lean`.
    `providers`: ONNX Runtime's execution providers, first choice first; what one of them cannot do
    falls to the next, and to the CPU at last.
    """

    name = "onnx"
    precisions = ("f32",)

    def __init__(
        self, lean: bool = False, providers: Sequence[Provider] = (_CPU,), scratch: Path | None = None
    ) -> None:
        try:
            from nutshell.engines.onnx_lean import LeanOnnxOps
            from nutshell.engines.onnx_library import onnxruntime
            from nutshell.engines.onnx_ops import OnnxOps
        except ImportError as error:
            raise EngineUnavailable(
                tr("ONNX Runtime cannot be imported: {error}", error=error), tr("pip install onnxruntime onnx-ir")
            ) from error
        here = onnxruntime.get_available_providers()
        missing = [name for name in map(_provider_name, providers) if name not in here]
        if missing:
            raise EngineUnavailable(
                tr("this build of ONNX Runtime has no {missing}", missing=", ".join(missing)),
                tr("it has {here}", here=", ".join(here)),
            )
        onnxruntime.set_default_logger_severity(_FATAL)
        self.lean = lean
        self.providers = tuple(providers)
        self._runtime = onnxruntime
        self._failures = _failures(onnxruntime)
        # Older versions, the last ones for Python 3.10 among them, copy every weight they are given.
        self._borrows = _version(onnxruntime) >= (1, 31)
        place = scratch if self._borrows else None

        def ops() -> OnnxOps:
            if not lean:
                return OnnxOps()
            return LeanOnnxOps(Scratch(place) if place is not None else None)

        self._ops: Callable[[], OnnxOps] = ops

    def compile(
        self, network: Network, weights: Weights, precision: str = "f32", threads: int | None = None
    ) -> OnnxSession:
        if precision not in self.precisions:
            raise EngineUnavailable(
                tr("ONNX Runtime has no {precision} here", precision=precision),
                tr("use {precisions}", precisions=", ".join(self.precisions)),
            )
        if self.lean:
            return_large_blocks()
        ops = self._ops()
        inputs = {name: ops.input(name, given) for name, given in network.inputs.items()}
        model = ops.model(network.name, inputs, network.results(ops, weights, inputs))
        options = self._options(threads)
        held = self._hand_over(options, ops)
        try:
            session = self._runtime.InferenceSession(
                model,
                options,
                providers=list(self.providers),
                # Folding would widen every half-precision weight for good.
                disabled_optimizers=["ConstantFolding"] if self.lean else None,
            )
        except self._failures as error:
            raise EngineError(
                tr("ONNX Runtime cannot load {name}: {reason}", name=network.name, reason=_one_line(error))
            ) from error
        return OnnxSession(session, held, network, self._failures, ops.made)

    def _hand_over(self, options: Any, ops: OnnxOps) -> list[Any]:
        """Give the stored tensors to the session to be made; what must be kept as long as it lives."""
        if not ops.files:
            return []
        if self._borrows:
            options.add_session_config_entry("session.use_external_initializer_file_buffers_directly", "1")
            files = list(ops.files.values())
            options.add_external_initializers_from_files_in_memory(
                list(ops.files), files, [content.nbytes for content in files]
            )
            return files
        make = self._runtime.OrtValue.ortvalue_from_numpy_with_onnx_type
        values = [make(array, kind) for array, kind in ops.arrays.values()]
        options.add_external_initializers(list(ops.arrays), values)
        return values

    def _options(self, threads: int | None) -> Any:
        options = self._runtime.SessionOptions()
        options.log_severity_level = _FATAL
        options.intra_op_num_threads = threads or 0
        levels = self._runtime.GraphOptimizationLevel
        if not self.lean:
            options.graph_optimization_level = levels.ORT_ENABLE_ALL
            return options
        # ALL would rewrite convolutions to a blocked layout and copy every one of their weights.
        options.graph_optimization_level = levels.ORT_ENABLE_EXTENDED
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        # A buffer that is kept for later values of its size is kept until the last of them: with weights of some
        # twenty shapes widened on the way, 440 MB of a denoiser of 323 M parameters instead of 100.
        options.enable_mem_reuse = False
        options.add_session_config_entry("session.disable_prepacking", "1")
        return options


def _version(runtime: Any) -> tuple[int, int]:
    major, minor = runtime.__version__.split(".")[:2]
    return int(major), int(minor)


def _provider_name(provider: Provider) -> str:
    return provider if isinstance(provider, str) else provider[0]


def _failures(runtime: Any) -> tuple[type[Exception], ...]:
    """Every exception that ONNX Runtime raises of its own; they share no base but Exception."""
    state = runtime.capi.onnxruntime_pybind11_state
    own = [kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    # Its Python layer raises RuntimeError and ValueError, its bindings the former for failed allocations.
    return (*own, RuntimeError, ValueError)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
