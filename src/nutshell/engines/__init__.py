"""Engines: interpreters of networks. Importing this imports no engine's library."""

from __future__ import annotations

from nutshell.engines.engine import Engine, Session
from nutshell.errors import UsageError
from nutshell.language import tr

NAMES = ("openvino", "onnx", "torch", "numpy")
"""Every engine, fastest on a common processor first."""

__all__ = ["NAMES", "Engine", "Session", "open_engine"]


def open_engine(name: str) -> Engine:
    """The engine `name`, optionally with a device after a colon ("torch:cuda").

    Raises UsageError for an unknown name and EngineUnavailable if its library is not installed.
    """
    kind, _, device = name.partition(":")
    if device and kind != "torch":
        raise UsageError(
            tr("the engine {kind!r} takes no device", kind=kind), tr("only torch does: torch:cuda, torch:mps")
        )
    # Imported here so that only the engine in use costs start-up time and memory.
    if kind == "openvino":
        from nutshell.engines.openvino_engine import OpenVinoEngine

        return OpenVinoEngine()
    if kind == "onnx":
        from nutshell.engines.onnx_engine import OnnxEngine

        return OnnxEngine()
    if kind == "torch":
        from nutshell.engines.torch_engine import TorchEngine

        return TorchEngine(device or "cpu")
    if kind == "numpy":
        from nutshell.engines.numpy_engine import NumpyEngine

        return NumpyEngine()
    raise UsageError(tr("there is no engine {name!r}", name=name), tr("choose one of {names}", names=", ".join(NAMES)))
