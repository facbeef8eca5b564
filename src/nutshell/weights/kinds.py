"""What a model or file is, told from a pipeline's name or from tensor names: so that a refusal can say so."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nutshell.errors import Shape, UnsupportedModel
from nutshell.language import tr
from nutshell.weights.header import shown
from nutshell.weights.ldm import PREFIXES

# diffusers pipelines that share Stable Diffusion's three parts.
SUPPORTED_PIPELINES = frozenset(
    {"StableDiffusionPipeline", "StableDiffusionImg2ImgPipeline", "StableDiffusionInpaintPipeline"}
    | {"StableDiffusionInpaintPipelineLegacy", "LatentConsistencyModelPipeline"}
    | {"LatentConsistencyModelImg2ImgPipeline"}
)

# A pipeline's name begins so -> what people call it. Longer beginnings first.
_PIPELINE_FAMILIES: tuple[tuple[str, str], ...] = (
    ("StableDiffusionXL", "Stable Diffusion XL"),
    ("StableDiffusion3", "Stable Diffusion 3"),
    ("StableDiffusionUpscale", tr("the Stable Diffusion x4 upscaler")),
    ("StableDiffusionLatentUpscale", tr("the Stable Diffusion latent upscaler")),
    ("StableDiffusionInstructPix2Pix", "InstructPix2Pix"),
    ("StableDiffusionDepth2Img", "Stable Diffusion 2 depth"),
    ("StableDiffusionControlNet", tr("Stable Diffusion with ControlNet")),
    ("StableUnCLIP", "Stable unCLIP"),
    ("StableVideo", "Stable Video Diffusion"),
    ("StableCascade", "Stable Cascade"),
    ("StableAudio", "Stable Audio"),
    ("Flux", "Flux"),
    ("PixArt", "PixArt"),
    ("Kandinsky", "Kandinsky"),
    ("Wuerstchen", "Wuerstchen"),
    ("AltDiffusion", "AltDiffusion"),
    ("Sana", "Sana"),
    ("QwenImage", "Qwen-Image"),
    ("ZImage", "Z-Image"),
    ("OV", tr("an OpenVINO export")),
    ("ORT", tr("an ONNX export")),
    ("Onnx", tr("an ONNX export")),
)

# Below: text in a tensor's name ("\n" is where a name begins or ends) -> what has it. First hit counts.

# Not a model but an addition to one. Their names may hold those of the model they belong to.
_ADAPTERS: tuple[tuple[str, str], ...] = (
    ("\nlora_", tr("a LoRA")),
    (".lora_A.", tr("a LoRA")),
    (".lora_down.", tr("a LoRA")),
    (".lora.down.", tr("a LoRA")),
    ("_lora.down.", tr("a LoRA")),
    (".hada_w1_a\n", tr("a LoHa (a kind of LoRA)")),
    (".lokr_w1\n", tr("a LoKr (a kind of LoRA)")),
    ("\nip_adapter.", tr("an IP-Adapter")),
    ("\nimage_proj.", tr("an IP-Adapter")),
    ("controlnet_cond_embedding.", tr("a ControlNet")),
    ("\ninput_hint_block.", tr("a ControlNet")),
    ("motion_modules.", tr("an AnimateDiff motion module")),
    ("\nemb_params\n", tr("a textual-inversion embedding")),
    ("\nclip_l\n", tr("a textual-inversion embedding")),
    ("\nclip_g\n", tr("a textual-inversion embedding")),
)
# A whole model of another family.
_FOREIGN_MODELS: tuple[tuple[str, str], ...] = (
    ("\nconditioner.embedders.1.", "Stable Diffusion XL"),
    ("\nconditioner.embedders.0.model.", tr("the Stable Diffusion XL refiner")),
    ("joint_blocks.", "Stable Diffusion 3"),
    ("double_blocks.", tr("Flux or one of its kind")),
    ("\ncond_stage_model.roberta.", "AltDiffusion"),
    (".time_stack.", "Stable Video Diffusion"),
)
# Stable Diffusion with something more, which its networks here do not compute.
_FOREIGN_FEATURES: tuple[tuple[str, str], ...] = (
    ("\ndepth_model.", "Stable Diffusion 2 depth"),
    ("\nlow_scale_model.", tr("the Stable Diffusion x4 upscaler")),
    ("\nnoise_augmentor.", "Stable unCLIP"),
    ("\nembedder.model.", "Stable unCLIP"),
    ("\ncontrol_model.", tr("Stable Diffusion with ControlNet")),
    ("diffusion_model.label_emb.", tr("a model with class labels (Stable Diffusion XL or unCLIP)")),
)
# One part of a model.
_COMPONENTS: tuple[tuple[str, str], ...] = (
    ("\ncontrol_model.", tr("a ControlNet")),
    ("\nfirst_stage_model.", tr("a VAE alone")),
    ("\nvae.", tr("a VAE alone")),
    ("\ndecoder.conv_in.", tr("a VAE alone")),
    ("\ndecoder.layers.", tr("a tiny VAE (TAESD) alone")),
    ("\ndown_blocks.", tr("a UNet alone")),
    ("\ninput_blocks.", tr("a UNet alone")),
    ("\nencoder.block.", tr("a T5 text encoder alone")),
    ("\nvision_model.", tr("a CLIP image encoder")),
    ("\ncond_stage_model.", tr("a text encoder alone")),
    ("embeddings.token_embedding.", tr("a CLIP text encoder alone")),
    ("\nmodel.layers.", tr("a language model")),
    ("\nconv_first.", tr("an upscaler (ESRGAN)")),
    ("diffusion_model.", tr("a diffusion model of a kind that is not known here")),
)
# Input channels of the UNet that mean another task. 4 is plain, 9 inpainting.
_INPUT_CHANNELS = {5: "Stable Diffusion 2 depth", 7: tr("the Stable Diffusion x4 upscaler"), 8: "InstructPix2Pix"}

_FIRST_CONVOLUTIONS = [prefix + "input_blocks.0.0.weight" for prefix, part in PREFIXES.items() if part == "unet"]

_HINT = tr("use a Stable Diffusion 1.x or 2.x model")


def refuse_foreign_pipeline(path: Path, class_name: object) -> None:
    """Raise UnsupportedModel unless model_index.json names a pipeline of Stable Diffusion's parts."""
    if class_name is None or (isinstance(class_name, str) and class_name in SUPPORTED_PIPELINES):
        return
    name = class_name if isinstance(class_name, str) else str(class_name)
    family = next((family for start, family in _PIPELINE_FAMILIES if name.startswith(start)), None)
    kind = shown(name)
    what = tr("{family} ({kind})", family=family, kind=kind) if family else tr("a {kind}", kind=kind)
    raise UnsupportedModel(tr("{path} is {what}, which cannot run yet", path=path, what=what), _HINT)


