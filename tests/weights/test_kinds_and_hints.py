"""Files that are something else are named; what a file says of itself is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nutshell.errors import UnsupportedModel
from nutshell.weights import open_checkpoint
from nutshell.weights.hints import hint_from_file, hint_from_scheduler

Writer = Callable[..., Path]

UNET = "model.diffusion_model."
CONV_IN = {UNET + "input_blocks.0.0.weight": (8, 4, 3, 3)}
CLIP = "cond_stage_model.transformer.text_model.final_layer_norm.bias"

KINDS: dict[str, dict[str, tuple[int, ...]]] = {
    "Stable Diffusion XL": {**CONV_IN, "conditioner.embedders.1.model.ln_final.bias": (2,)},
    "XL refiner": {**CONV_IN, "conditioner.embedders.0.model.ln_final.bias": (2,)},
    "XL or unCLIP": {**CONV_IN, UNET + "label_emb.0.0.weight": (2,)},
    "Stable Diffusion 3": {UNET + "joint_blocks.0.context_block.mlp.fc1.bias": (2,)},
    "Flux": {"double_blocks.0.img_attn.proj.bias": (2,)},
    "a kind that is not known": {UNET + "blocks.0.weight": (2,)},
    "2 depth": {UNET + "input_blocks.0.0.weight": (8, 5, 3, 3)},
    "x4 upscaler": {UNET + "input_blocks.0.0.weight": (8, 7, 3, 3)},
    "InstructPix2Pix": {UNET + "input_blocks.0.0.weight": (8, 8, 3, 3)},
    "Stable unCLIP": {**CONV_IN, "embedder.model.visual.proj": (2,)},
    "Stable Diffusion with ControlNet": {**CONV_IN, "control_model.time_embed.0.bias": (2,)},
    "a LoRA, not": {"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": (2,)},
    "is a LoRA": {"unet.down_blocks.0.attentions.0.proj_in.lora_A.weight": (2,)},
    "a ControlNet, not": {"control_model.time_embed.0.bias": (2,)},
    "a ControlNet": {"controlnet_cond_embedding.conv_in.weight": (2,), "down_blocks.0.x": (2,)},
    "a VAE alone, not": {"first_stage_model.decoder.conv_in.weight": (2,)},
    "a VAE alone": {"encoder.conv_in.weight": (2,), "decoder.conv_in.weight": (2,)},
    "TAESD": {"encoder.layers.0.weight": (2,), "decoder.layers.0.weight": (2,)},
    "a UNet alone, not": {"down_blocks.0.resnets.0.conv1.weight": (2,), "conv_in.weight": (2,)},
    "a UNet alone": {"input_blocks.0.0.weight": (8, 4, 3, 3)},
    "CLIP text encoder alone": {"text_model.embeddings.token_embedding.weight": (2,)},
    "textual-inversion": {"emb_params": (1, 768)},
    "an upscaler": {"conv_first.weight": (2,)},
    "no model in a known layout.*'x'": {"x": (2,)},
    "it holds no tensors": {},
}


@pytest.mark.parametrize("words", KINDS)
def test_what_is_no_whole_model_is_named(words: str, names_only: Writer) -> None:
    with pytest.raises(UnsupportedModel, match=words) as caught:
        open_checkpoint(names_only(KINDS[words]))
    assert caught.value.hint


def test_metadata_is_read(names_only: Writer) -> None:
    metadata = {
        "modelspec.prediction_type": "v",
        "modelspec.architecture": "stable-diffusion-v2-768-v",
        "modelspec.resolution": "768x768",
    }
    hint = open_checkpoint(names_only(CONV_IN, **metadata)).prediction_hint()
    assert hint.prediction == "v_prediction"
    assert hint.resolution == (768, 768)
    assert hint.architecture == "stable-diffusion-v2-768-v"
    assert hint.family is None
    assert hint.reasons == ("modelspec.prediction_type", "modelspec.resolution")


def test_marks_are_read(names_only: Writer) -> None:
    hint = open_checkpoint(names_only({**CONV_IN, CLIP: (8,), "v_pred": (0,), "ztsnr": (0,)})).prediction_hint()
    assert hint.prediction == "v_prediction"
    assert hint.zero_terminal_snr is True
    assert hint.family == "sd1"


def test_nothing_is_guessed(names_only: Writer) -> None:
    hint = open_checkpoint(names_only({**CONV_IN, "cond_stage_model.model.ln_final.bias": (8,)})).prediction_hint()
    assert hint.family == "sd2"
    assert hint.prediction is None
    assert hint.zero_terminal_snr is None
    strange = {"modelspec.prediction_type": "x", "modelspec.resolution": "large"}
    assert hint_from_file(strange, frozenset(), frozenset()).reasons == ()
    assert hint_from_file({"modelspec.resolution": "512"}, frozenset(), frozenset()).resolution == (512, 512)


def test_the_scheduler_states_the_prediction() -> None:
    assert hint_from_scheduler({}).prediction == "epsilon"
    hint = hint_from_scheduler({"prediction_type": "v_prediction", "rescale_betas_zero_snr": True})
    assert (hint.prediction, hint.zero_terminal_snr) == ("v_prediction", True)
    assert hint_from_scheduler({"prediction_type": ["x"], "rescale_betas_zero_snr": 1}).prediction is None
