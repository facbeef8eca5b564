"""First-order importance of a whole model over captioned pictures."""

from __future__ import annotations

import builtins
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nutshell.compress.examples import examples_in
from nutshell.compress.job import write_model
from nutshell.compress.original import open_original
from nutshell.compress.prune import Prune
from nutshell.compress.recipes import Wishes
from nutshell.compress.taylor import importance
from nutshell.errors import EngineUnavailable, UsageError

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from tests.compress.models import largest_error, ours, small_sd1, theirs  # noqa: E402

pytestmark = pytest.mark.reference


def captioned(folder: Path) -> Path:
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(random.integers(0, 256, (70, 90, 3), np.uint8)).save(folder / f"{number}.png")
        (folder / f"{number}.txt").write_text(f"picture {number}\n")
    Image.new("RGB", (8, 8)).save(folder / "without words.png")
    return folder


def test_what_the_loss_does_not_feel_goes(tmp_path: Path) -> None:
    """Heads whose output nobody reads score nothing, however large their weights: magnitude alone would not tell."""
    pipe = small_sd1(tmp_path / "sd1")
    with torch.no_grad():
        for name, parameter in pipe.unet.named_parameters():
            if name.endswith("to_out.0.weight"):
                parameter.view(len(parameter), 4, -1)[:, [0, 3]] = 0
            if name.endswith(("attn1.to_v.weight", "attn2.to_v.weight")):
                parameter.view(4, -1, parameter.shape[1])[[0, 3]] *= 100
    pipe.unet.save_pretrained(tmp_path / "sd1" / "unet")
    original = open_original(tmp_path / "sd1")
    examples = examples_in(captioned(tmp_path / "pictures"))
    assert [example.caption for example in examples] == ["picture 0", "picture 1", "picture 2"]
    found = importance(original, examples, batches=1, batch=2)
    name = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_v.weight"
    by_head = found.scores[name].reshape(4, -1).sum(1)
    assert (by_head[[0, 3]] == 0).all()
    assert (by_head[[1, 2]] > 0).all()
    made = write_model(original, Prune(Wishes(heads=2), found.scores, "taylor"), tmp_path / "made", lambda *_: None)
    assert largest_error(ours(made.path), theirs(pipe.unet)) < 1e-3
    assert importance(original, examples, batches=1, batch=2).digest == found.digest


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str, *_: Any) -> Any:
        if name == "diffusers":
            raise ModuleNotFoundError("No module named 'diffusers'")
        return builtins.__import__(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(EngineUnavailable, match="diffusers") as caught:
        importance(open_original("artist"), [], 1)
    assert "nutshell[train]" in caught.value.hint


def test_a_folder_without_captions_is_told(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(UsageError, match="no captioned pictures"):
        examples_in(tmp_path)
    with pytest.raises(UsageError, match="no folder"):
        examples_in(tmp_path / "none")
