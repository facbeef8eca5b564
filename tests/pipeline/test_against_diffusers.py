"""The whole way against diffusers' own pipelines, from the same files and seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import nutshell
from tests.pipeline.conftest import build_pipeline, psnr, write_single_file

pytestmark = pytest.mark.reference

PROMPT = "a cat wearing sunglasses, oil painting"
NEGATIVE = "blurry"
LEAST_DB = 50.0


def generator(seed: int) -> Any:
    import torch

    return torch.Generator("cpu").manual_seed(seed)


def scenery(side: int = 64) -> Image.Image:
    """A picture with structure at every scale."""
    rows, columns = np.mgrid[0:side, 0:side] / side
    channels = [rows, columns, 0.5 + 0.5 * np.sin(9 * rows + 5 * columns)]
    return Image.fromarray((255 * np.stack(channels, -1)).astype(np.uint8))


def half_mask(side: int = 64) -> Image.Image:
    mask = np.zeros((side, side), np.uint8)
    mask[:, side // 2 :] = 255
    return Image.fromarray(mask)


def has_contrast(image: Image.Image) -> bool:
    return float(np.asarray(image, np.float32).std()) > 20


@pytest.mark.parametrize("engine", ["openvino", "onnx", "torch"])
def test_text_to_image(engine: str, reference: tuple[Any, Path]) -> None:
    pipe, folder = reference
    theirs = pipe(PROMPT, negative_prompt=NEGATIVE, num_inference_steps=20, height=64, width=64, generator=generator(7))
    with nutshell.load(folder, engine=engine, precision="f32") as model:
        ours = model.generate(PROMPT, negative_prompt=NEGATIVE, steps=20, seed=7, width=64, height=64)
    assert has_contrast(ours.image)
    assert psnr(ours.image, theirs.images[0]) >= LEAST_DB
    assert (ours.seed, ours.parameters["sampler"], ours.parameters["guidance"]) == (7, "DDIM", 7.5)
    assert ours.seconds > 0
    assert ours.peak_bytes > 10_000_000


@pytest.mark.parametrize(
    ("sampler", "scheduler", "options"),
    [
        ("euler", "EulerDiscreteScheduler", {}),
        ("euler_ancestral", "EulerAncestralDiscreteScheduler", {}),
        ("dpmpp_2m", "DPMSolverMultistepScheduler", {}),
        ("dpmpp_2m", "DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
        ("unipc", "UniPCMultistepScheduler", {}),
        ("lcm", "LCMScheduler", {}),
    ],
)
def test_samplers(sampler: str, scheduler: str, options: dict[str, Any], reference: tuple[Any, Path]) -> None:
    import diffusers

    pipe, folder = reference
    changed = getattr(diffusers, scheduler).from_config(pipe.scheduler.config, **options)
    theirs = diffusers.StableDiffusionPipeline(
        **{**pipe.components, "scheduler": changed}, requires_safety_checker=False
    )
    theirs.set_progress_bar_config(disable=True)
    picture = theirs(PROMPT, num_inference_steps=6, guidance_scale=4.0, height=72, width=56, generator=generator(3))
    with nutshell.load(folder, precision="f32") as model:
        ours = model.generate(
            PROMPT,
            steps=6,
            guidance=4.0,
            seed=3,
            height=72,
            width=56,
            sampler=sampler,
            spacing=None if sampler == "lcm" else changed.config.timestep_spacing,
            schedule="karras" if options else None,
        )
    assert psnr(ours.image, picture.images[0]) >= LEAST_DB


@pytest.mark.parametrize("clip_skip", [1, 2])
def test_clip_skip_and_no_guidance(clip_skip: int, reference: tuple[Any, Path]) -> None:
    import torch

    pipe, folder = reference
    ids = pipe.tokenizer(PROMPT, padding="max_length", return_tensors="pt").input_ids
    # By hand: diffusers' own clip_skip looks for a module that transformers 5 no longer has.
    with torch.no_grad():
        states = pipe.text_encoder(ids, output_hidden_states=True).hidden_states
        embeds = pipe.text_encoder.final_layer_norm(states[-(clip_skip + 1)])
    options = {"num_inference_steps": 4, "height": 64, "width": 64}
    theirs = pipe(prompt_embeds=embeds, guidance_scale=1.0, generator=generator(1), **options)
    with nutshell.load(folder, precision="f32") as model:
        ours = model.generate(PROMPT, guidance=1, clip_skip=clip_skip, steps=4, seed=1, width=64, height=64)
    assert psnr(ours.image, theirs.images[0]) >= LEAST_DB


@pytest.mark.parametrize("strength", [0.4, 0.8, 1.0])
def test_image_to_image(strength: float, reference: tuple[Any, Path]) -> None:
    import diffusers

    pipe, folder = reference
    theirs = diffusers.StableDiffusionImg2ImgPipeline(**pipe.components, requires_safety_checker=False)
    theirs.set_progress_bar_config(disable=True)
    picture = theirs(PROMPT, image=scenery(), strength=strength, num_inference_steps=10, generator=generator(5))
    with nutshell.load(folder, precision="f32") as model:
        ours = model.generate(PROMPT, image=scenery(), strength=strength, steps=10, seed=5)
    assert psnr(ours.image, picture.images[0]) >= LEAST_DB


@pytest.mark.parametrize("strength", [0.75, 1.0])
@pytest.mark.parametrize("trained_for_it", [False, True])
def test_inpainting(strength: float, trained_for_it: bool, reference: tuple[Any, Path], tmp_path: Path) -> None:
    import diffusers

    pipe, folder = reference
    if trained_for_it:
        folder = tmp_path / "inpainting"
        pipe = build_pipeline(folder, in_channels=9)
    theirs = diffusers.StableDiffusionInpaintPipeline(**pipe.components, requires_safety_checker=False)
    theirs.set_progress_bar_config(disable=True)
    options = {"image": scenery(), "strength": strength}
    picture = theirs(
        PROMPT, mask_image=half_mask(), num_inference_steps=8, height=64, width=64, generator=generator(9), **options
    ).images[0]
    with nutshell.load(folder, precision="f32") as model:
        ours = model.generate(PROMPT, mask=half_mask(), steps=8, seed=9, mask_blur=0, **options)
    # diffusers hands back the decoder's picture everywhere; ours keeps the original outside the mask.
    assert psnr(np.asarray(ours.image)[:, 32:], np.asarray(picture)[:, 32:]) >= LEAST_DB
    np.testing.assert_array_equal(np.asarray(ours.image)[:, :32], np.asarray(scenery())[:, :32])


def test_tiny_autoencoder(reference: tuple[Any, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import diffusers

    pipe = build_pipeline(tmp_path / "lender", tiny_vae=True)
    options = {"num_inference_steps": 4, "height": 64, "width": 64}
    theirs = pipe(PROMPT, generator=generator(2), **options).images[0]
    with nutshell.load(tmp_path / "lender", precision="f32") as model:
        ours = model.generate(PROMPT, steps=4, seed=2, width=64, height=64)
    assert psnr(ours.image, theirs) >= LEAST_DB

    # The same decoder lent to another model, by its name.
    monkeypatch.setenv("NUTSHELL_MODELS", str(tmp_path))
    lender, folder = reference
    mixed = diffusers.StableDiffusionPipeline(**{**lender.components, "vae": pipe.vae}, requires_safety_checker=False)
    mixed.set_progress_bar_config(disable=True)
    theirs = mixed(PROMPT, generator=generator(2), **options).images[0]
    with nutshell.load(folder, vae="lender", precision="f32") as model:
        ours = model.generate(PROMPT, steps=4, seed=2, width=64, height=64)
    assert psnr(ours.image, theirs) >= LEAST_DB


def test_guidance_distilled(tmp_path: Path) -> None:
    import diffusers

    pipe = build_pipeline(tmp_path / "lcm", time_cond_proj_dim=32)
    lcm = diffusers.LCMScheduler.from_config(pipe.scheduler.config)
    lcm.save_pretrained(tmp_path / "lcm" / "scheduler")
    theirs = diffusers.LatentConsistencyModelPipeline(
        **{**pipe.components, "scheduler": lcm}, requires_safety_checker=False
    )
    theirs.set_progress_bar_config(disable=True)
    picture = theirs(
        PROMPT, num_inference_steps=4, guidance_scale=8.0, height=64, width=64, generator=generator(4)
    ).images[0]
    with nutshell.load(tmp_path / "lcm", precision="f32") as model:
        ours = model.generate(PROMPT, guidance=8.0, seed=4, width=64, height=64)
    assert (ours.parameters["sampler"], ours.parameters["steps"]) == ("LCM", 4)
    assert psnr(ours.image, picture) >= LEAST_DB


def test_single_file_draws_the_same_picture(reference: tuple[Any, Path], tmp_path: Path) -> None:
    _, folder = reference
    file = write_single_file(folder, tmp_path / "small.safetensors")
    # What a file cannot say is taken from the family; here the folder is given the same conventions.
    settings = {"steps": 5, "seed": 11, "width": 64, "height": 64, "sampler": "ddim", "spacing": "leading"}
    with nutshell.load(folder, precision="f32") as model:
        from_folder = model.generate(PROMPT, **settings)
    with nutshell.load(file, precision="f32") as model:
        from_file = model.generate(PROMPT, **settings)
    np.testing.assert_array_equal(np.asarray(from_file.image), np.asarray(from_folder.image))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_files(dtype: str, reference: tuple[Any, Path], tmp_path: Path) -> None:
    import torch

    pipe, folder = reference
    kept = dict(pipe.components)
    halved = tmp_path / dtype
    try:
        pipe.to(torch_dtype=getattr(torch, dtype)).save_pretrained(halved)
    finally:
        pipe.to(torch_dtype=torch.float32)
    assert kept.keys() == pipe.components.keys()
    whole = nutshell.load(folder, precision="f32").generate(PROMPT, steps=4, seed=2, width=64, height=64)
    for engine in ("openvino", "onnx"):
        with nutshell.load(halved, engine=engine, precision="f32") as model:
            picture = model.generate(PROMPT, steps=4, seed=2, width=64, height=64)
        assert psnr(picture.image, whole.image) >= 25
