"""A pruned model learns from the one that it was cut out of: it does learn, survives a kill, and diffusers draws it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

import nutshell  # noqa: E402
from nutshell.compress.distil import run  # noqa: E402
from nutshell.compress.distil.run import Ears, distil  # noqa: E402
from nutshell.compress.distil.wish import Wish  # noqa: E402
from nutshell.compress.examples import examples_in  # noqa: E402
from nutshell.compress.history import read_history  # noqa: E402
from nutshell.compress.job import Written, write_model  # noqa: E402
from nutshell.compress.original import open_original  # noqa: E402
from nutshell.compress.prune import Prune  # noqa: E402
from nutshell.compress.quantize import Quantize  # noqa: E402
from nutshell.compress.recipes import Wishes  # noqa: E402
from nutshell.errors import EngineUnavailable, NotEnoughMemory, UnsupportedModel, UsageError  # noqa: E402
from tests.pipeline.conftest import WIDTH, build_pipeline, psnr  # noqa: E402

pytestmark = pytest.mark.reference

WISH = Wish(prompts=("a cat", "a dog"), draw=4, batches=12, batch=2, rate=2e-3, threads=1)

KILLED = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from nutshell.compress.distil.run import Ears, distil
from nutshell.compress.original import open_original
from tests.compress.test_distil import WISH

def kill(title, done, total):
    if title.startswith("learning") and done == 7:
        os.kill(os.getpid(), signal.SIGKILL)

student, teacher, output = map(Path, sys.argv[1:])
distil(open_original(student), open_original(teacher), WISH, output, Ears(kill), save_seconds=0)
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random `teacher`, and `student`: half of its channels."""
    folder = tmp_path_factory.mktemp("models")
    pipe = build_pipeline(folder / "teacher", tiny_vae=True)
    with torch.no_grad():
        for parameter in pipe.unet.parameters():  # random weights alone predict nearly nothing
            if parameter.dim() == 1:
                parameter += 0.2 * torch.randn_like(parameter)
        pipe.unet.conv_out.weight.mul_(3)
    pipe.unet.save_pretrained(folder / "teacher" / "unet")
    write_model(open_original(folder / "teacher"), Prune(Wishes(channels=0.5)), folder / "student", lambda *_: None)
    return folder


def taught(models: Path, output: Path, wish: Wish = WISH, student: str = "student", **more: Any) -> Written:
    return distil(open_original(models / student), open_original(models / "teacher"), wish, output, **more)


def unet(folder: Path) -> Any:
    return diffusers.UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32).eval()


def distance(folder: Path, teacher: Path) -> float:
    """Of diffusers' predictions with both, over latents and steps that no training saw."""
    lots = torch.Generator().manual_seed(12345)
    noisy = torch.randn(32, 4, 8, 8, generator=lots)
    steps = torch.randint(1000, (32,), generator=lots)
    condition = torch.randn(32, 7, WIDTH, generator=lots)
    with torch.no_grad():
        one, other = (unet(path)(noisy, steps, condition).sample for path in (folder, teacher))
    return float((one - other).square().mean())


