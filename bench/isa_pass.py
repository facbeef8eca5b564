"""A denoiser in one precision, as the pipeline would compile it on an older processor; run in `bench.isa_worker`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.isa_worker import IsaJob
from bench.older_sets import SETS
from nutshell.engines import Engine
from nutshell.engines.cost import price
from nutshell.machine import Machine, machine_with
from nutshell.networks.ops import Int8Weight, Network, Ops, Padding, Weight
from nutshell.networks.unet import denoiser
from nutshell.pipeline.eight_bits import EightBits, largest_weight
from nutshell.pipeline.facts import read_unet
from nutshell.plan import Plan, arithmetic
from nutshell.quantization import Scales
from nutshell.quantization.int8 import delicate
from nutshell.quantization.observe import Record, Seen
from nutshell.quantization.scales import Scale
from nutshell.quantization.wrap import Names, Wrapper, layer_names
from nutshell.weights import Tensor, Weights, open_checkpoint

_TOKENS = 77
# Made up: how long eight bits take does not depend on what they stand for.
_SCALE = Scale(0.05, 128)


class Pass:
    """A compiled denoiser and its inputs."""

    def __init__(self, job: IsaJob) -> None:
        machine = _imitated(job)
        self._part = open_checkpoint(Path(job.folder)).open("unet")
        config = read_unet(self._part)
        network = denoiser(config, job.side // 8, job.side // 8, _TOKENS)
        random = np.random.default_rng(1)
        self._inputs = {
            name: random.standard_normal(given.shape).astype(np.float32) for name, given in network.inputs.items()
        }
        small = EightBits({"unet": made_up_scales(network, self._part.weights)}, largest_weight(machine.cpu), True)
        engine = _engine(job.engine, machine)
        plan = Plan(job.engine, job.precision, job.threads, staged=True, need_bytes=0, reasons=())
        computed = small.applied(network, plan, self._part, engine.precisions)
        beside = arithmetic(job.precision, engine.precisions)
        self._session = engine.compile(computed, self._part.weights, beside, job.threads)
        # As nutshell.pipeline.stages does after it has compiled.
        self._part.release()

    def run(self) -> None:
        self._session(**self._inputs)


def made_up_scales(network: Network, weights: Weights) -> Scales:
    """One scale for every layer that the pipeline would put into eight bits."""
    record: Record = {}

    def run(ops: Ops[Any], given: Weights, inputs: Mapping[str, Any]) -> Any:
        return network.run(_Noting(ops, record, layer_names(given)), given, inputs)

    price(replace(network, run=run), weights)
    kept = delicate(record)
    return {name: _SCALE for name in record if name not in kept}


def seen_features() -> list[str]:
    """What NumPy, which asks the processor by CPUID, sees of AVX, AVX2 and AVX-512."""
    from numpy._core import _multiarray_umath as umath

    found: Mapping[str, bool] = umath.__cpu_features__
    return [name for name in ("AVX", "AVX2", "AVX512F", "AVX512VNNI") if found.get(name)]


class _Noting(Wrapper[Any]):
    """Notes the layers of a network, in the order in which they run."""

    def __init__(self, ops: Ops[Any], record: Record, names: Names) -> None:
        super().__init__(ops)
        self._record, self._names = record, names

    def conv2d(self, x: Any, weight: Weight, bias: Tensor | None, stride: int, padding: Padding) -> Any:
        self._note(weight)
        return super().conv2d(x, weight, bias, stride, padding)

    def linear(self, x: Any, weight: Weight, bias: Tensor | None) -> Any:
        self._note(weight)
        return super().linear(x, weight, bias)

    def _note(self, weight: Weight) -> None:
        stored = weight.stored if isinstance(weight, Int8Weight) else weight
        self._record.setdefault(self._names.get(stored, stored.name), Seen(weight.shape))


def _imitated(job: IsaJob) -> Machine:
    older = next(each for each in SETS if each.name == job.set)
    return machine_with(usable_bytes=2**40, features=older.features or frozenset(job.features))


def _engine(name: str, machine: Machine) -> Engine:
    if name == "onnx":
        from nutshell.engines.onnx_engine import OnnxEngine

        return OnnxEngine()
    from nutshell.engines.openvino_engine import OpenVinoEngine

    return OpenVinoEngine(machine=machine, tried=True)
