"""Folders in the diffusers layout: as the real libraries write them, and as they break."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nutshell.errors import CorruptFile, ModelNotFound, PickleRefused, UnsupportedModel, WeightsMismatch
from nutshell.weights import PARTS, Checkpoint, open_checkpoint

Writer = Callable[..., Path]


def assert_holds(checkpoint: Checkpoint, part: str, network: Any, dtype: str = "F32") -> None:
    """Every tensor of a PyTorch module is in the part, equal, and nothing else."""
    expected = network.state_dict()
    with checkpoint.open(part) as opened:
        assert set(opened.weights.names()) == set(expected)
        for name, tensor in expected.items():
            ours = opened.weights.take(name, tuple(tensor.shape))
            assert ours.dtype == dtype
            np.testing.assert_array_equal(ours.f32(), tensor.float().numpy())
        assert opened.file_bytes == sum(t.numel() * t.element_size() for t in expected.values())


@pytest.mark.reference
def test_a_saved_pipeline(folder: Path, parts: dict[str, Any]) -> None:
    checkpoint = open_checkpoint(folder)
    assert checkpoint.layout == "diffusers"
    assert checkpoint.parts == PARTS
    assert checkpoint.class_name == "StableDiffusionPipeline"
    assert checkpoint.tokenizer_folder is None
    assert checkpoint.scheduler_config is not None
    assert checkpoint.scheduler_config["_class_name"] == "DDIMScheduler"
    assert checkpoint.prediction_hint().prediction == "v_prediction"
    for part, network in parts.items():
        assert_holds(checkpoint, part, network)
    config = checkpoint.config("unet")
    assert config is not None
    assert config["cross_attention_dim"] == 16


@pytest.mark.reference
def test_a_half_precision_variant(pipeline: Any, parts: dict[str, Any], tmp_path: Path, folder: Path) -> None:
    import copy

    pipeline.save_pretrained(tmp_path, variant="fp16")
    # The plain files are absent, so the variant is found without being asked for.
    assert_holds(open_checkpoint(tmp_path), "unet", parts["unet"])
    with pytest.raises(ModelNotFound, match="variant"):
        open_checkpoint(tmp_path, variant="bf16")
    with pytest.raises(ModelNotFound, match="variant"):
        open_checkpoint(folder, variant="fp16")
    # Both beside each other: the plain one, unless asked.
    half = copy.deepcopy(parts["vae"]).half()
    half.save_pretrained(tmp_path / "vae", variant="fp16")
    parts["vae"].save_pretrained(tmp_path / "vae")
    assert_holds(open_checkpoint(tmp_path), "vae", parts["vae"])
    assert_holds(open_checkpoint(tmp_path, variant="fp16"), "vae", half, "F16")


@pytest.mark.reference
@pytest.mark.parametrize("variant", [None, "fp16"])
def test_shards(variant: str | None, pipeline: Any, parts: dict[str, Any], tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path, max_shard_size="20KB", variant=variant)
    assert len(list((tmp_path / "unet").glob("*.safetensors"))) > 3
    for chosen in {None, variant}:
        checkpoint = open_checkpoint(tmp_path, chosen)
        for part, network in parts.items():
            assert_holds(checkpoint, part, network)
    with checkpoint.open("unet") as part_:
        part_.release()


@pytest.mark.reference
def test_a_tiny_vae(folder: Path, tmp_path: Path) -> None:
    from diffusers import AutoencoderTiny

    copied = shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(copied / "vae")
    tiny = AutoencoderTiny(
        encoder_block_out_channels=(8, 8), decoder_block_out_channels=(8, 8), num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
    )  # fmt: skip
    tiny.save_pretrained(copied / "vae")
    checkpoint = open_checkpoint(copied)
    assert_holds(checkpoint, "vae", tiny)
    config = checkpoint.config("vae")
    assert config is not None
    assert config["_class_name"] == "AutoencoderTiny"


@pytest.mark.reference
def test_each_open_is_its_own(folder: Path) -> None:
    checkpoint = open_checkpoint(folder)
    first, second = checkpoint.open("vae"), checkpoint.open("vae")
    first.close()
    assert second.weights.take("decoder.conv_in.bias", (16,)).array().shape == (16,)
    second.close()


# Below, folders are built by hand: names and shapes are enough.


@pytest.fixture
def model(tmp_path: Path, names_only: Writer) -> Path:
    """A folder with one tensor in each part."""
    root = tmp_path / "model"
    for part in PARTS:
        (root / part).mkdir(parents=True)
        (root / part / "config.json").write_text("{}")
        stem = "model" if part == "text_encoder" else "diffusion_pytorch_model"
        shutil.move(names_only({"conv_in.weight": (1, 4, 3, 3)}), root / part / f"{stem}.safetensors")
    (root / "tokenizer").mkdir()
    write_index(root)
    return root


def write_index(root: Path, **changed: Any) -> None:
    index: dict[str, Any] = {"_class_name": "StableDiffusionPipeline", **{part: ["diffusers", "X"] for part in PARTS}}
    index |= {"safety_checker": [None, None], "image_encoder": None, "feature_extractor": [None, None]}
    (root / "model_index.json").write_text(json.dumps(index | changed))


def test_null_parts_are_left_out(model: Path) -> None:
    assert open_checkpoint(model).parts == PARTS
    assert open_checkpoint(model).tokenizer_folder == model / "tokenizer"
    write_index(model, vae=[None, None])
    checkpoint = open_checkpoint(model)
    assert checkpoint.parts == ("text_encoder", "unet")
    with pytest.raises(ModelNotFound, match="no vae"):
        checkpoint.open("vae")


def test_a_folder_without_an_index(model: Path) -> None:
    (model / "model_index.json").unlink()
    checkpoint = open_checkpoint(model)
    assert checkpoint.parts == PARTS
    assert checkpoint.class_name is None
    assert checkpoint.scheduler_config is None
    assert checkpoint.prediction_hint().prediction is None


def test_a_missing_folder_is_named(model: Path) -> None:
    shutil.rmtree(model / "vae")
    with pytest.raises(ModelNotFound, match="lacks its folder vae"):
        open_checkpoint(model)


def test_missing_files_are_named(model: Path) -> None:
    (model / "unet" / "config.json").unlink()
    with pytest.raises(ModelNotFound, match=r"config\.json"):
        open_checkpoint(model)
    (model / "unet" / "config.json").write_text("{}")
    (model / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(ModelNotFound, match=r"holds no \.safetensors"):
        open_checkpoint(model)
    (model / "unet" / "diffusion_pytorch_model.non_ema.safetensors").write_bytes(b"")
    with pytest.raises(ModelNotFound, match="non_ema"):
        open_checkpoint(model)


def test_pickles_only(model: Path) -> None:
    file = model / "unet" / "diffusion_pytorch_model.safetensors"
    file.rename(file.with_name("diffusion_pytorch_model.bin"))
    with pytest.raises(PickleRefused):
        open_checkpoint(model)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", "<html>", "[" * 100_000, '{"a": 1' + "0" * 3_000_000 + "}", '{"a": ' * 100_000, "\udcff"],
)
def test_damaged_json(text: str, model: Path) -> None:
    for name in ("model_index.json", "unet/config.json"):
        whole = (model / name).read_bytes()
        (model / name).write_bytes(text.encode("utf-8", "surrogateescape"))
        with pytest.raises(CorruptFile):
            open_checkpoint(model)
        (model / name).write_bytes(whole)


def shard_index(model: Path, weight_map: Any) -> None:
    folder = model / "unet"
    file = folder / "diffusion_pytorch_model.safetensors"
    if file.exists():
        file.rename(folder / "part-1.safetensors")
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


@pytest.mark.parametrize(
    "shard",
    [
        "../vae/diffusion_pytorch_model.safetensors",
        "/etc/x.safetensors",
        "C:\\x.safetensors",
        "a/../x.safetensors",
        "..\\x.safetensors",
        "",
        "..",
        "x\0.safetensors",
        "x.safetensors\n",
        "nul",
        ".safetensors",
        "~/x.safetensors",
    ],
)
def test_a_shard_outside_the_folder_is_refused(shard: str, model: Path) -> None:
    shard_index(model, {"conv_in.weight": shard})
    with pytest.raises(CorruptFile, match="not a plain file name"):
        open_checkpoint(model)


def test_shards_and_index_must_agree(model: Path) -> None:
    shard_index(model, {"conv_in.weight": "part-1.safetensors"})
    assert open_checkpoint(model).parts == PARTS
    shard_index(model, {"conv_in.weight": "part-1.safetensors", "more": "part-1.safetensors"})
    with pytest.raises(CorruptFile, match="they differ in 'more'"):
        open_checkpoint(model)
    shard_index(model, {"other": "part-1.safetensors"})
    with pytest.raises(CorruptFile, match="does not hold exactly what"):
        open_checkpoint(model)
    shard_index(model, {"conv_in.weight": "part-2.safetensors"})
    with pytest.raises(ModelNotFound, match="part-2"):
        open_checkpoint(model)
    shard_index(model, {"conv_in.weight": "part-1.bin"})
    with pytest.raises(PickleRefused):
        open_checkpoint(model)
    for wrong in ([], {}, None, {"a": 1}):
        shard_index(model, wrong)
        with pytest.raises(CorruptFile):
            open_checkpoint(model)


def test_no_model_at_all(tmp_path: Path, names_only: Writer) -> None:
    with pytest.raises(ModelNotFound, match="no file or folder"):
        open_checkpoint(tmp_path / "none")
    with pytest.raises(ModelNotFound, match="not a model folder"):
        open_checkpoint(tmp_path)
    names_only({"a": (1,)}, name="some.safetensors")
    with pytest.raises(ModelNotFound, match="folder of several files") as caught:
        open_checkpoint(tmp_path)
    assert "some.safetensors" in caught.value.hint
    (tmp_path / "config.json").write_text('{"_class_name": "AutoencoderKL"}')
    with pytest.raises(UnsupportedModel, match=r"one component .*AutoencoderKL"):
        open_checkpoint(tmp_path)
    (tmp_path / "config.json").write_text('{"architectures": 5}')
    with pytest.raises(UnsupportedModel, match="one component"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("class_name", "words"),
    [
        ("StableDiffusionXLPipeline", "Stable Diffusion XL"),
        ("StableDiffusion3Pipeline", "Stable Diffusion 3"),
        ("FluxPipeline", "Flux"),
        ("StableDiffusionInstructPix2PixPipeline", "InstructPix2Pix"),
        ("OVStableDiffusionPipeline", "OpenVINO"),
        ("SomethingNewPipeline", "SomethingNewPipeline"),
        (["my_module", "MyPipeline"], "MyPipeline"),
    ],
)
def test_other_pipelines_are_named(class_name: Any, words: str, model: Path) -> None:
    write_index(model, _class_name=class_name)
    with pytest.raises(UnsupportedModel, match=words):
        open_checkpoint(model)


def test_unets_of_other_tasks_are_named(model: Path) -> None:
    for channels, words in ((7, "upscaler"), (8, "InstructPix2Pix")):
        (model / "unet" / "config.json").write_text(json.dumps({"in_channels": channels}))
        with pytest.raises(UnsupportedModel, match=words):
            open_checkpoint(model)
    (model / "unet" / "config.json").write_text(json.dumps({"in_channels": 9}))
    assert "unet" in open_checkpoint(model).parts


def test_names_of_older_writers(model: Path, names_only: Writer) -> None:
    """transformers 4 text encoders, and VAE attention before diffusers 0.17."""
    text = {
        "text_model.embeddings.position_ids": (1, 77),
        "text_model.embeddings.token_embedding.weight": (5, 2),
        "text_model.encoder.layers.0.self_attn.q_proj.weight": (2, 2),
        "text_projection.weight": (2, 2),
    }
    shutil.move(names_only(text), model / "text_encoder" / "model.safetensors")
    attention = "decoder.mid_block.attentions.0."
    vae = {
        attention + "query.weight": (8, 8),
        attention + "key.weight": (8, 8, 1, 1),
        attention + "value.bias": (8,),
        attention + "proj_attn.weight": (8, 8),
        attention + "group_norm.weight": (8,),
        "decoder.query.weight": (1,),
    }
    shutil.move(names_only(vae), model / "vae" / "diffusion_pytorch_model.safetensors")
    checkpoint = open_checkpoint(model)
    with checkpoint.open("text_encoder") as part:
        assert set(part.weights.names()) == {
            "embeddings.token_embedding.weight",
            "encoder.layers.0.self_attn.q_proj.weight",
        }
    with checkpoint.open("vae") as part:
        shapes = {name: part.weights.shape(name) for name in part.weights.names()}
        assert shapes == {
            attention + "to_q.weight": (8, 8),
            attention + "to_k.weight": (8, 8),
            attention + "to_v.bias": (8,),
            attention + "to_out.0.weight": (8, 8),
            attention + "group_norm.weight": (8,),
            "decoder.query.weight": (1,),
        }
        with pytest.raises(WeightsMismatch, match="unused"):
            part.weights.account(lambda view: view.take(attention + "to_q.weight", (8, 8)))
