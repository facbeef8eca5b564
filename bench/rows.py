"""The rows of the table: what runs, in which precision, and which packages it takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """packages: what must be installed to draw a picture so. peer: a file in bench/peers."""

    name: str
    peer: str
    precision: str
    packages: tuple[str, ...]
    engine: str = ""

    @property
    def title(self) -> str:
        return f"{self.name} {self.precision}"


_DIFFUSERS = ("torch", "diffusers", "transformers")

# Within a precision Nutshell's comes first and the converted model next: they are the closest compared.
ROWS = (
    Row("nutshell openvino", "nutshell", "bf16", ("nutshell",), "openvino"),
    Row("openvino converted", "converted", "bf16", (*_DIFFUSERS, "openvino")),
    Row("openvino-genai", "genai", "bf16", ("openvino-genai", "openvino-tokenizers")),
    Row("diffusers", "diffusers", "bf16", _DIFFUSERS),
    Row("nutshell openvino", "nutshell", "f32", ("nutshell",), "openvino"),
    Row("openvino converted", "converted", "f32", (*_DIFFUSERS, "openvino")),
    Row("nutshell onnx", "nutshell", "f32", ("nutshell",), "onnx"),
    Row("diffusers", "diffusers", "f32", _DIFFUSERS),
)
OURS, MARK = "nutshell openvino", "openvino converted"


def chosen(names: list[str] | None, bf16: bool) -> list[Row]:
    """The rows whose title begins with one of `names`, or all; bf16 only where the processor has it."""
    rows = [row for row in ROWS if bf16 or row.precision != "bf16"]
    return [row for row in rows if not names or any(row.title.startswith(name) for name in names)]
