"""The original single-file layout (latent-diffusion's own module tree) under canonical names, and back.

    model.diffusion_model.input_blocks.4.0.in_layers.2.weight   down_blocks.1.resnets.0.conv1.weight
    first_stage_model.decoder.up.3.block.0.nin_shortcut.bias    decoder.up_blocks.0.resnets.0.conv_shortcut.bias
    cond_stage_model.transformer.text_model.final_layer_norm.*  final_layer_norm.*
    cond_stage_model.model.transformer.resblocks.0.ln_1.*       encoder.layers.0.layer_norm1.*   (OpenCLIP)

No table of any one model: what lies where follows from the names in the file (ldm_unet.py, ldm_vae.py).
Tensors are only renamed, reshaped or cut along their first axis, which are all views: no data is copied.
Source: the module trees of CompVis/latent-diffusion `openaimodel.py`, `diffusionmodules/model.py` and of
mlfoundations/open_clip `transformer.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from nutshell.weights import ldm_unet, ldm_vae
from nutshell.weights.canonical import TEXT_IGNORED, Tensors, canonical, flatten_pointwise
from nutshell.weights.modules import renaming
from nutshell.weights.tensor import Tensor

OPEN_CLIP = "cond_stage_model.model."
CLIP = "cond_stage_model.transformer."

# prefix -> part. The second spellings come from tools that save a part's own state.
PREFIXES: dict[str, str] = {
    "model.diffusion_model.": "unet",
    "diffusion_model.": "unet",
    "first_stage_model.": "vae",
    "vae.": "vae",
    CLIP: "text_encoder",
    OPEN_CLIP: "text_encoder",
}
# What `to_ldm` writes: what the original training code did for SD 1.
_WRITTEN = {
    "unet": "model.diffusion_model.",
    "vae": "first_stage_model.",
    "text_encoder": CLIP + "text_model.",
}

# In a file, yet no weight of a network: the training schedule's buffers, the averaged copy of the UNet,
# losses, step counts, the image half of CLIP, and the marks of community checkpoints.
IGNORED_NAMES = frozenset(
    {"betas", "alphas_cumprod", "alphas_cumprod_prev", "sqrt_alphas_cumprod", "sqrt_one_minus_alphas_cumprod"}
    | {"log_one_minus_alphas_cumprod", "sqrt_recip_alphas_cumprod", "sqrt_recipm1_alphas_cumprod"}
    | {"posterior_variance", "posterior_log_variance_clipped", "posterior_mean_coef1", "posterior_mean_coef2"}
    | {"logvar", "lvlb_weights", "scale_factor", "global_step", "denoiser.sigmas", "denoiser.log_sigmas"}
    | {"v_pred", "ztsnr", "logit_scale", "cond_stage_model.logit_scale", "cond_stage_model.text_projection"}
    | {OPEN_CLIP + name for name in ("logit_scale", "text_projection", "attn_mask")}
)
IGNORED_PREFIXES = (
    "model_ema.",
    "loss.",
    "first_stage_model.loss.",
    "first_stage_model.model_ema.",
    "embedding_manager.",
    "safety_checker.",
    "cond_stage_model.model.visual.",
)

_OPEN_CLIP_PLAIN = {
    "positional_embedding": "embeddings.position_embedding.weight",
    "token_embedding.weight": "embeddings.token_embedding.weight",
    "ln_final.weight": "final_layer_norm.weight",
    "ln_final.bias": "final_layer_norm.bias",
}
_OPEN_CLIP_LAYER = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_OPEN_CLIP_NAME = re.compile(r"transformer\.resblocks\.(\d+)\.(.+)\.(weight|bias)")
_OPEN_CLIP_FUSED = re.compile(r"transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)")


def part_names(names: Iterable[str]) -> dict[str, list[str]]:
    """The names of each part. Those of no part go to the UNet, where the account will find them unused."""
    found: dict[str, list[str]] = {}
    for name in names:
        if name in IGNORED_NAMES or name.startswith(IGNORED_PREFIXES):
            continue
        part = next((part for prefix, part in PREFIXES.items() if name.startswith(prefix)), "unet")
        found.setdefault(part, []).append(name)
    return found


def from_ldm(part: str, stored: Tensors) -> Tensors:
    """A part's tensors, named as in the file with their prefixes, under canonical names.

    A name that belongs to nothing stays as it is, so that the account names it.
    """
    prefixes = [prefix for prefix, owner in PREFIXES.items() if owner == part]
    inner: dict[str, Tensors] = {}
    renamed: Tensors = {}
    for name, tensor in stored.items():
        prefix = next((prefix for prefix in prefixes if name.startswith(prefix)), None)
        if prefix is None:
            renamed[name] = tensor
        else:
            inner.setdefault(prefix, {})[name[len(prefix) :]] = tensor
    for prefix, tensors in inner.items():
        named, unknown = _from_prefixless(prefix, tensors)
        renamed.update({prefix + name: tensor for name, tensor in unknown.items()})
        for name, tensor in named.items():
            # Two spellings of one tensor: the second stays under its own name, for the account.
            renamed[tensor.name if name in renamed else name] = tensor
    return renamed


def to_ldm_names(part: str, names: Iterable[str]) -> dict[str, str]:
    """Canonical name -> name in a single file, for every name that has one there.

    The text encoder is named as in SD 1 files. OpenCLIP's fused attention is not written.
    """
    names = list(names)
    if part == "text_encoder":
        return {name: _WRITTEN[part] + name for name in names}
    modules = ldm_unet.modules_of_canonical(names) if part == "unet" else ldm_vae.modules_of_canonical(names)
    rename = renaming([module.reversed() for module in modules])
    found = ((name, rename(name)) for name in names)
    return {name: _WRITTEN[part] + there for name, there in found if there is not None}


def to_ldm(part: str, tensors: Mapping[str, Tensor]) -> Tensors:
    """Canonical tensors as a single file holds them: its names, and the VAE's attention as 1x1 convolutions."""
    names = to_ldm_names(part, tensors)
    return {
        there: tensors[name].reshape(*tensors[name].shape, 1, 1)
        if part == "vae" and ".attentions." in name and len(tensors[name].shape) == 2
        else tensors[name]
        for name, there in names.items()
    }


