"""From noise to a clean latent: schedules, samplers, guidance and seeded noise, on plain NumPy arrays.

    run = start("DPM++ 2M Karras", Diffusion.from_config(config), steps=20)
    noise = NoiseStream(seed)
    first = noise.normal((1, 4, 64, 64))
    for step in run.sample(guided(conditional, unconditional, scale=7.5), first, noise):
        show(step.denoised)
    latent = step.latent

Read `diffusion` (how the network was trained), `schedule` (which noise levels a run visits), `step` (what a
sampler takes and gives), one sampler such as `euler`, then `run`.
"""

from nutshell.sampling.diffusion import CURVES, PREDICTIONS, SPACINGS, Diffusion
from nutshell.sampling.guidance import guided
from nutshell.sampling.inpaint import inpaint_blend
from nutshell.sampling.noise import Noise, NoiseStream, NoiseStreams
from nutshell.sampling.registry import SAMPLERS, Sampler, find_sampler, sampler_of_config
from nutshell.sampling.run import Run, start
from nutshell.sampling.schedule import Grid, Schedule, build_schedule
from nutshell.sampling.step import Array, Blend, Level, Predict, SampleStep

__all__ = [
    "CURVES",
    "PREDICTIONS",
    "SAMPLERS",
    "SPACINGS",
    "Array",
    "Blend",
    "Diffusion",
    "Grid",
    "Level",
    "Noise",
    "NoiseStream",
    "NoiseStreams",
    "Predict",
    "Run",
    "SampleStep",
    "Sampler",
    "Schedule",
    "build_schedule",
    "find_sampler",
    "guided",
    "inpaint_blend",
    "sampler_of_config",
    "start",
]
