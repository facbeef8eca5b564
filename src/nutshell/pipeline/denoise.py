"""The denoising loop, and what is told of it while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from PIL import Image

from nutshell.networks.unet import guidance_features, timestep_features
from nutshell.pipeline.condition import Condition
from nutshell.pipeline.facts import Facts
from nutshell.pipeline.order import Order
from nutshell.pipeline.picture import OnStep, Progress
from nutshell.pipeline.preview import TinyPreview, linear_preview
from nutshell.pipeline.reuse import Denoiser, Evaluate
from nutshell.pipeline.start_latent import Start
from nutshell.sampling import NoiseStream, SampleStep, guided
from nutshell.sampling.step import Array, Predict

F32 = npt.NDArray[np.float32]

PREVIEW_SIDE = 256


def denoise(
    denoiser: Denoiser,
    order: Order,
    facts: Facts,
    condition: Condition,
    start: Start,
    noise: NoiseStream,
    tell: Callable[[SampleStep], None],
) -> F32:
    """Run every step and return the clean latent."""
    positive, negative = denoiser.streams()
    predict = guided(
        _predict(positive, order, facts, condition.positive, start),
        None if condition.negative is None else _predict(negative, order, facts, condition.negative, start),
        scale=order.guidance if order.guided else 1.0,
        interval=order.savings.guidance_interval,
        rescale=order.request.guidance_rescale,
        train_steps=facts.diffusion.train_steps,
    )
    blend = None
    if start.keep is not None and start.mask is not None:
        blend = order.run.inpaint_blend(start.keep, start.noise, start.mask)
    latent: Array = start.noise
    for step in order.run.sample(predict, start.noise, noise, start.image, blend):
        latent = step.latent
        tell(step)
    return np.asarray(latent, np.float32)


def _predict(evaluate: Evaluate, order: Order, facts: Facts, condition: F32, start: Start) -> Predict:
    """One pass of the denoiser under `condition`."""
    fixed: dict[str, F32] = {"condition": condition}
    if facts.unet.guidance_width:
        fixed["guidance"] = guidance_features(facts.unet, order.guidance)

    def predict(latent: Array, timestep: float) -> Array:
        seen = np.asarray(latent, np.float32)
        if start.extra is not None:
            seen = np.concatenate([seen, start.extra], axis=1)
        return evaluate(latent=seen, timestep=timestep_features(facts.unet, timestep), **fixed)

    return predict


@dataclass
class Watch:
    """Keeps the time of an order's steps and reports each one."""

    order: Order
    facts: Facts
    on_step: OnStep | None
    tiny: TinyPreview | None = None
    _begun: float | None = field(default=None, init=False)
    _done: int = field(default=0, init=False)

    def picture(self, place: int) -> Callable[[SampleStep], None]:
        """What to call after each step of picture `place` (from 0). An exception in it ends the run."""
        if self._begun is None:
            self._begun = time.perf_counter()

        def tell(step: SampleStep) -> None:
            self._done += 1
            if self.on_step is not None:
                self.on_step(self._progress(step, place))

        return tell

    def _progress(self, step: SampleStep, place: int) -> Progress:
        seconds = time.perf_counter() - (self._begun or 0.0)
        count = self.order.request.count
        left = seconds / self._done * (count * step.total - self._done)
        latent = step.denoised

        def preview() -> Image.Image:
            if self.tiny is not None:
                return self.tiny(latent)
            return linear_preview(latent, self.facts.preview, PREVIEW_SIDE)

        return Progress(step.index + 1, step.total, place + 1, count, seconds, left, preview)
