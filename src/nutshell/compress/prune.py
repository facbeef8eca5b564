"""Pruning: a smaller UNet cut out of a larger one, tensor by tensor, so that a model of 4 GB takes little memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from nutshell.compress import cutting
from nutshell.compress.job import Json, PartPlan, copied
from nutshell.compress.numbers import FLOATS, stored_as
from nutshell.compress.original import Stored, refuse_quantized
from nutshell.compress.recipes import Wishes, shape_wished
from nutshell.compress.shapes import UNetShape, config_of, shape_of
from nutshell.compress.tensor_file import Made, Piece, Row
from nutshell.compress.wiring import Wiring, wire
from nutshell.errors import UnsupportedModel, UsageError
from nutshell.language import tr
from nutshell.networks.unet import timestep_features
from nutshell.networks.unet_config import UNetConfig
from nutshell.weights import STORAGE, Tensor

Array = npt.NDArray[Any]
Scores = Mapping[str, Array]

# Of models that were distilled with guidance: added to the sinusoids, so it fits only where all of these stay.
_GUIDANCE = "time_embedding.cond_proj.weight"


class Magnitude(Mapping[str, Array]):
    """Squared weights as shares of their tensor's sum, so that tensors of all sizes have the same say; read when asked.

    (Han et al. 2015, arXiv:1506.02626; here for whole channels, over the tensors that make and read them.)
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = tensors

    def __getitem__(self, name: str) -> Array:
        squares = np.square(self._tensors[name].f32())
        return np.asarray(squares / max(float(squares.sum(dtype=np.float64)), 1e-30))

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


@dataclass(frozen=True)
class Prune:
    """A UNet of the wished shape, of the channels that matter most.

    scores: the importance of every weight, else their magnitude; importance: how the history calls it.
    """

    wishes: Wishes
    scores: Scores | None = field(default=None, repr=False)
    importance: str = "magnitude"

    action = "prune"
    parts: Sequence[str] = ("unet",)

    @property
    def parameters(self) -> Mapping[str, Any]:
        said = {key: value for key, value in asdict(self.wishes).items() if value not in ("", 0, None, False)}
        return {**said, "importance": self.importance} if self._chooses else said

    @property
    def only_nutshell(self) -> str:
        wishes = self.wishes
        if wishes.heads or wishes.halve_middle:
            return tr("diffusers has no words for attentions with fewer heads, or a middle narrower inside")
        return ""

    def plan(self, part: str, config: Json, stored: Stored) -> PartPlan:
        """Raises UsageError for a shape that cannot be, UnsupportedModel for a UNet that cannot be pruned."""
        refuse_quantized(stored)
        read = UNetConfig.read(config)
        whole = shape_of(read)
        shape = shape_wished(whole, self.wishes)
        wiring = wire(whole, shape)
        scores = Magnitude(stored.tensors) if self.scores is None else self.scores
        kept = cutting.select(wiring, scores, copy_absent=bool(self.wishes.recipe))
        stored.release()
        return PartPlan(config_of(shape, config), list(_pieces(wiring, kept, stored, read, shape)))

    def results(self, rows: Mapping[str, Sequence[Row]]) -> Mapping[str, Any]:
        return {}

    @property
    def _chooses(self) -> bool:
        """Whether importance decides anything: whole blocks go by name."""
        return any((self.wishes.channels, self.wishes.heads, self.wishes.halve_middle))


@dataclass(frozen=True)
class Sparsify:
    """Unstructured pruning, to compare: in every weight the smallest values become zero.

    (Han et al. 2015, arXiv:1506.02626.) It saves no time and no disk: engines multiply by zeros as by anything else.
    """

    share: float

    action = "prune"
    parts: Sequence[str] = ("unet",)
    only_nutshell = ""

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise UsageError(tr("--unstructured is a share between 0 and 1, not {share}", share=self.share))

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"unstructured": self.share}

    def plan(self, part: str, config: Json, stored: Stored) -> PartPlan:
        refuse_quantized(stored)
        pieces = [
            Piece(tensor.name, tensor.nbytes, partial(self._sparse, tensor)) if len(tensor.shape) > 1 else piece
            for tensor, piece in zip(stored.tensors.values(), copied(stored), strict=True)
        ]
        return PartPlan(config, pieces)

    def results(self, rows: Mapping[str, Sequence[Row]]) -> Mapping[str, Any]:
        zeros = sum(row.note.get("zeros", 0) for row in rows["unet"])
        return {"zeros": zeros, "time_saved": "none"}

    def _sparse(self, tensor: Tensor) -> Made:
        """The weight with its smallest values zero; of equal ones, the first."""
        size = np.abs(tensor.f32()).reshape(-1)
        count = round(self.share * size.size)
        bits = tensor.array().reshape(-1).copy()
        if count:
            largest = np.partition(size, count - 1)[count - 1]
            gone = size < largest
            gone[np.flatnonzero(size == largest)[: count - int(gone.sum())]] = True
            bits[gone] = 0
        return Made([(tensor.name, tensor.dtype, bits.reshape(tensor.shape))], {"zeros": count})


def _pieces(
    wiring: Wiring, kept: cutting.Kept, stored: Stored, config: UNetConfig, shape: UNetShape
) -> Iterator[Piece]:
    narrowed = shape.channels[0] != config.channels[0]
    missing = sorted({place.source for place in wiring.tensors.values()} - stored.tensors.keys())
    if missing:
        raise UnsupportedModel(
            tr("the UNet has no tensor {name}", name=missing[0]), tr("the file may be incomplete: download it again")
        )
    for name, place in wiring.tensors.items():
        source = stored.tensors[place.source]
        if source.dtype not in FLOATS:
            raise UnsupportedModel(tr("{name} is stored as {dtype}", name=name, dtype=source.dtype))
        if name == cutting.FIRST_TIME_WEIGHT and narrowed:
            make = partial(_retimed, wiring, kept, source, config, shape)
        else:
            make = partial(_cut, wiring, kept, name, source)
        yield Piece(name, source.nbytes, make)
    if _GUIDANCE in stored.tensors:
        if narrowed:
            raise UnsupportedModel(
                tr("a model that was distilled with guidance cannot be narrowed at its finest level"),
                tr("take out blocks instead: --recipe, --layers, --middle"),
            )
        guidance = stored.tensors[_GUIDANCE]
        yield Piece(_GUIDANCE, guidance.nbytes, partial(Made.of, guidance))


def _cut(wiring: Wiring, kept: cutting.Kept, name: str, source: Tensor) -> Made:
    one = stored_as(source.dtype, np.ones(()))
    blank = one if name.endswith(".weight") else np.zeros((), STORAGE[source.dtype])
    return Made([(name, source.dtype, cutting.cut(wiring, kept, name, lambda _: source.array(), blank))])


def _retimed(wiring: Wiring, kept: cutting.Kept, source: Tensor, config: UNetConfig, shape: UNetShape) -> Made:
    def features(channels: int, step: float) -> Array:
        return np.asarray(timestep_features(replace(config, channels=(channels,)), step)[0])

    whole = cutting.retimed(source.f32(), features, shape.channels[0])
    taken = cutting.cut(wiring, kept, cutting.FIRST_TIME_WEIGHT, lambda _: whole)
    return Made([(cutting.FIRST_TIME_WEIGHT, source.dtype, stored_as(source.dtype, taken))])
