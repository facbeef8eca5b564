"""The share of the rate of a large product that a whole network reaches (docs/decisions/0014-the-plan.md)."""

from __future__ import annotations

SHARE = {
    ("openvino", "f32"): 0.87,
    ("openvino", "bf16"): 0.77,
    ("openvino", "f16"): 0.77,
    ("openvino", "int8"): 0.62,
    ("onnx", "f32"): 0.83,
    ("onnx", "int8"): 0.5,
    ("torch", "f32"): 0.52,
    ("numpy", "f32"): 0.1,
}


def rate_of(plain: float, engine: str, precision: str, times: float) -> float:
    """Operations per second of a large product in `precision`, of which a pass takes `times` that in f32.

    plain: the rate in f32.
    """
    return plain * SHARE[engine, "f32"] / SHARE[engine, precision] / times