def captioned(folder: Path) -> Path:
    folder.mkdir()
    random = np.random.default_rng(0)
    for number, colour in enumerate(("red", "green", "blue")):
        picture = np.zeros((70, 90, 3), np.uint8)
        picture[:, :, number] = random.integers(150, 256, (70, 90))
        Image.fromarray(picture).save(folder / f"{colour}.png")
    rows = [{"file_name": f"{colour}.png", "text": f"a {colour} picture"} for colour in ("red", "green", "blue")]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def test_a_student_learns_and_diffusers_draws_what_it_draws(models: Path, tmp_path: Path) -> None:
    examples = tuple(examples_in(captioned(tmp_path / "pictures")))
    told: list[tuple[str, int, int]] = []
    notes: list[str] = []
    wish = Wish(examples=examples, batches=60, batch=4, rate=3e-3, threads=1)
    ears = Ears(lambda title, done, total: told.append((str(title), done, total)), notes.append)
    written = taught(models, tmp_path / "taught", wish, ears=ears)
    before, after = (distance(path, models / "teacher") for path in (models / "student", tmp_path / "taught"))
    assert after < 0.6 * before
    step = read_history(tmp_path / "taught")[-1]
    assert (step.action, step.source, step.parameters["teacher"]) == ("distil", "student", "teacher")
    assert step.results["loss_at_last"] < 0.8 * step.results["loss_at_first"]
    assert step.results["pictures"] == 3
    assert written.parameters[0] == written.parameters[1]
    learning = [line for line in told if line[0].startswith("learning: loss")]
    assert [line[1] for line in learning] == list(range(1, 61))
    assert "left" in learning[-1][0]
    assert "MB of memory" in notes[0]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]

    pipe = diffusers.StableDiffusionPipeline.from_pretrained(tmp_path / "taught", local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    theirs = pipe("a cat", num_inference_steps=3, guidance_scale=2.0, output_type="np", height=64, width=64,
                  generator=torch.Generator().manual_seed(3)).images[0]  # fmt: skip
    with nutshell.load(tmp_path / "taught", precision="f32", learn=False) as model:
        ours = model.generate("a cat", steps=3, guidance=2.0, seed=3, sampler="ddim")
    assert psnr(ours.image, theirs * 255) > 50


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_killed_and_run_again_it_learns_what_an_undisturbed_run_does(models: Path, tmp_path: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(models / "student"), str(models / "teacher"), str(tmp_path / "killed")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(Path.cwd()), *sys.path]))},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert not (tmp_path / "killed").exists()
    learned: list[int] = []
    ears = Ears(lambda title, done, total: learned.append(done) if title.startswith("learning") else None)
    taught(models, tmp_path / "killed", ears=ears)
    assert learned == list(range(7, 13))  # the seventh was told of before it was kept
    taught(models, tmp_path / "whole")
    files = [
        path / "unet" / "diffusion_pytorch_model.safetensors" for path in (tmp_path / "killed", tmp_path / "whole")
    ]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert read_history(tmp_path / "killed")[-1].parameters == read_history(tmp_path / "whole")[-1].parameters


def test_stopped_between_batches_nothing_is_lost_and_another_training_is_not_overwritten(
    models: Path, tmp_path: Path
) -> None:
    def stop(title: str, done: int, total: int) -> None:
        if title.startswith("learning") and done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        taught(models, tmp_path / "made", ears=Ears(stop))
    with pytest.raises(UsageError, match="another training"):
        taught(models, tmp_path / "made", replace(WISH, rate=1e-3))
    learned: list[int] = []
    ears = Ears(lambda title, done, total: learned.append(done) if title.startswith("learning") else None)
    taught(models, tmp_path / "made", ears=ears)
    assert learned == list(range(6, 13))


def test_two_steps_lead_where_twenty_guided_ones_led(models: Path, tmp_path: Path) -> None:
    """The teacher is its own student. diffusers runs both, from the noise that was learned from."""
    folder = shutil.copytree(models / "teacher", tmp_path / "teacher")
    scheduler = folder / "scheduler" / "scheduler_config.json"
    config = {**json.loads(scheduler.read_text()), "prediction_type": "v_prediction"}
    scheduler.write_text(json.dumps(config))
    wish = Wish(prompts=("a cat", "a dog"), draw=4, few=2, guidance=3.0, batches=60, batch=4, rate=2e-3, threads=1)
    original = open_original(folder)
    written = distil(original, original, wish, tmp_path / "quick")
    assert "--steps 2 --guidance 1.0 --sampler ddim" in written.flags
    found = json.loads((tmp_path / "quick" / "scheduler" / "scheduler_config.json").read_text())
    assert (found["timestep_spacing"], found["_class_name"]) == ("trailing", "DDIMScheduler")

    pipe = diffusers.StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipe.scheduler = diffusers.DDIMScheduler.from_config(found)
    pipe.set_progress_bar_config(disable=True)
    noise = torch.cat([torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(4)])

    def drawn(model: Path, steps: int, guidance: float) -> Any:
        pipe.unet = unet(model)
        return pipe(["a cat", "a dog"] * 2, num_inference_steps=steps, guidance_scale=guidance, output_type="latent",
                    latents=noise.clone(), height=64, width=64).images  # fmt: skip

    wanted = drawn(folder, 20, 3.0)
    before, after = (float((drawn(model, 2, 1.0) - wanted).square().mean()) for model in (folder, tmp_path / "quick"))
    assert after < 0.6 * before