def _from_prefixless(prefix: str, tensors: Tensors) -> tuple[Tensors, Tensors]:
    """(canonically named, unknown) of the tensors below one prefix."""
    if prefix == OPEN_CLIP:
        return _from_open_clip(tensors)
    if prefix == CLIP:
        return canonical("text_encoder", tensors), {}
    is_unet = PREFIXES[prefix] == "unet"
    rename = renaming(ldm_unet.modules_of_ldm(tensors) if is_unet else ldm_vae.modules_of_ldm(tensors))
    named: Tensors = {}
    unknown: Tensors = {}
    for name, tensor in tensors.items():
        ours = rename(name)
        if ours is None:
            unknown[name] = tensor
        else:
            named[ours] = flatten_pointwise(tensor) if not is_unet and ".attentions." in ours else tensor
    return named, unknown


def _from_open_clip(tensors: Tensors) -> tuple[Tensors, Tensors]:
    """OpenCLIP's text tower. All of its layers, although SD 2 reads the last but one: configuration says which."""
    named: Tensors = {}
    unknown: Tensors = {}
    for name, tensor in tensors.items():
        layer = _OPEN_CLIP_NAME.fullmatch(name)
        fused = _OPEN_CLIP_FUSED.fullmatch(name)
        if name in _OPEN_CLIP_PLAIN:
            named[_OPEN_CLIP_PLAIN[name]] = tensor
        elif layer is not None and layer[2] in _OPEN_CLIP_LAYER:
            named[f"encoder.layers.{layer[1]}.{_OPEN_CLIP_LAYER[layer[2]]}.{layer[3]}"] = tensor
        elif fused is not None and tensor.shape and tensor.shape[0] % 3 == 0:
            # Query, key and value lie one below the other in one matrix.
            width = tensor.shape[0] // 3
            for place, which in enumerate("qkv"):
                ours = f"encoder.layers.{fused[1]}.self_attn.{which}_proj.{fused[2]}"
                named[ours] = tensor.rows(place * width, (place + 1) * width)
        elif name not in TEXT_IGNORED:
            unknown[name] = tensor
    return named, unknown
