"""What is written of a student that has learned: its own tensors, in their own types, with other numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nutshell.compress.job import Json, PartPlan
from nutshell.compress.numbers import stored_as
from nutshell.compress.original import Stored
from nutshell.compress.tensor_file import Made, Piece, Row

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Distil:
    """weights: by name, of the denoiser. latent: cells a side that it was taught at. told, found: for the history."""

    weights: Mapping[str, F32] = field(repr=False)
    latent: int
    told: Mapping[str, Any]
    found: Mapping[str, Any]

    action = "distil"
    parts: Sequence[str] = ("unet",)
    only_nutshell = ""

    @property
    def parameters(self) -> Mapping[str, Any]:
        return self.told

    def plan(self, part: str, config: Json, stored: Stored) -> PartPlan:
        pieces = [
            Piece(name, tensor.nbytes, partial(_made, name, tensor.dtype, self.weights[name]))
            for name, tensor in stored.tensors.items()
        ]
        return PartPlan({**config, "sample_size": self.latent}, pieces)

    def results(self, rows: Mapping[str, Sequence[Row]]) -> Mapping[str, Any]:
        return self.found


def _made(name: str, dtype: str, values: F32) -> Made:
    return Made([(name, dtype, stored_as(dtype, values))])