def refuse_foreign_config(path: Path, part: str, config: dict[str, Any]) -> None:
    """Raise UnsupportedModel for a UNet whose input channels belong to another task."""
    channels = config.get("in_channels")
    if part == "unet" and isinstance(channels, int) and channels in _INPUT_CHANNELS:
        raise UnsupportedModel(
            tr("{path} is {input_channels}, which cannot run yet", path=path, input_channels=_INPUT_CHANNELS[channels]),
            _HINT,
        )


def refuse_foreign_file(path: Path, shapes: dict[str, Shape]) -> None:
    """Raise unless the names and shapes of a single file are those of a whole Stable Diffusion model."""
    blob = "\n" + "\n".join(shapes) + "\n"
    adapter = _first(_ADAPTERS, blob)
    if adapter:
        raise UnsupportedModel(
            tr("{path} is {adapter}, not a whole model", path=path, adapter=adapter),
            tr("name the model that it is an addition to"),
        )
    foreign = _first(_FOREIGN_MODELS, blob)
    first_convolution = next((shapes[name] for name in _FIRST_CONVOLUTIONS if name in shapes), None)
    if first_convolution is not None and foreign is None:
        channels = first_convolution[1] if len(first_convolution) == 4 else 0
        foreign = _first(_FOREIGN_FEATURES, blob) or _INPUT_CHANNELS.get(channels)
    if foreign:
        raise UnsupportedModel(tr("{path} is {foreign}, which cannot run yet", path=path, foreign=foreign), _HINT)
    if first_convolution is None:
        raise _not_a_model(path, blob, shapes)


def _not_a_model(path: Path, blob: str, names: Iterable[str]) -> UnsupportedModel:
    component = _first(_COMPONENTS, blob)
    if component:
        return UnsupportedModel(
            tr("{path} is {component}, not a whole model", path=path, component=component),
            tr("name the folder or file of the whole model it belongs to"),
        )
    some = ", ".join(shown(name) for name in list(names)[:3]) or tr("no tensors")
    return UnsupportedModel(tr("{path} is no model in a known layout: it holds {some}", path=path, some=some), _HINT)


def _first(table: tuple[tuple[str, str], ...], blob: str) -> str | None:
    return next((what for mark, what in table if mark in blob), None)
