"""What OpenVINO needs of a processor, and what it has no kernels for there. Nothing of it is imported here."""

from __future__ import annotations

from nutshell.engines.trial import trial
from nutshell.errors import EngineUnavailable
from nutshell.language import tr
from nutshell.machine import Machine, kernel_cpu, lack


def check_openvino(machine: Machine, version: str | None = None, tried: bool = False) -> None:
    """Raise EngineUnavailable where OpenVINO would end the process by an instruction that `machine` does not have.

    version: None for the installed one. On a processor that it is no longer made for, but may run on, it is tried in
    a process of its own. tried: that has been done.
    """
    missing = lack(machine, "openvino", version)
    if missing is None or (tried and not missing.need.must):
        return
    if missing.need.must:
        raise EngineUnavailable(missing.reason, tr("use --engine onnx"))
    failure = trial("openvino")
    if failure is not None:
        raise EngineUnavailable(
            tr("{reason}, and it does not run here: {failure}", reason=missing.reason, failure=failure),
            tr("use --engine onnx"),
        )


def has_group_norm(machine: Machine) -> bool:
    """Whether GroupNormalization can run: on x86 its kernel is there from AVX2 on, as far as OpenVINO's variables
    do not forbid it. What is not known is taken for there."""
    known = machine.cpu.architecture == "x86_64" and machine.knows("cpu.features")
    return not known or "avx2" in kernel_cpu(machine.cpu).features
