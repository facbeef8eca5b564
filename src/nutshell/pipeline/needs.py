"""What a picture needs, in the cost interpreter's figures: of a loaded model, or of a card before any download."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nutshell.catalogue import ModelCard
from nutshell.engines.cost import CostOps, price
from nutshell.engines.strips import price_strips
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
from nutshell.pipeline.request import Request
from nutshell.pipeline.savings import Passes, Savings, count_passes, settle_savings
from nutshell.plan import Need, StageNeed
from nutshell.sampling import Diffusion, find_sampler, start
from nutshell.weights import Part, Weights

PARTS = ("text_encoder", "unet", "vae")
# A picture of which nothing is left out.
USUAL = Request("")

# SDXL feeds picture size and pooled text into the time embedding: two small layers over one vector, which the
# network here does not have. They cost nothing to speak of; `parameters` of the card counts them.
_UNPRICED = ("addition_embed_type", "addition_time_embed_dim", "projection_class_embeddings_input_dim")
_BYTES_OF_F32 = 3.0  # Stored bytes a parameter above which files must be in single precision.


@dataclass(frozen=True)
class Recipe:
    """How often a picture runs its networks: 77 tokens a chunk; `passes_of_unet` with both passes of guidance."""

    width: int
    height: int
    steps: int
    guided: bool
    passes_of_unet: Passes
    chunks: int = 1

    def passes(self, part: str) -> int:
        """How often the network of a part runs for one picture."""
        if part == "text_encoder":
            return self.chunks * (2 if self.guided else 1)
        return {"unet": self.passes_of_unet.whole, "unet_outer": self.passes_of_unet.outer}.get(part, 1)


def order_need(order: Order, facts: Facts, parts: Mapping[str, Part]) -> Need:
    """Of an order to a model whose files are here."""
    passes = count_passes(order.run, order.savings, order.guided)
    recipe = Recipe(order.width, order.height, order.run.steps, order.guided, passes, len(order.prompts.positive))
    needed = networks(order, facts)
    return _need(facts.name, recipe, needed, {name: part.weights for name, part in parts.items()})


def facts_need(
    facts: Facts,
    parts: Mapping[str, Weights],
    width: int,
    height: int,
    steps: int,
    asked: Request = USUAL,
    eight_bits: bool = False,
) -> Need:
    """Of a usual picture by a model whose files are here. parts: by `Network.part`. asked: what is left out of it.
    eight_bits: it has a card for them."""
    guided = facts.defaults.guidance != 1.0 and not facts.unet.guidance_width
    cells = (width // facts.vae.scale) * (height // facts.vae.scale)
    savings, _ = settle_savings(asked, facts.unet, cells, steps, guided)
    recipe = _recipe(facts.defaults.sampler, facts.diffusion, width, height, steps, guided, savings)
    needed = sized_networks(
        facts.text, facts.unet, facts.vae, width, height, facts.text.positions, thrift=savings.thrift
    )
    return replace(_need(facts.name, recipe, needed, parts), eight_bits=eight_bits)


def card_need(card: ModelCard, width: int, height: int, steps: int, asked: Request = USUAL) -> Need:
    """Of a usual picture by a model that may not be here, from its card alone. asked: what is left out of it.

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
    cells = (width // autoencoder.scale) * (height // autoencoder.scale)
    savings, _ = settle_savings(asked, denoiser, cells, steps, guided)
    recipe = _recipe(card.sampler or "dpmpp_2m", Diffusion(), width, height, steps, guided, savings)
    needed = sized_networks(text, denoiser, autoencoder, width, height, text.positions, thrift=savings.thrift)
    need = _need(card.name, recipe, needed, weights)
    if "text_encoder_2" not in card.shapes:
        return need
    second = ClipTextConfig.read(card.shapes["text_encoder_2"])
    stage = _stage("text_encoder_2", text_encoder(second), wanted_text_encoder(second, ops, dtype), recipe)
    return Need((need.stages[0], stage, *need.stages[1:]), need.model, width, height, steps)


def _recipe(
    sampler: str, diffusion: Diffusion, width: int, height: int, steps: int, guided: bool, savings: Savings
) -> Recipe:
    if not savings.even:
        return Recipe(width, height, steps, guided, count_passes(start(sampler, diffusion, steps), savings, guided))
    row, _ = find_sampler(sampler)
    calls = 1 if steps == 1 else steps * row.calls_per_step + row.extra_calls
    return Recipe(width, height, steps, guided, Passes(calls * (2 if guided else 1)))


def _need(model: str, recipe: Recipe, needed: Mapping[str, Network], weights: Mapping[str, Weights]) -> Need:
    # The outermost layers are some of the denoiser's.
    whose = {name: weights["unet" if name == "unet_outer" else name] for name in needed}
    stages = tuple(_stage(name, network, whose[name], recipe) for name, network in needed.items())
    return Need(stages, model, recipe.width, recipe.height, recipe.steps)


def _stage(name: str, network: Network, weights: Weights, recipe: Recipe) -> StageNeed:
    cost = price(network, weights)
    strips = price_strips(network.strips, weights) if network.strips is not None else None
    return StageNeed(
        name,
        cost.parameters,
        cost.weight_bytes,
        cost.peak_activation_bytes,
        cost.operations,
        recipe.passes(network.part),
        cost.nodes,
        cost.linear_parameters,
        # Where features are reused, both networks of the denoiser are in use at once.
        with_previous=name == "unet_outer",
        strip_bytes=strips.peak_activation_bytes if strips is not None else 0,
        strip_operations=strips.operations if strips is not None else 0,
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
