"""`start` makes a `Run`: one sampler on one schedule, ready to be given a network and noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nutshell.errors import UsageError
from nutshell.language import tr
from nutshell.sampling.diffusion import Diffusion
from nutshell.sampling.inpaint import inpaint_blend
from nutshell.sampling.noise import Noise
from nutshell.sampling.registry import Sampler, find_sampler
from nutshell.sampling.schedule import Schedule, build_schedule
from nutshell.sampling.step import Array, Blend, Predict, SampleStep, keep


@dataclass(frozen=True)
class Run:
    """A sampler and the schedule it will go through. Frozen: any number of pictures may come from one."""

    sampler: Sampler
    schedule: Schedule
    whole: bool
    eta: float | None = None

    @property
    def steps(self) -> int:
        return self.schedule.steps

    @property
    def model_calls(self) -> int:
        """How often the network will be called (twice as often with guidance)."""
        return 1 if self.steps == 1 else self.steps * self.sampler.calls_per_step + self.sampler.extra_calls

    @property
    def stochastic(self) -> bool:
        """Whether noise is drawn while running, beyond the first latent's."""
        return self.sampler.stochastic if self.eta is None else self.eta > 0.0

    def sample(
        self, predict: Predict, latent: Array, noise: Noise, image: Array | None = None, blend: Blend | None = None
    ) -> Iterator[SampleStep]:
        """Yield the run's steps, one network call or two each; to cancel, stop asking.

        predict: the network, (latent, timestep) -> epsilon, v or clean latent, guidance applied.
        latent: unit Gaussian noise, (batch, channels, height, width).
        noise: where stochastic samplers draw; pass the stream that `latent` was drawn from, to match diffusers.
        image: a clean latent to start from (image to image); `latent` is the noise it is put under.
        blend: called after every step (Heun, PLMS: after a trial too) with the latent and the step's index; what it
            returns is gone on with. See `inpaint_blend`.
        """
        if image is not None:
            first = self.add_noise(image, latent)
        elif self.whole:
            first = latent * self.schedule.start_scale
        else:
            raise UsageError(tr("a strength below 1 needs a picture to start from"))
        extra = {} if self.eta is None else {"eta": self.eta}
        return self.sampler.sample(predict, first, self.schedule, noise, blend or keep, **extra)

    def add_noise(self, clean: Array, noise: Array) -> Array:
        """Return `clean` under as much unit `noise` as the first step expects."""
        return self.schedule.levels[0].mix(clean, noise)

    def inpaint_blend(self, clean: Array, noise: Array, mask: Array) -> Blend:
        """Return the blend that keeps `clean` where `mask` is 0. See `inpaint.inpaint_blend`."""
        return inpaint_blend(self.schedule, clean, noise, mask)


def start(
    sampler_name: str,
    diffusion: Diffusion,
    steps: int,
    spacing: str | None = None,
    curve: str | None = None,
    strength: float = 1.0,
    eta: float | None = None,
    timesteps: Sequence[float] | None = None,
) -> Run:
    """Plan a run.

    sampler_name: any name that `find_sampler` knows, "DPM++ 2M Karras" included.
    steps: as asked for; of these, `strength` leaves `int(steps * strength)` to run.
    spacing, curve: None takes the name's, else the model's, else the sampler's own.
    strength: below 1, start that far from the end, from a picture under noise.
    eta: share of fresh noise, for DDIM and TCD (TCD's gamma).
    timesteps: explicit ones, falling, in place of `steps` and `spacing`.
    """
    sampler, named_curve = find_sampler(sampler_name)
    curve = curve or named_curve
    if curve is None and sampler.takes_curve and timesteps is None:
        curve = diffusion.curve
    if timesteps is not None and curve not in (None, "model"):
        raise UsageError(tr("explicit timesteps and the sigma curve {curve!r} exclude each other", curve=curve))
    if spacing is not None and not sampler.takes_spacing:
        raise UsageError(tr("{title} takes its timesteps from its own grid, not from a spacing", title=sampler.title))
    schedule = build_schedule(
        diffusion,
        steps,
        sampler.grid,
        spacing or diffusion.spacing or sampler.spacing,
        curve or "model",
        timesteps,
    )
    schedule = schedule.after(strength)
    if diffusion.prediction == "epsilon" and schedule.levels[0].alpha == 0.0:
        raise UsageError(
            tr("at zero signal an epsilon network says nothing about the picture"),
            hint=tr("use a v_prediction network, the spacing 'leading', or another sampler"),
        )
    return Run(sampler, schedule, whole=strength == 1.0, eta=_eta(sampler, eta))


def _eta(sampler: Sampler, eta: float | None) -> float | None:
    if eta is None:
        return sampler.eta
    if sampler.eta is None:
        raise UsageError(tr("{title} has no eta", title=sampler.title), hint=tr("leave eta out; DDIM and TCD have one"))
    if not 0.0 <= eta <= 1.0:
        raise UsageError(tr("an eta of {eta} is out of range", eta=eta), hint=tr("use 0 to 1"))
    return eta
