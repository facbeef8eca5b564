"""What a picture needs, in the cost interpreter's figures: of a loaded model, or of a card before any download."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nutshell.catalogue import ModelCard
from nutshell.engines.cost import CostOps, price
from nutshell.errors import UnsupportedModel
from nutshell.language import tr
from nutshell.networks.autoencoder_kl import AutoencoderKLConfig
from nutshell.networks.autoencoder_tiny import AutoencoderTinyConfig
from nutshell.networks.clip_text import ClipTextConfig, text_encoder
from nutshell.networks.ops import Network
from nutshell.networks.unet_config import UNetConfig
from nutshell.networks.wanted import wanted_autoencoder, wanted_text_encoder, wanted_unet
from nutshell.pipeline.facts import Facts
from nutshell.pipeline.order import Order, networks, sized_networks
from nutshell.plan import Need, StageNeed
from nutshell.sampling import find_sampler
from nutshell.weights import Part, Weights

PARTS = ("text_encoder", "unet", "vae")

# SDXL feeds picture size and pooled text into the time embedding: two small layers over one vector, which the
# network here does not have. They cost nothing to speak of; `parameters` of the card counts them.
_UNPRICED = ("addition_embed_type", "addition_time_embed_dim", "projection_class_embeddings_input_dim")
_BYTES_OF_F32 = 3.0  # Stored bytes a parameter above which files must be in single precision.


@dataclass(frozen=True)
class Recipe:
    """How often a picture runs its networks: 77 tokens a chunk, `steps` of the sampler, each once or twice."""

    width: int
    height: int
    steps: int
    guided: bool
    model_calls: int
    chunks: int = 1

    def passes(self, part: str) -> int:
        """How often the network of a part runs for one picture."""
        twice = 2 if self.guided else 1
        return {"text_encoder": self.chunks * twice, "unet": self.model_calls * twice}.get(part, 1)


def order_need(order: Order, facts: Facts, parts: Mapping[str, Part]) -> Need:
    """Of an order to a model whose files are here."""
    recipe = Recipe(
        order.width, order.height, order.run.steps, order.guided, order.run.model_calls, len(order.prompts.positive)
    )
    needed = networks(order, facts)
    return _need(facts.name, recipe, needed, {name: parts[name].weights for name in needed})


def facts_need(
    facts: Facts, parts: Mapping[str, Weights], width: int, height: int, steps: int, eight_bits: bool = False
) -> Need:
    """Of a usual picture by a model whose files are here. parts: by `Network.part`. eight_bits: it has a card."""
    guided = facts.defaults.guidance != 1.0 and not facts.unet.guidance_width
    recipe = _recipe(facts.defaults.sampler, width, height, steps, guided)
    needed = sized_networks(facts.text, facts.unet, facts.vae, width, height, facts.text.positions)
    return replace(_need(facts.name, recipe, needed, parts), eight_bits=eight_bits)


def card_need(card: ModelCard, width: int, height: int, steps: int) -> Need:
    """Of a usual picture by a model that may not be here, from its card alone.

    The files are taken for half precision, which `nutshell pull` prefers, unless the download's size says otherwise.
    Raises UnsupportedModel where the card does not state the sizes, or has some that no network here knows.
    """
    absent = [part for part in PARTS if part not in card.shapes]
    if absent:
        raise UnsupportedModel(tr("the sizes of {absent} are not known here", absent=", ".join(absent)))
    ops, dtype = CostOps(), _stored_type(card)
    text, denoiser = ClipTextConfig.read(card.shapes["text_encoder"]), _unet_config(card.shapes["unet"])
    autoencoder = _vae_config(card.shapes["vae"])
    vae = wanted_autoencoder(autoencoder, ops, dtype)
    weights = {
        "text_encoder": wanted_text_encoder(text, ops, dtype),
        "unet": wanted_unet(denoiser, ops, dtype),
        "vae_decoder": vae,
    }
    guided = card.guidance != 1.0 and not denoiser.guidance_width
    recipe = _recipe(card.sampler or "dpmpp_2m", width, height, steps, guided)
    needed = sized_networks(text, denoiser, autoencoder, width, height, text.positions)
    need = _need(card.name, recipe, needed, weights)
    if "text_encoder_2" not in card.shapes:
        return need
    second = ClipTextConfig.read(card.shapes["text_encoder_2"])
    stage = _stage("text_encoder_2", text_encoder(second), wanted_text_encoder(second, ops, dtype), recipe)
    return Need((need.stages[0], stage, *need.stages[1:]), need.model, width, height, steps)


def _recipe(sampler: str, width: int, height: int, steps: int, guided: bool) -> Recipe:
    row, _ = find_sampler(sampler)
    calls = 1 if steps == 1 else steps * row.calls_per_step + row.extra_calls
    return Recipe(width, height, steps, guided, calls)


def _need(model: str, recipe: Recipe, needed: Mapping[str, Network], weights: Mapping[str, Weights]) -> Need:
    stages = tuple(_stage(name, network, weights[name], recipe) for name, network in needed.items())
    return Need(stages, model, recipe.width, recipe.height, recipe.steps)


def _stage(name: str, network: Network, weights: Weights, recipe: Recipe) -> StageNeed:
    cost = price(network, weights)
    return StageNeed(
        name,
        cost.parameters,
        cost.weight_bytes,
        cost.peak_activation_bytes,
        cost.operations,
        recipe.passes(network.part),
        cost.nodes,
        cost.linear_parameters,
    )


def _unet_config(shapes: Mapping[str, Any]) -> UNetConfig:
    plain = {key: value for key, value in shapes.items() if key not in _UNPRICED}
    if plain.get("mid_block_type") == "":
        # TOML has no null.
        plain["mid_block_type"] = None
    return UNetConfig.read(plain)


def _vae_config(shapes: Mapping[str, Any]) -> AutoencoderKLConfig | AutoencoderTinyConfig:
    if shapes.get("_class_name") == "AutoencoderTiny":
        return AutoencoderTinyConfig.read(shapes)
    return AutoencoderKLConfig.read(shapes)


def _stored_type(card: ModelCard) -> str:
    single = card.download_bytes and card.all_parameters * _BYTES_OF_F32 < card.download_bytes
    return "F32" if single else "F16"
