"""`nutshell compress` from the outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run


def test_a_model_is_made_drawn_with_and_inspected(nutshell: Run, work: Path) -> None:
    made = nutshell("compress", "prune", "artist", "--levels", "3", "--output", "narrow", "--json", real=True)
    assert made.returncode == 0, made.stderr
    said = json.loads(made.stdout)
    assert said["parameters"]["after"] < said["parameters"]["before"]
    assert said["history"][0]["parameters"] == {"levels": 3}
    made = nutshell("compress", "quantize", "narrow", "--output", "small", "--quiet", real=True)
    assert made.returncode == 0, made.stderr
    assert "weights on disk: " in made.stdout
    assert "only Nutshell opens it: its weights are stored as int8 and scales" in made.stdout
    drawn = nutshell(
        "a red apple", "--model", "small", "--steps", "1", "--size", "64x64", "--output", "a.png", real=True
    )
    assert drawn.returncode == 0, drawn.stderr
    shown = nutshell("inspect", "small", real=True).stdout
    assert "1. prune of artist (levels 3)" in shown
    assert "2. quantize of narrow (bits int8, per channel" in shown
    assert "int8" in shown
    assert len(json.loads(nutshell("inspect", "small", "--json", real=True).stdout)["history"]) == 2


def test_help_and_mistakes(nutshell: Run, work: Path) -> None:
    shown = nutshell("compress", "--help", real=True)
    assert shown.returncode == 0
    for method in ("prune", "lowrank", "quantize", "distil", "report"):
        assert f"\n  {method}" in shown.stdout
    wrong = nutshell("compress", "prone", "artist", real=True)
    assert (wrong.returncode, "did you mean prune?" in wrong.stderr) == (2, True)
    wrong = nutshell("compress", "prune", "artist", "--recipe", "tiny", real=True)
    assert wrong.returncode == 2
    assert "--output" in wrong.stderr
    wrong = nutshell("compress", "lowrank", "artist", "--parts", "unet,ear", "--output", "x", real=True)
    assert (wrong.returncode, "no part 'ear'" in wrong.stderr) == (2, True)
    wrong = nutshell(
        "compress", "prune", "artist", "--unstructured", "0.5", "--layers", "1", "--output", "x", real=True
    )
    assert (wrong.returncode, "stands alone" in wrong.stderr) == (2, True)
    assert not list(work.iterdir())


def test_a_student_is_taught_and_tells_of_it(nutshell: Run, work: Path) -> None:
    pytest.importorskip("torch")
    made = nutshell("compress", "prune", "artist", "--levels", "3", "--output", "narrow", "--quiet", real=True)
    assert made.returncode == 0, made.stderr
    (work / "prompts.txt").write_text("a cat\n# not this line\n")
    words = ("compress", "distil", "narrow", "--teacher", "artist", "--output", "taught", "--threads", "1")
    wrong = nutshell(*words, real=True)
    assert (wrong.returncode, "distilling needs pictures to learn from" in wrong.stderr) == (2, True)
    wrong = nutshell(*words, "--prompts", "prompts.txt", "--device", "toaster", real=True)
    assert (wrong.returncode, "toaster" in wrong.stderr) == (2, True)
    few = ("--draw", "1", "--batches", "2", "--batch", "1", "--guidance", "1")
    made = nutshell(*words, "--prompts", "prompts.txt", *few, real=True, timeout=600)
    assert made.returncode == 0, made.stderr
    assert "MB of memory" in made.stderr
    assert "loss at last: " in made.stdout
    assert "diffusers opens it too" in made.stdout
    # How to draw is the teacher's card's to say: a folder has none.
    assert "--size 256x256 --steps 20 --guidance 2.0 --sampler ddim" in made.stdout
    shown = nutshell("inspect", "taught", real=True).stdout
    assert "2. distil of narrow (teacher artist, prompts 1, batch 1" in shown
    assert sorted(path.name for path in work.iterdir()) == ["narrow", "prompts.txt", "taught"]
