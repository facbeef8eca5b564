"""Two models that share every part but the denoiser, as the built-in ones do: one of 3 guided steps, one of 2 alone."""

from __future__ import annotations

import importlib
import logging
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import nutshell
from nutshell.catalogue import ModelCard
from nutshell.engines import open_engine
from nutshell.errors import ModelNotFound
from nutshell.pipeline import Request
from nutshell.pipeline import model as model_module
from nutshell.pipeline import opened as opened_module
from nutshell.pipeline.inspect_checkpoint import describe_checkpoint
from nutshell.store import find, installed
from tests.pipeline.conftest import build_pipeline, psnr

pytestmark = pytest.mark.reference

_COMMON: dict[str, Any] = {"licence": "MIT", "width": 64, "height": 64, "sampler": "ddim"}
CARDS = {
    "whole": ModelCard("whole", "Whole", folder="whole", steps=3, guidance=2.0, **_COMMON),
    "quick": ModelCard("quick", "Quick", folder="quick", base="whole", steps=2, guidance=1.0, **_COMMON),
}


@pytest.fixture(scope="module")
def pipe(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """(diffusers' pipeline of "quick", the folder that holds both)."""
    import diffusers
    import torch

    root = tmp_path_factory.mktemp("builtin")
    whole = build_pipeline(root / "whole", tiny_vae=True)
    torch.manual_seed(1)
    unet = diffusers.UNet2DConditionModel(**{key: whole.unet.config[key] for key in whole.unet.config if key[0] != "_"})
    unet.save_pretrained(root / "quick" / "unet")
    whole.register_modules(unet=unet)
    return whole, root


@pytest.fixture
def root(pipe: tuple[Any, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of both, found as the built-in ones are."""
    module = importlib.import_module("nutshell.store.find")
    monkeypatch.setattr(module, "builtin_folder", lambda: pipe[1])
    monkeypatch.setattr(module, "cards", lambda: CARDS)
    return pipe[1]


class Counting:
    """An engine that counts the calls of each part."""

    def __init__(self, calls: Counter[str]) -> None:
        self._engine = open_engine("openvino")
        self._calls = calls
        self.name, self.precisions = self._engine.name, self._engine.precisions

    def compile(self, network: Any, *arguments: Any) -> Any:
        session = self._engine.compile(network, *arguments)

        class Counted:
            close = session.close

            def __call__(_, **inputs: Any) -> Any:
                self._calls[network.part] += 1
                return session(**inputs)

        return Counted()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    counter: Counter[str] = Counter()
    monkeypatch.setattr(opened_module, "open_engine", lambda name: Counting(counter))
    return counter


def test_the_shared_parts_come_from_the_base(pipe: tuple[Any, Path], root: Path) -> None:
    import torch

    theirs = pipe[0]("a cat", height=64, width=64, num_inference_steps=2, guidance_scale=1.0,
                     generator=torch.Generator("cpu").manual_seed(3)).images[0]  # fmt: skip
    with nutshell.load("quick", precision="f32") as model, nutshell.load("whole", precision="f32") as other:
        ours = model.generate("a cat", seed=3, spacing="leading")
        assert psnr(ours.image, theirs) >= 50
        assert psnr(other.generate("a cat", seed=3, steps=2, guidance=1.0).image, theirs) < 40
    assert (ours.parameters["model"], ours.parameters["steps"], ours.parameters["guidance"]) == ("quick", 2, 1.0)


@pytest.mark.parametrize(("name", "passes"), [("quick", 2), ("whole", 2 * 3)])
def test_passes_are_not_taken_in_vain(name: str, passes: int, root: Path, calls: Counter[str]) -> None:
    """Without guidance one pass a step, and one prompt to encode."""
    with nutshell.load(name) as model:
        model.generate("a cat", seed=1)
    assert calls == {"unet": passes, "text_encoder": passes // model.facts.defaults.steps, "vae_decoder": 1}


def test_a_negative_prompt_without_guidance_is_told_once(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with nutshell.load("quick") as model, caplog.at_level(logging.WARNING):
        for _ in range(2):
            list(model.draw(Request("a cat", "a dog", seed=1, steps=1)))
        assert [record.getMessage() for record in caplog.records] == [
            "the negative prompt has no effect: it needs guidance above 1, and guidance is 1 (off)"
        ]
        caplog.clear()
        list(model.draw(Request("a cat", "a dog", seed=1, steps=1, guidance=2.0)))
        list(model.draw(Request("a cat", seed=1, steps=1)))
    assert not caplog.records


def test_it_is_described_whole(root: Path) -> None:
    found = find("quick")
    described = describe_checkpoint(found.path, found.base)
    assert [part.name for part in described.parts] == ["text_encoder", "unet", "vae"]
    assert described.facts["other parts in"] == str(root / "whole")
    assert described.facts["scheduler"] == "DDIMScheduler"
    assert described.problem == ""


def test_half_a_model_says_so(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(root / "quick", tmp_path / "quick")
    with pytest.raises(ModelNotFound, match="quick holds no text_encoder and no vae, only unet") as caught:
        nutshell.load(tmp_path / "quick")
    assert "tokenizer/ and scheduler/" in caught.value.hint
    assert all(map(installed, CARDS.values()))
    monkeypatch.setattr(importlib.import_module("nutshell.store.find"), "builtin_folder", lambda: tmp_path)
    assert not any(map(installed, CARDS.values()))
    with pytest.raises(ModelNotFound, match=r"there is no folder .*whole") as caught:
        nutshell.load("quick")
    assert caught.value.hint


def test_a_copy_that_lost_its_small_files(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(root / "whole", tmp_path / "model")
    shutil.rmtree(tmp_path / "model" / "scheduler")
    nutshell.load(tmp_path / "model").close()
    assert "model has no scheduler/scheduler_config.json" in caplog.text
    shutil.rmtree(tmp_path / "model" / "tokenizer")
    nutshell.load(tmp_path / "model").close()
    # One with a vocabulary of its own cannot do with CLIP's.
    monkeypatch.setattr(model_module.Tokenizer, "vocabulary_size", property(lambda tokenizer: 50_000))
    with pytest.raises(ModelNotFound, match="no tokenizer folder, and its text encoder knows 49408 tokens"):
        nutshell.load(tmp_path / "model")
