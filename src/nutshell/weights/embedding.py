"""Textual-inversion embeddings: a few vectors that stand for a new word in the prompt.

emb_params   (n, width)    as AUTOMATIC1111's interface writes
<token>      (width,) or (n, width), the file's only tensor, as diffusers writes
clip_l       (n, width)    as SDXL tools write; clip_g beside it is for another encoder
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nutshell.errors import CorruptFile, UnsupportedModel
from nutshell.language import join, tr
from nutshell.weights.header import shown
from nutshell.weights.safetensors import open_safetensors
from nutshell.weights.tensor import Tensor

MAX_VECTORS = 1024  # a prompt has 75 places
MAX_WIDTH = 16384
_KNOWN = ("emb_params", "clip_l")


@dataclass(frozen=True, eq=False)
class Embedding:
    """name: the word that calls it. vectors: float32 (n, width), one per place it takes in the prompt."""

    name: str
    vectors: npt.NDArray[np.float32]

    @property
    def width(self) -> int:
        return int(self.vectors.shape[1])

    def check_width(self, wanted: int) -> None:
        """Raise UnsupportedModel unless it fits a text encoder of `wanted` width."""
        if self.width != wanted:
            raise UnsupportedModel(
                tr(
                    "the embedding {name} has vectors of width {width}, the model's are {wanted} wide",
                    name=shown(self.name),
                    width=self.width,
                    wanted=wanted,
                ),
                hint=tr("an embedding works only with the family it was trained on: 768 is SD 1.x, 1024 SD 2.x"),
            )


def load_embedding(path: Path) -> Embedding:
    """Read an embedding; its values are copied, so the file is closed again."""
    with open_safetensors(path) as file:
        name, tensor = _find(path, file.tensors)
        shape = tensor.shape if len(tensor.shape) == 2 else (1, *tensor.shape)
        if len(shape) != 2 or not (0 < shape[0] <= MAX_VECTORS and 0 < shape[1] <= MAX_WIDTH):
            raise CorruptFile(
                tr(
                    "{path}: {name} of shape {shape} is no embedding",
                    path=path,
                    name=shown(tensor.name),
                    shape=tensor.shape,
                )
            )
        if tensor.dtype not in ("F64", "F32", "F16", "BF16"):
            raise CorruptFile(
                tr(
                    "{path}: {name} is stored as {dtype}, which is no embedding",
                    path=path,
                    name=shown(tensor.name),
                    dtype=tensor.dtype,
                )
            )
        vectors = np.array(tensor.f32(), np.float32).reshape(shape)
    if not np.isfinite(vectors).all():
        raise CorruptFile(
            tr("{path}: the embedding holds values that are not numbers", path=path), hint=tr("download it again")
        )
    vectors.setflags(write=False)
    return Embedding(name, vectors)


def _find(path: Path, tensors: dict[str, Tensor]) -> tuple[str, Tensor]:
    """The word and the tensor: a known key is called by the file's name, a lone one by its own."""
    for key in _KNOWN:
        if key in tensors:
            return path.stem, tensors[key]
    if len(tensors) == 1:
        ((name, tensor),) = tensors.items()
        if "." not in name.strip("."):
            return name, tensor
    raise UnsupportedModel(
        tr(
            "{path} is no textual-inversion embedding: it holds {count} tensors and none called {known}",
            path=path,
            count=len(tensors),
            known=join(" or ", _KNOWN),
        ),
        hint=tr("an embedding is a file of a few kilobytes"),
    )
