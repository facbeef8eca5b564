"""Two models side by side: what they weigh and take, and how alike the pictures of the same seeds are."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nutshell.compress.judged import Judged, judged, pick_prompts
from nutshell.compress.likeness import psnr, ssim
from nutshell.compress.report_child import draw_apart
from nutshell.compress.report_sheet import save_sheet
from nutshell.engines.cost import price
from nutshell.language import Text
from nutshell.pipeline.facts import Facts, read_facts
from nutshell.pipeline.order import sized_networks
from nutshell.store import Found
from nutshell.weights import Checkpoint, open_checkpoint

Json = dict[str, Any]

PROMPTS = ("a red apple", "a cat wearing sunglasses", "two green trees under a blue sky", "a small house by the sea")


@dataclass(frozen=True)
class Wish:
    """What to draw. None: as the first model does by itself. judge: so many of the judge's own prompts; 0 for none."""

    prompts: Sequence[str] = PROMPTS
    seed: int = 1
    steps: int | None = None
    width: int | None = None
    height: int | None = None
    guidance: float | None = None
    loading: Mapping[str, Any] = field(default_factory=dict)
    judge: int = 0


@dataclass(frozen=True)
class Column:
    """One model. parameters, weight_bytes: by part. operations: of one pass of the denoiser, and of the decoder."""

    name: str
    parameters: Mapping[str, int]
    weight_bytes: Mapping[str, int]
    step_operations: int
    decoder_operations: int
    step_seconds: float | None
    load_seconds: float
    peak_bytes: int
    judged: Judged | None = None


@dataclass(frozen=True)
class Report:
    """psnr, ssim: the means over pairs of the same prompt and seed; psnr is infinite where all are equal.

    no_judge: why nothing was judged, "" if it was. orders: what was drawn.
    """

    columns: tuple[Column, Column]
    orders: Sequence[Json]
    psnr: float
    ssim: float
    no_judge: Text

    def to_json(self) -> Json:
        """For programs: plain numbers; an infinite PSNR is null."""
        return {
            "models": [asdict(column) for column in self.columns],
            "drawn": list(self.orders),
            "psnr_db": self.psnr if math.isfinite(self.psnr) else None,
            "ssim": self.ssim,
            "not_judged": str(self.no_judge),
        }


def compare(
    first: Found, second: Found, wish: Wish, sheet: Path | None = None,
    on_model: Callable[[str], None] = lambda name: None,
) -> Report:  # fmt: skip
    """Draw with both, one after the other, each in a process of its own. sheet: a PNG of the pictures, side by side.

    on_model is told the name of each when its turn comes. Raises what opening and drawing raise.
    """
    found = (first, second)
    facts = [_facts(one) for one in found]
    prompts, no_judge = pick_prompts(wish.judge)
    # The evaluation's own seeds, so that its pictures are these.
    drawn = {prompt.place: prompt.text for prompt in prompts} or dict(enumerate(wish.prompts, wish.seed))
    orders = _orders(wish, facts[0], drawn)
    pictures: list[list[Image.Image]] = []
    measured: list[Json] = []
    for one, fact in zip(found, facts, strict=True):
        on_model(fact.name)
        with tempfile.TemporaryDirectory() as folder:
            model = {"path": str(one.path), "base": str(one.base or "")}
            measured.append(draw_apart(model, orders, wish.loading, Path(folder)))
            pictures.append([_read(Path(folder) / f"{place}.png") for place in range(len(orders))])
    scores = judged(prompts, pictures) if prompts else (None, None)
    columns = [
        _column(one, fact, figures, orders[0], score)
        for one, fact, figures, score in zip(found, facts, measured, scores, strict=True)
    ]
    if sheet is not None:
        save_sheet(sheet, [column.name for column in columns], [order["prompt"] for order in orders], pictures)
    pairs = [tuple(np.asarray(image) for image in pair) for pair in zip(*pictures, strict=True)]
    return Report(
        (columns[0], columns[1]),
        orders,
        _mean_psnr(pairs),
        float(np.mean([ssim(one, other) for one, other in pairs])),
        no_judge,
    )


def _orders(wish: Wish, facts: Facts, prompts: Mapping[int, str]) -> list[Json]:
    """The same for both models, by the first one's habits: they may state others, or none. prompts: by seed."""
    usual = facts.defaults
    same = {
        "width": wish.width or usual.width,
        "height": wish.height or usual.height,
        "steps": wish.steps or usual.steps,
        "guidance": usual.guidance if wish.guidance is None else wish.guidance,
        "sampler": usual.sampler,
        "schedule": usual.schedule,
        "spacing": usual.spacing,
    }
    return [{"prompt": prompt, "seed": seed, **same} for seed, prompt in prompts.items()]


def _mean_psnr(pairs: Sequence[tuple[Any, ...]]) -> float:
    """Of the mean squared error over all pairs, so that one equal pair does not make it infinite."""
    return psnr(np.stack([pair[0] for pair in pairs]), np.stack([pair[1] for pair in pairs]))


def _facts(found: Found) -> Facts:
    checkpoint = open_checkpoint(found.path, base=found.base)
    name = found.card.name if found.card else found.path.stem
    with checkpoint.open("vae") as vae:
        return read_facts(checkpoint, vae, name, found.card)


def _column(found: Found, facts: Facts, figures: Json, order: Json, score: Judged | None) -> Column:
    checkpoint = open_checkpoint(found.path, base=found.base)
    operations = _operations(checkpoint, facts, order["width"], order["height"])
    parameters, weight_bytes = {}, {}
    for name in checkpoint.parts:
        with checkpoint.open(name) as part:
            tensors = list(part.weights.tensors())
            parameters[name] = sum(tensor.size for tensor in tensors)
            weight_bytes[name] = sum(tensor.nbytes for tensor in tensors)
    return Column(
        facts.name,
        parameters,
        weight_bytes,
        *operations,
        step_seconds=figures["step_seconds"],
        load_seconds=figures["load_seconds"],
        peak_bytes=figures["peak_bytes"],
        judged=score,
    )


def _operations(checkpoint: Checkpoint, facts: Facts, width: int, height: int) -> tuple[int, int]:
    """Of one pass of the denoiser, and of the decoder, at that size of the picture."""
    networks = sized_networks(facts.text, facts.unet, facts.vae, width, height, facts.text.positions)
    with checkpoint.open("unet") as denoiser, checkpoint.open("vae") as vae:
        return (
            price(networks["unet"], denoiser.weights).operations,
            price(networks["vae_decoder"], vae.weights).operations,
        )


def _read(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")
