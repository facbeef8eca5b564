"""Which engines are installed, told without importing one: that would take seconds."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata, util


@dataclass(frozen=True)
class Installed:
    """Versions, "" for what is not here. torch: "2.13.0+cpu" says that its build knows no card."""

    openvino: str = ""
    onnx: str = ""
    torch: str = ""
    torch_npu: str = ""

    def has(self, engine: str) -> bool:
        return engine == "numpy" or bool(getattr(self, engine))


def installed_engines() -> Installed:
    """What this Python would import."""
    return Installed(
        openvino=_version("openvino", "openvino"),
        # The graph is written with onnx-ir; the runtime alone is not enough.
        onnx=_version("onnxruntime", "onnxruntime") if _version("onnx_ir", "onnx-ir") else "",
        torch=_version("torch", "torch"),
        torch_npu=_version("torch_npu", "torch-npu"),
    )


def _version(module: str, package: str) -> str:
    try:
        if util.find_spec(module) is None:
            return ""
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"
    except (ImportError, ValueError):
        # A half-removed package; `import` would fail too.
        return ""
