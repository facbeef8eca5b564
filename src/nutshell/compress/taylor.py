"""First-order importance: how far the loss moves if a weight is set to zero, over captioned pictures.

This needs gradients, so PyTorch, diffusers and transformers (the extra `nutshell[train]`), and the whole denoiser with
its gradients in memory. All else of `nutshell compress` does without.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nutshell.compress.examples import Example, square_pixels
from nutshell.compress.original import Original
from nutshell.errors import EngineUnavailable, UnsupportedModel
from nutshell.language import tr

Scores = dict[str, npt.NDArray[np.float32]]

_CLASSES = {"AutoencoderKL", "AutoencoderTiny"}


@dataclass(frozen=True)
class Importance:
    """scores: by name of the denoiser's weights. digest: of them, so that a job is resumed with the same only."""

    scores: Scores
    digest: str


def taylor(network: Any, loss_of: Callable[[], Any], batches: int) -> dict[str, Any]:
    """Mean over batches of (gradient * weight)^2 for every parameter of a PyTorch network, in its shape.

    Equation 8 of Molchanov et al. 2019 (arXiv:1906.10771), of whose two ways to join the weights of a channel we take
    the sum of squares, for it can be added up over many tensors. `loss_of` draws a batch and runs `network` on it.
    """
    network.requires_grad_(True)
    scores = {name: parameter.detach() * 0 for name, parameter in network.named_parameters()}
    for _ in range(batches):
        network.zero_grad()
        loss_of().backward()
        for name, parameter in network.named_parameters():
            if parameter.grad is not None:
                scores[name] += (parameter.grad * parameter.detach()).square() / batches
    network.zero_grad()
    return scores


def importance(original: Original, examples: Sequence[Example], batches: int, batch: int = 4) -> Importance:
    """The denoiser's importance to its own loss over `batches` batches of noised pictures, drawn by lot (seed 0).

    Raises EngineUnavailable without the extra, UnsupportedModel for a model that diffusers cannot open.
    """
    torch, diffusers, transformers = _libraries()
    if original.checkpoint.layout != "diffusers" or original.checkpoint.base is not None:
        raise UnsupportedModel(
            tr("first-order importance needs a model in one folder"), tr("take --importance magnitude")
        )
    folder = original.path
    vae_class = original.config("vae").get("_class_name", "AutoencoderKL")
    if vae_class not in _CLASSES:
        raise UnsupportedModel(tr("the autoencoder {name} is not known here", name=vae_class))
    unet = diffusers.UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32).eval()
    vae = getattr(diffusers, vae_class).from_pretrained(folder / "vae", torch_dtype=torch.float32).eval()
    text = transformers.CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32).eval()
    tokenizer = transformers.CLIPTokenizer.from_pretrained(folder / "tokenizer")
    noise = diffusers.DDPMScheduler.from_config(original.scheduler())
    lots = torch.Generator().manual_seed(0)
    side = int(unet.config.sample_size * 8)

    def loss_of() -> Any:
        chosen = [examples[place] for place in torch.randint(len(examples), (batch,), generator=lots).tolist()]
        with torch.no_grad():
            pixels = torch.from_numpy(np.stack([square_pixels(example.picture, side) for example in chosen]))
            latents = _latents(vae, pixels)
            ids = tokenizer([example.caption for example in chosen], padding="max_length", truncation=True,
                            return_tensors="pt").input_ids  # fmt: skip
            condition = text(ids).last_hidden_state
        added = torch.randn(latents.shape, generator=lots)
        steps = torch.randint(noise.config.num_train_timesteps, (batch,), generator=lots)
        wanted = {"v_prediction": lambda: noise.get_velocity(latents, added, steps), "sample": lambda: latents}
        target = wanted.get(noise.config.prediction_type, lambda: added)()
        predicted = unet(noise.add_noise(latents, added, steps), steps, condition).sample
        return (predicted - target).square().mean()

    found = {name: score.float().numpy() for name, score in taylor(unet, loss_of, batches).items()}
    digest = hashlib.sha256()
    for score in found.values():
        digest.update(np.ascontiguousarray(score).data)
    return Importance(found, digest.hexdigest())


def _latents(vae: Any, pixels: Any) -> Any:
    encoded = vae.encode(pixels)
    latents = encoded.latent_dist.mean if hasattr(encoded, "latent_dist") else encoded.latents
    return (latents - (getattr(vae.config, "shift_factor", None) or 0.0)) * vae.config.scaling_factor


def _libraries() -> tuple[Any, Any, Any]:
    try:
        torch, diffusers, transformers = map(importlib.import_module, ("torch", "diffusers", "transformers"))
    except ImportError as error:
        raise EngineUnavailable(
            tr("first-order importance needs PyTorch, diffusers and transformers: {error}", error=error),
            tr('pip install "nutshell[train]", or take --importance magnitude'),
        ) from error
    return torch, diffusers, transformers
