"""What a user asks for, checked once, before anything is loaded."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import Image

from nutshell.errors import UsageError
from nutshell.language import tr
from nutshell.networks.fewer_tokens import MOST_MERGED

LARGEST_SIDE = 4096
MOST_STEPS = 1000
MOST_PICTURES = 1000
MOST_REUSE = 20


@dataclass(frozen=True)
class Request:
    """One order for pictures. None means: as the model's card says.

    width, height: pixels, multiples of 8. guidance: classifier-free guidance scale, 1 for none.
    guidance_interval: from 0 (pure noise) to 1 (finished), as shares of training time: where to guide.
    guidance_rescale: 0 to 1, how far to undo the contrast that guidance adds.
    sampler, schedule, spacing: names from `nutshell.sampling`. seed: of the first picture; the next
    pictures of one request count up from it. image: picture to start from; strength: 0 to 1, how much
    of it to redraw. mask: white where `image` is to be redrawn, black where it stays.
    mask_blur: pixels over which redrawn and kept parts blend; clip_skip: last text layers left out.
    Of operations that are left out (see `Savings`): fast: all that pay for this model. reuse: the whole denoiser at
    every so many steps only, 1 for all; reuse_depth: layers that run at every step. merge: 0 to 0.75, the share of
    tokens merged in attention. fewer_keys: attention to 2x2 cells. None: off, but as `fast` says where that is on.
    int8_attention: queries and keys in eight bits, where the model's calibration card has scales for them.
    """

    prompt: str
    negative_prompt: str = ""
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance: float | None = None
    guidance_interval: tuple[float, float] | None = None
    guidance_rescale: float = 0.0
    sampler: str | None = None
    schedule: str | None = None
    spacing: str | None = None
    eta: float | None = None
    seed: int | None = None
    count: int = 1
    image: Image.Image | None = None
    mask: Image.Image | None = None
    strength: float = 0.8
    mask_blur: float = 4.0
    clip_skip: int = 0
    fast: bool = False
    reuse: int | None = None
    reuse_depth: int = 1
    merge: float | None = None
    fewer_keys: bool | None = None
    int8_attention: bool = False

    def __post_init__(self) -> None:
        for field, name, side in (("width", tr("width"), self.width), ("height", tr("height"), self.height)):
            if side is not None and (side < 8 or side % 8 or side > LARGEST_SIDE):
                near = min(max(8, round(side / 8) * 8), LARGEST_SIDE)
                raise UsageError(
                    tr(
                        "{name} {side} is not a multiple of 8 between 8 and {largest_side}",
                        name=name,
                        side=side,
                        largest_side=LARGEST_SIDE,
                    ),
                    tr("the nearest is {near}", near=near),
                    field=field,
                )
        _within("steps", tr("steps"), self.steps, 1, MOST_STEPS)
        _within("count", tr("count"), self.count, 1, MOST_PICTURES)
        _within("guidance", tr("guidance"), self.guidance, 0, 100)
        _within("strength", tr("strength"), self.strength, 0, 1)
        _within("guidance_rescale", tr("guidance rescale"), self.guidance_rescale, 0, 1)
        _within("eta", "eta", self.eta, 0, 1)
        _within("mask_blur", tr("mask blur"), self.mask_blur, 0, 256)
        _within("reuse", tr("reuse"), self.reuse, 1, MOST_REUSE)
        _within("reuse_depth", tr("reuse depth"), self.reuse_depth, 1, MOST_REUSE)
        _within("merge", tr("merge"), self.merge, 0, MOST_MERGED)
        first, last = self.guidance_interval or (0.0, 1.0)
        if not 0 <= first <= last <= 1:
            raise UsageError(
                tr("the guidance interval {first} to {last} does not lie within 0 to 1", first=first, last=last),
                field="guidance_interval",
            )
        if self.mask is not None and self.image is None:
            raise UsageError(
                tr("a mask needs a picture to apply to"),
                tr("give the picture too: --image FILE --mask FILE"),
                field="mask",
            )
        if self.seed is not None and not -(2**63) <= self.seed < 2**64:
            raise UsageError(tr("the seed {seed} has more than 64 bits", seed=self.seed), field="seed")


def _within(field: str, name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not (math.isfinite(value) and low <= value <= high):
        raise UsageError(
            tr("{name} {value} is not between {low} and {high}", name=name, value=value, low=low, high=high),
            field=field,
        )
