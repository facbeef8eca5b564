"""What a loaded checkpoint is: the sizes of its parts and how it wants to be used.

Sizes come from each part's config.json, or from the shapes of its weights; defaults from the model's
card, then from its scheduler's configuration, then from the family.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from nutshell.catalogue import ModelCard
from nutshell.engines.cost import CostOps
from nutshell.errors import UnsupportedModel, UsageError
from nutshell.language import tr
from nutshell.networks import autoencoder_kl, autoencoder_tiny, clip_text, unet
from nutshell.networks.autoencoder_kl import AutoencoderKLConfig
from nutshell.networks.autoencoder_tiny import AutoencoderTinyConfig
from nutshell.networks.clip_text import ClipTextConfig
from nutshell.networks.unet_config import UNetConfig
from nutshell.sampling import Diffusion, sampler_of_config
from nutshell.weights import Checkpoint, Part

_LOG = logging.getLogger(__name__)

AutoencoderConfig = AutoencoderKLConfig | AutoencoderTinyConfig

# The latents of every Stable Diffusion 1.x and 2.x autoencoder seen as colours: a linear fit that the
# community has published many times over. Rows: four channels, then the offset.
_SD_PREVIEW = (
    (0.1756, 0.1149, 0.1614),
    (0.1625, 0.2487, 0.1175),
    (-0.1415, 0.0881, 0.1361),
    (-0.1060, -0.1308, -0.3589),
    (0.5, 0.5, 0.5),
)


@dataclass(frozen=True)
class Defaults:
    """What a request gets where it does not say."""

    width: int
    height: int
    steps: int
    guidance: float
    sampler: str
    schedule: str | None
    spacing: str | None


@dataclass(frozen=True)
class Facts:
    """name: to show. preview: see ModelCard."""

    name: str
    text: ClipTextConfig
    unet: UNetConfig
    vae: AutoencoderConfig
    diffusion: Diffusion
    defaults: Defaults
    preview: tuple[tuple[float, ...], ...]

    @property
    def inpainting(self) -> bool:
        """Whether the denoiser was trained for masks: it also sees the mask and the masked picture."""
        return self.unet.in_channels == 2 * self.vae.latent_channels + 1


def read_text(part: Part) -> ClipTextConfig:
    """Sizes of the text encoder, each of its tensors accounted for."""
    config = ClipTextConfig.read(part.config) if part.config else ClipTextConfig.infer(part.weights)
    _account(lambda: clip_text.account(config, part.weights, CostOps()), part)
    return config


def read_unet(part: Part) -> UNetConfig:
    """Sizes of the denoiser, each of its tensors accounted for."""
    config = UNetConfig.read(part.config) if part.config else UNetConfig.infer(part.weights)
    _account(lambda: unet.account(config, part.weights, CostOps()), part)
    return config


def read_vae(part: Part) -> AutoencoderConfig:
    """Sizes of the autoencoder, full or tiny, each of its tensors accounted for."""
    kind = (part.config or {}).get("_class_name")
    tiny = kind == "AutoencoderTiny" or (kind is None and part.weights.has("decoder.layers"))
    if tiny:
        small = AutoencoderTinyConfig.read(part.config) if part.config else AutoencoderTinyConfig.infer(part.weights)
        _account(lambda: autoencoder_tiny.account(small, part.weights, CostOps()), part)
        return small
    if kind not in (None, "AutoencoderKL"):
        raise UnsupportedModel(tr("this model's autoencoder is a {kind}, which this version does not run", kind=kind))
    config = AutoencoderKLConfig.read(part.config) if part.config else AutoencoderKLConfig.infer(part.weights)
    _account(lambda: autoencoder_kl.account(config, part.weights, CostOps()), part)
    return config


def _account(run: Callable[[], object], part: Part) -> None:
    """Sizes that were inferred from a file of another make may not fit each other."""
    try:
        run()
    except ValueError as error:
        raise UnsupportedModel(
            tr("the sizes of {name} do not fit together: {error}", name=part.name, error=error),
            tr("the file may be of another architecture; a diffusers folder states its sizes"),
        ) from error


def read_facts(
    checkpoint: Checkpoint, vae: Part, name: str, card: ModelCard | None = None, prediction: str | None = None
) -> Facts:
    """Read every part of `checkpoint`; `vae` may be another model's. `prediction`: overrides the files."""
    with checkpoint.open("text_encoder") as part:
        text = read_text(part)
    with checkpoint.open("unet") as part:
        denoiser = read_unet(part)
    autoencoder = read_vae(vae)
    if denoiser.condition_width != text.width:
        raise UnsupportedModel(
            tr(
                "the denoiser reads conditions of width {condition_width}, the text encoder writes {width}",
                condition_width=denoiser.condition_width,
                width=text.width,
            ),
            tr("the parts belong to different models"),
        )
    latent = autoencoder.latent_channels
    if denoiser.out_channels != latent or denoiser.in_channels not in (latent, 2 * latent + 1):
        raise UnsupportedModel(
            tr(
                "the denoiser maps {in_channels} to {out_channels} channels, the autoencoder has {latent}",
                in_channels=denoiser.in_channels,
                out_channels=denoiser.out_channels,
                latent=latent,
            ),
            tr("the parts belong to different models"),
        )
    diffusion = _diffusion(checkpoint, prediction or (card.prediction if card else None))
    preview = card.preview if card and card.preview else _SD_PREVIEW
    return Facts(
        name=name,
        text=text,
        unet=denoiser,
        vae=autoencoder,
        diffusion=diffusion,
        defaults=_defaults(checkpoint, card, denoiser, autoencoder, diffusion),
        preview=preview if len(preview) == latent + 1 else (),
    )


