"""OpenVINO: the network built as an `ov.Model` through the opset, straight over mapped weights."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nutshell.engines.cache_key import cache_key
from nutshell.engines.compile_cache import CompileCache
from nutshell.engines.heap import trim_heap
from nutshell.engines.openvino_processor import check_openvino, has_group_norm
from nutshell.errors import EngineError, EngineUnavailable
from nutshell.language import tr
from nutshell.machine import Machine, probe_processor
from nutshell.networks.ops import Network
from nutshell.weights import Weights

Array = npt.NDArray[Any]


class OpenVinoSession:
    """A compiled model with one reusable request."""

    def __init__(self, compiled: Any, name: str, held: list[Any]) -> None:
        # The model's constants point into these arrays, and they into the mapped file.
        self._held = held
        self._compiled: Any = compiled
        self._request: Any = compiled.create_infer_request()
        self._name = name

    def __call__(self, **inputs: Array) -> npt.NDArray[np.float32]:
        return self.run(**inputs)[0]

    def run(self, **inputs: Array) -> tuple[npt.NDArray[np.float32], ...]:
        if self._request is None:
            raise EngineError(tr("the session of {name} is closed", name=self._name))
        try:
            results = self._request.infer(inputs, share_inputs=True)
        except RuntimeError as error:
            raise EngineError(
                tr("OpenVINO failed while it ran {name}: {reason}", name=self._name, reason=_first_line(error))
            ) from error
        # The request reuses its output buffer, so the caller gets a copy.
        return tuple(np.array(results[index], np.float32) for index in range(len(results)))

    def close(self) -> None:
        if self._compiled is None:
            return
        self._compiled = self._request = None
        self._held = []
        gc.collect()
        trim_heap()


class OpenVinoEngine:
    """Intel's runtime, on any x86-64 or 64-bit ARM processor."""

    name = "openvino"

    def __init__(
        self, cache: CompileCache | None = None, machine: Machine | None = None, *, tried: bool = False
    ) -> None:
        """cache: where compiled networks are kept; None to compile each anew. machine: None for this one. tried: it is
        known to run here, or this process is there to find out.

        Raises EngineUnavailable, before anything of it is loaded, where the processor lacks what it needs.
        """
        machine = machine or probe_processor()
        check_openvino(machine, tried=tried)
        try:
            from nutshell.engines.openvino_library import openvino
            from nutshell.engines.openvino_ops import OpenVinoOps
        except ImportError as error:
            raise EngineUnavailable(
                tr("OpenVINO cannot be imported: {error}", error=error), tr("pip install openvino")
            ) from error
        self._core = openvino.Core()
        self._openvino = openvino
        self._has_group_norm = has_group_norm(machine)
        self._ops = partial(OpenVinoOps, self._has_group_norm)
        self._cache = cache

    @property
    def precisions(self) -> tuple[str, ...]:
        """Half precision only where the processor computes in it."""
        abilities = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        half = [name for name, ability in (("bf16", "BF16"), ("f16", "FP16")) if ability in abilities]
        return (*half, "f32")

    def compile(
        self, network: Network, weights: Weights, precision: str = "f32", threads: int | None = None
    ) -> OpenVinoSession:
        if precision not in self.precisions:
            raise EngineUnavailable(
                tr("OpenVINO has no {precision} on this processor", precision=precision),
                tr("use one of {precisions}", precisions=", ".join(self.precisions)),
            )
        ops = self._ops()
        parameters = {name: ops.input(name, given) for name, given in network.inputs.items()}
        found = network.results(ops, weights, parameters)
        model = self._openvino.Model(list(found), [node.get_node() for node in parameters.values()], network.name)
        config: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": precision,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        if precision == "f32":
            # Before weights that are stored in eight bits OpenVINO would round a linear's inputs to eight bits too,
            # 2% off where float32 was asked for. In bfloat16 that is within what was asked for, and faster.
            config["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = 0
        if threads is not None:
            config["INFERENCE_NUM_THREADS"] = threads
        try:
            compiled = self._compiled(model, config, network, weights)
        except RuntimeError as error:
            raise EngineError(
                tr("OpenVINO cannot compile {name}: {reason}", name=network.name, reason=_first_line(error)),
                tr("try --engine onnx"),
            ) from error
        return OpenVinoSession(compiled, network.name, ops.held)

    def _compiled(self, model: Any, config: dict[str, Any], network: Network, weights: Weights) -> Any:
        """The model compiled, or read from the cache. Raises RuntimeError."""
        if self._cache is None:
            return self._core.compile_model(model, "CPU", config)
        _name_plainly(model, network.outputs)
        device = self._core.get_property("CPU", "FULL_DEVICE_NAME")
        about = {"engine": self._openvino.__version__, "device": device, "group_norm": self._has_group_norm}
        key, size = cache_key(network, weights, {**config, **about})
        try:
            with self._cache.entry(key, size) as folder:
                kept = {} if folder is None else {"CACHE_DIR": str(folder)}
                return self._core.compile_model(model, "CPU", {**config, **kept})
        except RuntimeError:
            # Once more without: what is wrong with the cache is no reason not to draw.
            self._cache.discard(key)
            return self._core.compile_model(model, "CPU", config)


def _name_plainly(model: Any, outputs: Sequence[str]) -> None:
    """OpenVINO numbers what has no name as a process makes it, and hashes names: in another order no network that was
    kept would be found."""
    for place, node in enumerate(model.get_ordered_ops()):
        node.set_friendly_name(f"{node.get_type_name()}_{place}")
    for name, output in zip(outputs, model.outputs, strict=True):
        output.get_tensor().set_names({name})


def _first_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
