"""Linears and 1x1 convolutions of fewer ranks: what a layer does, put together of its strongest directions.

The singular value decomposition W = U S V gives the best approximation of each rank (Eckart and Young 1936); the rank
is the least that keeps a share of the squared singular values. Two factors (out, rank) and (rank, in) are less work
than the layer itself where rank * (out + in) < out * in; where they are not, the layer stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nutshell.compress.job import Json, PartPlan
from nutshell.compress.numbers import F32, FLOATS, stored_as
from nutshell.compress.original import Stored, refuse_quantized
from nutshell.compress.tensor_file import Made, Piece, Row
from nutshell.errors import CorruptFile, UsageError
from nutshell.language import tr
from nutshell.weights import Tensor

# Layers of fewer channels cost next to nothing.
_THIN = 16


@dataclass(frozen=True)
class LowRank:
    """energy: the share of the squared singular values that is kept. parts: which to approximate.

    factors: store a layer that gains as its two factors, "X.down.weight" and "X.up.weight", which run as two smaller
    layers; else their product is stored in the layer's own shape, a normal model, to see what the rank costs.
    """

    energy: float = 0.95
    factors: bool = False
    parts: Sequence[str] = ("unet",)

    action = "lowrank"

    def __post_init__(self) -> None:
        if not 0 < self.energy <= 1:
            raise UsageError(tr("--energy is a share, more than 0 and at most 1, not {energy}", energy=self.energy))
        if self.factors and "vae" in self.parts:
            raise UsageError(tr("the autoencoder cannot be stored as factors"), tr("leave vae out of --parts"))

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"energy": self.energy, "factors": self.factors, "parts": list(self.parts)}

    @property
    def only_nutshell(self) -> str:
        return tr("its linear layers are stored as two factors each") if self.factors else ""

    def plan(self, part: str, config: Json, stored: Stored) -> PartPlan:
        refuse_quantized(stored)
        factored = [name for name in stored.tensors if name.endswith((".down.weight", ".up.weight"))]
        if factored:
            raise UsageError(
                tr("this model is stored as factors already ({name})", name=factored[0]),
                tr("start from the model that it was made of: `nutshell inspect` names it"),
            )
        pieces = [
            Piece(tensor.name, tensor.nbytes, partial(self._made if _fits(tensor) else Made.of, tensor))
            for tensor in stored.tensors.values()
        ]
        return PartPlan(config, pieces)

    def results(self, rows: Mapping[str, Sequence[Row]]) -> Mapping[str, Any]:
        """How many layers were looked at and gained, and the share of their values that two factors take."""
        notes = [row.note for part in self.parts for row in rows.get(part, ()) if row.note]
        gained = [note for note in notes if note["rank"]]
        whole = sum(note["size"] for note in notes)
        left = whole - sum(note["size"] - note["factors"] for note in gained)
        return {
            "layers": len(notes),
            "layers_of_lower_rank": len(gained),
            "values_as_factors": f"{100 * left / whole if whole else 100:.1f}%",
        }

    def _made(self, tensor: Tensor) -> Made:
        out, inputs = tensor.shape[:2]
        found = truncated(tensor.f32().reshape(out, inputs), self.energy, tensor.name)
        size = out * inputs
        if found is None:
            return Made([(tensor.name, tensor.dtype, tensor.array())], {"rank": 0, "size": size})
        up, down = found
        note = {"rank": up.shape[1], "size": size, "factors": up.size + down.size}
        if not self.factors:
            folded = stored_as(tensor.dtype, (up @ down).reshape(tensor.shape))
            return Made([(tensor.name, tensor.dtype, folded)], note)
        rest = tensor.shape[2:]
        layer = tensor.name.removesuffix(".weight")
        pairs = (("down", down), ("up", up))
        return Made(
            [(f"{layer}.{name}.weight", tensor.dtype, stored_as(tensor.dtype, factor.reshape(*factor.shape, *rest)))
             for name, factor in pairs], note,
        )  # fmt: skip


def truncated(matrix: F32, energy: float, name: str = "") -> tuple[F32, F32] | None:
    """Factors (out, rank) and (rank, in) that keep `energy` of a matrix (out, in); None where they would not be less.

    Both factors take the root of each singular value, so that neither is much larger than the other in few bits.
    """
    if not np.isfinite(matrix).all():
        raise CorruptFile(tr("{name} holds values that are not finite", name=name), tr("download the model again"))
    out, inputs = matrix.shape
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    squares = np.square(values, dtype=np.float64)
    total = squares.sum()
    if total == 0 or energy >= 1:
        return None
    rank = int(np.searchsorted(np.cumsum(squares) / total, energy) + 1)
    if rank * (out + inputs) >= out * inputs:
        return None
    roots = np.sqrt(values[:rank])
    return np.ascontiguousarray(left[:, :rank] * roots), np.ascontiguousarray(roots[:, None] * right[:rank])


def _fits(tensor: Tensor) -> bool:
    """A linear or a 1x1 convolution, wide enough to gain; no table that is looked up."""
    if tensor.dtype not in FLOATS or not tensor.name.endswith(".weight") or tensor.name.endswith("embedding.weight"):
        return False
    rank = len(tensor.shape)
    pointwise = rank == 2 or (rank == 4 and tensor.shape[2:] == (1, 1))
    return pointwise and min(tensor.shape[:2]) >= _THIN