def test_a_smaller_size_is_learned_from_shrunk_pictures(models: Path, tmp_path: Path) -> None:
    wish = replace(WISH, latent=4, batches=3)
    made: list[str] = []
    taught(models, tmp_path / "half", wish, ears=Ears(lambda title, done, total: made.append(str(title))))
    assert {"drawing with the teacher", "encoding pictures"} <= set(made)
    assert json.loads((tmp_path / "half" / "unet" / "config.json").read_text())["sample_size"] == 4
    with nutshell.load(tmp_path / "half", learn=False) as model:
        assert model.generate("a cat", steps=1, seed=1).image.size == (32, 32)
    with pytest.raises(UsageError, match="not learned at once"):
        taught(models, tmp_path / "both", replace(wish, few=2))
    with pytest.raises(UsageError, match="4 to 8 latent cells"):
        taught(models, tmp_path / "large", replace(wish, latent=16))


def test_models_that_do_not_belong_together_are_refused(models: Path, tmp_path: Path) -> None:
    other = build_pipeline(tmp_path / "other", tiny_vae=True)
    with torch.no_grad():
        next(iter(other.text_encoder.parameters())).mul_(1.5)
    other.text_encoder.save_pretrained(tmp_path / "other" / "text_encoder")
    student = open_original(models / "student")
    with pytest.raises(UnsupportedModel, match="not the same text encoder"):
        distil(student, open_original(tmp_path / "other"), WISH, tmp_path / "x")
    small = write_model(student, Quantize(), tmp_path / "small", lambda *_: None).path
    with pytest.raises(UnsupportedModel, match="eight or four bits already"):
        distil(open_original(small), open_original(models / "teacher"), WISH, tmp_path / "x")


def test_wishes_that_cannot_be_are_told(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="needs pictures"):
        Wish()
    with pytest.raises(UsageError, match="3 steps do not divide the 1000"):
        taught(models, tmp_path / "x", replace(WISH, few=3))
    with monkeypatch.context() as patch:
        patch.setattr(run, "available_bytes", lambda: 1_000_000)
        with pytest.raises(NotEnoughMemory, match="only 1 MB"):
            taught(models, tmp_path / "x")
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "torch", None)
        with pytest.raises(EngineUnavailable, match="distilling needs PyTorch") as caught:
            taught(models, tmp_path / "x")
    assert "nutshell[train]" in caught.value.hint
    assert not list(tmp_path.iterdir())


def test_lists_of_captions_are_read_and_mistakes_are_told(tmp_path: Path) -> None:
    folder = captioned(tmp_path / "pictures")
    assert [example.caption for example in examples_in(folder)] == [
        "a red picture",
        "a green picture",
        "a blue picture",
    ]
    (folder / "metadata.jsonl").write_text(
        '{"file_name": "red.png", "text": "red"}\n{"file_name": "none.png", "text": ""}'
    )
    with pytest.raises(UsageError, match=r"line 2 of .* names none\.png"):
        examples_in(folder)
    (folder / "metadata.jsonl").write_text('{"file_name": "red.png"}')
    with pytest.raises(UsageError, match="line 1 of"):
        examples_in(folder)
