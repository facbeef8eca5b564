"""Single files in the original layout: diffusers' own converters are the referee for every name and value."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nutshell.errors import ModelNotFound, WeightsMismatch
from nutshell.weights import PARTS, Checkpoint, Tensor, from_ldm, open_checkpoint, to_ldm, to_ldm_names
from nutshell.weights.ldm import IGNORED_NAMES

Writer = Callable[..., Path]

UNET = "model.diffusion_model."
VAE = "first_stage_model."
CLIP = "cond_stage_model.transformer.text_model."


def stored(checkpoint: Checkpoint, part: str) -> dict[str, Tensor]:
    weights = checkpoint.open(part).weights
    return dict(zip(weights.names(), weights.tensors(), strict=True))


def assert_equal(ours: dict[str, Tensor], expected: dict[str, Any]) -> None:
    assert ours.keys() == expected.keys()
    for name, tensor in expected.items():
        assert ours[name].shape == tuple(tensor.shape), name
        np.testing.assert_array_equal(ours[name].array(), tensor.numpy(), err_msg=name)


@pytest.fixture(scope="module")
def single(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny pipeline in one file, with the leftovers that real files carry."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    checkpoint = open_checkpoint(folder)
    written = {
        name: torch.from_numpy(tensor.array().copy())
        for part in PARTS
        for name, tensor in to_ldm(part, stored(checkpoint, part)).items()
    }
    written |= {
        "alphas_cumprod": torch.ones(10),
        "betas": torch.ones(10),
        "model_ema.decay": torch.ones(()),
        "model_ema.diffusion_modelinput_blocks00weight": torch.ones(3),
        CLIP + "embeddings.position_ids": torch.arange(77)[None],
        "cond_stage_model.logit_scale": torch.ones(()),
        "cond_stage_model.transformer.text_projection.weight": torch.ones(2, 2),
    }
    path = tmp_path_factory.mktemp("single") / "model.safetensors"
    save_file(written, path, metadata={"modelspec.prediction_type": "epsilon", "modelspec.resolution": "512x768"})
    return path


@pytest.mark.reference
def test_a_single_file_holds_what_the_folder_holds(single: Path, parts: dict[str, Any]) -> None:
    checkpoint = open_checkpoint(single)
    assert checkpoint.layout == "ldm"
    assert checkpoint.parts == PARTS
    assert checkpoint.class_name is None
    assert checkpoint.tokenizer_folder is None
    assert checkpoint.scheduler_config is None
    for part, network in parts.items():
        assert checkpoint.config(part) is None
        assert_equal(stored(checkpoint, part), network.state_dict())
    with checkpoint.open("vae") as part_:
        assert part_.file_bytes < single.stat().st_size / 2
        part_.release()


@pytest.mark.reference
@pytest.mark.parametrize("part", ["unet", "vae"])
def test_diffusers_reads_the_same_from_the_file(part: str, single: Path, folder: Path, parts: dict[str, Any]) -> None:
    kind = type(parts[part])
    theirs = kind.from_single_file(str(single), config=str(folder), subfolder=part, local_files_only=True)
    assert_equal(stored(open_checkpoint(single), part), theirs.state_dict())


@pytest.mark.reference
def test_diffusers_reads_the_same_text_encoder(single: Path, parts: dict[str, Any]) -> None:
    from diffusers.loaders.single_file_utils import convert_ldm_clip_checkpoint
    from safetensors.torch import load_file

    theirs = convert_ldm_clip_checkpoint(load_file(single))
    dropped = ("position_ids", "text_projection.weight")
    expected = {name.removeprefix("text_model."): t for name, t in theirs.items() if not name.endswith(dropped)}
    assert_equal(stored(open_checkpoint(single), "text_encoder"), expected)


SHARED = {"sample_size": 8, "norm_num_groups": 4, "cross_attention_dim": 8, "attention_head_dim": 2}
CROSS, PLAIN = ("CrossAttnDownBlock2D", "CrossAttnUpBlock2D"), ("DownBlock2D", "UpBlock2D")
SHAPES: dict[str, dict[str, Any]] = {
    "as SD 1.5": {"rows": (CROSS, CROSS, CROSS, PLAIN), "layers_per_block": 2},
    "as SD 2, inpainting": {
        "rows": (CROSS, CROSS, CROSS, PLAIN),
        "layers_per_block": 2,
        "use_linear_projection": True,
        "in_channels": 9,
    },
    "one layer a block": {"rows": (CROSS, PLAIN, CROSS), "layers_per_block": 1},
    "two levels, three layers": {"rows": (PLAIN, CROSS), "layers_per_block": 3},
    "deep transformers": {"rows": (CROSS, PLAIN), "layers_per_block": 1, "transformer_layers_per_block": 2},
}


def unet_of(rows: tuple[tuple[str, str], ...], **config: Any) -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        block_out_channels=tuple(4 * (n + 1) for n in range(len(rows))),
        down_block_types=tuple(down for down, _ in rows),
        up_block_types=tuple(up for _, up in rows[::-1]),
        **{**SHARED, **config},
    )


@pytest.mark.reference
@pytest.mark.parametrize("case", SHAPES)
def test_unets_of_many_shapes(case: str) -> None:
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    unet = unet_of(**SHAPES[case])
    ours = {name: Tensor.of(name, value.numpy()) for name, value in unet.state_dict().items()}
    file = to_ldm("unet", ours)
    assert len(file) == len(ours)
    assert_equal(from_ldm("unet", file), unet.state_dict())
    # The referee only moves values, so placeholders in their stead will do.
    theirs = convert_ldm_unet_checkpoint(dict(file), dict(unet.config))
    assert {name: tensor.name for name, tensor in theirs.items()} == {name: name for name in ours}


@pytest.mark.reference
@pytest.mark.parametrize("mid", [None, "UNetMidBlock2DCrossAttn", "UNetMidBlock2D"])
def test_unets_with_and_without_a_middle(mid: str | None) -> None:
    """Pruned models (tiny-sd) have none; diffusers cannot convert those, so the round trip must do."""
    unet = unet_of((CROSS, PLAIN), layers_per_block=1, mid_block_type=mid)
    ours = {name: Tensor.of(name, value.numpy()) for name, value in unet.state_dict().items()}
    file = to_ldm("unet", ours)
    assert any("middle_block" in name for name in file) == (mid is not None)
    assert len(file) == len(ours)
    assert_equal(from_ldm("unet", file), unet.state_dict())


@pytest.mark.reference
@pytest.mark.parametrize("levels", [1, 2, 4])
@pytest.mark.parametrize("layers", [1, 2])
def test_vaes_of_many_shapes(levels: int, layers: int) -> None:
    import torch
    from diffusers import AutoencoderKL
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    vae = AutoencoderKL(
        block_out_channels=tuple(4 * (n + 1) for n in range(levels)),
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=layers,
        norm_num_groups=4,
    )
    ours = {name: Tensor.of(name, value.numpy()) for name, value in vae.state_dict().items()}
    file = to_ldm("vae", ours)
    assert file[VAE + "decoder.mid.attn_1.q.weight"].shape[2:] == (1, 1)
    assert_equal(from_ldm("vae", file), vae.state_dict())
    theirs = convert_ldm_vae_checkpoint(
        {name: torch.from_numpy(tensor.array()) for name, tensor in file.items()}, dict(vae.config)
    )
    assert_equal(from_ldm("vae", file), theirs)


def open_clip_names(text: Any) -> dict[str, Any]:
    """OpenCLIP's names for a CLIPTextModel, written independently of the code under test."""
    import torch

    source = {name.removeprefix("text_model."): value for name, value in text.state_dict().items()}
    written = {
        "positional_embedding": source["embeddings.position_embedding.weight"],
        "token_embedding.weight": source["embeddings.token_embedding.weight"],
        "ln_final.weight": source["final_layer_norm.weight"],
        "ln_final.bias": source["final_layer_norm.bias"],
        "text_projection": torch.ones(16, 16),
        "logit_scale": torch.ones(()),
    }
    pairs = (
        ("ln_1", "layer_norm1"), ("ln_2", "layer_norm2"), ("mlp.c_fc", "mlp.fc1"), ("mlp.c_proj", "mlp.fc2"),
        ("attn.out_proj", "self_attn.out_proj"),
    )  # fmt: skip
    for n in range(text.config.num_hidden_layers):
        for leaf in ("weight", "bias"):
            layer = f"encoder.layers.{n}"
            fused = [source[f"{layer}.self_attn.{which}_proj.{leaf}"] for which in "qkv"]
            written[f"transformer.resblocks.{n}.attn.in_proj_{leaf}"] = torch.cat(fused)
            for there, here in pairs:
                written[f"transformer.resblocks.{n}.{there}.{leaf}"] = source[f"{layer}.{here}.{leaf}"]
    return {"cond_stage_model.model." + name: value for name, value in written.items()}