def _diffusion(checkpoint: Checkpoint, prediction: str | None) -> Diffusion:
    hint = checkpoint.prediction_hint()
    diffusion = Diffusion.from_config(checkpoint.scheduler_config)
    if hint.family == "sd2" and not (prediction or hint.prediction):
        # 2.0-base and 2.1-base predict noise, 2.0 and 2.1 predict v, and their files look alike.
        _LOG.warning(
            tr(
                "{name} does not say what it predicts, noise is assumed; if pictures come out as blots, add "
                "--prediction v_prediction",
                name=checkpoint.path.name,
            )
        )
    if checkpoint.layout == "diffusers" and checkpoint.scheduler_config is None:
        _LOG.warning(
            tr(
                "{name} has no scheduler/scheduler_config.json: Stable Diffusion's noise levels are assumed; if "
                "pictures come out as blots, add that file from the model these weights belong to",
                name=checkpoint.path.name,
            )
        )
    if prediction or hint.prediction:
        diffusion = diffusion.replace(prediction=prediction or hint.prediction)
    if hint.zero_terminal_snr is not None:
        diffusion = diffusion.replace(zero_snr=hint.zero_terminal_snr)
    return diffusion


def _defaults(
    checkpoint: Checkpoint, card: ModelCard | None, denoiser: UNetConfig, vae: AutoencoderConfig, diffusion: Diffusion
) -> Defaults:
    if card is not None:
        return Defaults(
            card.width, card.height, card.steps, card.guidance, card.sampler or "dpmpp_2m", card.schedule, card.spacing
        )
    side = denoiser.sample_size * vae.scale
    if checkpoint.layout == "ldm":
        # A single file does not say; v-prediction came with the 768-pixel model of the family.
        side = 768 if diffusion.prediction == "v_prediction" else 512
        width, height = checkpoint.prediction_hint().resolution or (side, side)
    else:
        width = height = side
    distilled = denoiser.guidance_width > 0
    return Defaults(
        width=width,
        height=height,
        steps=4 if distilled else 20,
        guidance=7.5,
        sampler=_sampler(checkpoint, distilled),
        schedule=None,
        spacing=None,
    )


def _sampler(checkpoint: Checkpoint, distilled: bool) -> str:
    if checkpoint.scheduler_config is not None:
        try:
            return sampler_of_config(checkpoint.scheduler_config).name
        except UsageError:
            # PNDM, the default of old Stable Diffusion folders, and others that have no counterpart here.
            pass
    return "lcm" if distilled else "dpmpp_2m"