@pytest.mark.reference
def test_the_open_clip_text_encoder_of_sd_2(parts: dict[str, Any], tmp_path: Path) -> None:
    import torch
    from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint
    from safetensors.torch import save_file

    text = parts["text_encoder"]
    written = open_clip_names(text)
    path = tmp_path / "sd2.safetensors"
    save_file({**written, UNET + "input_blocks.0.0.weight": torch.zeros(8, 4, 3, 3)}, path)
    checkpoint = open_checkpoint(path)
    assert checkpoint.parts == ("text_encoder", "unet")
    assert checkpoint.prediction_hint().family == "sd2"
    ours = stored(checkpoint, "text_encoder")
    assert_equal(ours, {name.removeprefix("text_model."): value for name, value in text.state_dict().items()})
    # The fused matrix is cut, not copied.
    assert ours["encoder.layers.0.self_attn.k_proj.weight"].name.endswith("in_proj_weight[16:32]")
    theirs = convert_open_clip_checkpoint(text, written)
    theirs = {name.removeprefix("text_model."): value for name, value in theirs.items()}
    theirs = {name.removeprefix("transformer."): value for name, value in theirs.items()}
    theirs.pop("text_projection.weight", None)
    assert_equal(ours, theirs)


@pytest.mark.reference
def test_names_of_the_real_models() -> None:
    """Full-size SD 1.5 and SD 2.1 without their data: as many tensors as their files have, at the known places."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel

    four = {"block_out_channels": (320, 640, 1280, 1280)}
    with torch.device("meta"):
        unets = [
            UNet2DConditionModel(cross_attention_dim=768, **four),
            UNet2DConditionModel(cross_attention_dim=1024, use_linear_projection=True, **four),
        ]
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
        )
    for unet, width in zip(unets, (768, 1024), strict=True):
        state = unet.state_dict()
        names = to_ldm_names("unet", state)
        assert len(set(names.values())) == len(state) == 686
        back = {there: state[here].shape for here, there in names.items()}
        assert back[UNET + "output_blocks.11.0.skip_connection.weight"] == (320, 640, 1, 1)
        assert back[UNET + "input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight"] == (320, width)
        assert back[UNET + "output_blocks.5.2.conv.weight"] == (1280, 1280, 3, 3)
        assert back[UNET + "output_blocks.2.1.conv.bias"] == (1280,)
        assert back[UNET + "input_blocks.9.0.op.weight"] == (1280, 1280, 3, 3)
        assert back[UNET + "middle_block.1.norm.weight"] == (1280,)
    state = vae.state_dict()
    names = to_ldm_names("vae", state)
    assert len(set(names.values())) == len(state) == 248
    back = {there: state[here].shape for here, there in names.items()}
    assert back[VAE + "decoder.up.0.block.0.nin_shortcut.weight"] == (128, 256, 1, 1)
    assert back[VAE + "decoder.up.3.upsample.conv.weight"] == (512, 512, 3, 3)
    assert back[VAE + "encoder.down.2.downsample.conv.weight"] == (512, 512, 3, 3)
    assert back[VAE + "quant_conv.weight"] == (8, 8, 1, 1)


LEVEL = st.tuples(st.integers(1, 3), st.booleans())


@settings(max_examples=60, deadline=None)
@given(down=st.lists(LEVEL, min_size=1, max_size=5), up=st.lists(LEVEL, min_size=1, max_size=5), mid=st.integers(0, 3))
def test_any_anatomy_survives_the_round_trip(down: list[Any], up: list[Any], mid: int) -> None:
    def level(blocks: str, n: int, resnets: int, attends: bool, resampler: str | None) -> list[str]:
        names = [f"{blocks}.{n}.resnets.{k}.conv1.weight" for k in range(resnets)]
        if attends:
            inner = "transformer_blocks.0.norm1.weight"
            names += [f"{blocks}.{n}.attentions.{k}.{inner}" for k in range(resnets)]
        return names + ([f"{blocks}.{n}.{resampler}.0.conv.weight"] if resampler else [])

    names = ["conv_in.weight", "conv_out.bias", "time_embedding.linear_2.weight"]
    for n, (resnets, attends) in enumerate(down):
        names += level("down_blocks", n, resnets, attends, "downsamplers" if n < len(down) - 1 else None)
    for n, (resnets, attends) in enumerate(up):
        names += level("up_blocks", n, resnets, attends, "upsamplers" if n < len(up) - 1 else None)
    names += [f"mid_block.resnets.{k}.conv1.weight" for k in range(mid)]
    names += [f"mid_block.attentions.{k}.transformer_blocks.0.norm1.weight" for k in range(mid - 1)]
    there = to_ldm_names("unet", names)
    assert len(set(there.values())) == len(names)
    back = from_ldm("unet", {name: Tensor(here, "F32", ()) for here, name in there.items()})
    assert {name: tensor.name for name, tensor in back.items()} == {name: name for name in names}


STEPS = st.sampled_from(
    [
        "input_blocks",
        "output_blocks",
        "middle_block",
        "0",
        "1",
        "2",
        "999999999999",
        "in_layers",
        "op",
        "conv",
        "transformer_blocks",
        "encoder",
        "decoder",
        "down",
        "up",
        "block",
        "mid",
        "attn_1",
        "q",
        "transformer",
        "resblocks",
        "attn",
        "in_proj_weight",
        "in_proj",
        "ln_1",
        "text_model",
        "out_proj",
        "weight",
        "bias",
        "x",
        "",
    ]
)
NAMES = st.builds(
    lambda prefix, steps: prefix + ".".join(steps),
    st.sampled_from([UNET, VAE, CLIP, "cond_stage_model.model.", "vae.", "diffusion_model.", ""]),
    st.lists(STEPS, min_size=1, max_size=6),
)


@settings(max_examples=150, deadline=None)
@given(names=st.sets(NAMES, max_size=30))
def test_no_tensor_is_lost_whatever_its_name(names: set[str]) -> None:
    """Every name comes out once, known or under its own; only a fused one becomes three."""
    for part in PARTS:
        tensors = {name: Tensor(name, "F32", (5, 4, 1, 1)) for name in names}
        renamed = from_ldm(part, tensors)
        assert {tensor.name for tensor in renamed.values()} == names
        assert len(renamed) == len(names)


CONV_IN = {UNET + "input_blocks.0.0.weight": (8, 4, 3, 3)}


def test_other_spellings(names_only: Writer) -> None:
    """Merges that lost `text_model` or `model.`."""
    path = names_only(
        {
            "diffusion_model.input_blocks.0.0.weight": (8, 9, 3, 3),
            "diffusion_model.time_embed.0.bias": (32,),
            "cond_stage_model.transformer.final_layer_norm.bias": (8,),
            "vae.decoder.norm_out.weight": (8,),
        }
    )
    checkpoint = open_checkpoint(path)
    assert set(stored(checkpoint, "unet")) == {"conv_in.weight", "time_embedding.linear_1.bias"}
    assert set(stored(checkpoint, "text_encoder")) == {"final_layer_norm.bias"}
    assert set(stored(checkpoint, "vae")) == {"decoder.conv_norm_out.weight"}


def test_strangers_are_named_by_the_account(names_only: Writer) -> None:
    strangers = {
        "something.else": (1,),
        UNET + "input_blocks.0.1.weight": (1,),
        UNET + "middle_block.0.in_layers.7.weight": (1,),
        "diffusion_model.input_blocks.0.0.weight": (8, 4, 3, 3),
    }
    ignored: dict[str, tuple[int, ...]] = dict.fromkeys(IGNORED_NAMES, ()) | {"model_ema.decay": ()}
    checkpoint = open_checkpoint(names_only({**CONV_IN, **strangers, **ignored}))
    with checkpoint.open("unet") as part, pytest.raises(WeightsMismatch) as caught:
        part.weights.account(lambda view: view.take("conv_in.weight", (8, 4, 3, 3)))
    assert set(caught.value.unused) == set(strangers)
    assert not caught.value.missing


def test_a_file_without_a_vae_says_so(names_only: Writer) -> None:
    checkpoint = open_checkpoint(names_only(CONV_IN))
    assert checkpoint.parts == ("unet",)
    with pytest.raises(ModelNotFound, match="no vae"):
        checkpoint.open("vae")
    with pytest.raises(ModelNotFound, match="no vae"):
        checkpoint.config("vae")
