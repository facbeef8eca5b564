"""`nutshell inspect` and `nutshell models`."""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from nutshell.pipeline.inspect_checkpoint import describe_checkpoint
from nutshell.pipeline.picture_file import open_picture
from tests.cli.conftest import REAL, Run, environment
from tests.pipeline.conftest import build_pipeline


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder of random weights."""
    folder = tmp_path_factory.mktemp("cli") / "tiny 模型"
    build_pipeline(folder, tiny_vae=True)
    return folder


def safetensors(path: Path, shapes: dict[str, tuple[int, ...]], **metadata: str) -> Path:
    """A file of float32 zeros."""
    header: dict[str, object] = {"__metadata__": metadata}
    end = 0
    for name, shape in shapes.items():
        size = 4 * int(np.prod(shape))
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(end))
    return path


def test_a_picture_of_ours(nutshell: Run) -> None:
    nutshell("a cat\u2028x", "--negative", "dog", "--seed", "7", "--output", "a.png")
    done = nutshell("inspect", "a.png", real=True)
    assert done.returncode == 0, done.stderr
    assert "prompt           a cat x\n" in done.stdout
    assert "seed             7\n" in done.stdout
    read = json.loads(nutshell("inspect", "--json", "a.png", real=True).stdout)
    assert (read["prompt"], read["negative_prompt"], read["seed"]) == ("a cat\u2028x", "dog", 7)


def test_pictures_of_others(nutshell: Run, work: Path) -> None:
    Image.new("L", (8, 8)).save(work / "plain.png")
    assert "no parameters" in nutshell("inspect", "plain.png", real=True).stdout
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", '{"nodes": "\x1b[31m"}')
    Image.new("L", (8, 8)).save(work / "comfy.png", pnginfo=info)
    done = nutshell("inspect", "comfy.png", real=True)
    assert "a ComfyUI workflow, no parameters" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_model_folder(nutshell: Run, tiny_model: Path) -> None:
    done = nutshell("inspect", str(tiny_model), real=True)
    assert done.returncode == 0, done.stderr
    assert re.search(r"layout +diffusers\n", done.stdout)
    assert re.search(r"prediction type +epsilon\n", done.stdout)
    assert "CLIP text encoder, 3 layers, width 64" in done.stdout
    read = json.loads(nutshell("inspect", str(tiny_model), "--json", real=True).stdout)
    assert {part["name"] for part in read["parts"]} == {"text_encoder", "unet", "vae"}
    assert read["parameters"] == sum(part["parameters"] for part in read["parts"])
    assert read["parts"][0]["dtypes"] == {"F32": read["parts"][0]["parameters"]}
    assert read["problem"] == ""


def test_an_embedding_and_a_lora(tmp_path: Path) -> None:
    embedding = describe_checkpoint(safetensors(tmp_path / "style.safetensors", {"emb_params": (2, 768)}))
    assert (embedding.layout, embedding.facts["called by"], embedding.problem) == ("embedding", "style", "")
    assert embedding.facts["made for"] == "Stable Diffusion 1.x"
    path = safetensors(tmp_path / "l.safetensors", {"lora_unet_x.lora_up.weight": (4, 4)}, note="x" * 999)
    lora = describe_checkpoint(path)
    assert lora.layout == "other"
    assert "a LoRA" in lora.problem
    assert lora.metadata["note"].endswith("... (999 characters)")
    assert lora.disk_bytes == path.stat().st_size


def test_refusals(nutshell: Run, work: Path) -> None:
    (work / "model.ckpt").write_bytes(b"PK\x03\x04" + bytes(100))
    (work / "cut.safetensors").write_bytes(bytes(20))
    for name, kind in [("model.ckpt", "PickleRefused"), ("cut.safetensors", "CorruptFile"), ("none", "ModelNotFound")]:
        done = nutshell("inspect", "--json", name, real=True)
        assert done.returncode == 3
        assert json.loads(done.stderr)["error"]["kind"] == kind
    done = nutshell("inspect", "none.png", real=True)
    assert (done.returncode, done.stdout) == (2, "")


def test_models(nutshell: Run, tiny_model: Path) -> None:
    done = nutshell("models", "--models", str(tiny_model.parent), real=True)
    assert done.returncode == 0, done.stderr
    names = [line.split("  ")[0] for line in done.stdout.splitlines()]
    assert {"artist", "artist-turbo", tiny_model.name} <= set(names)
    rows = [json.loads(line) for line in nutshell("models", "--json", real=True).stdout.splitlines()]
    assert {row["name"]: row["licence"] for row in rows}["artist"] == "Apache-2.0"
    assert nutshell("models", "--models", "none", real=True).returncode == 2


def test_the_whole_way_with_a_real_model(nutshell: Run, work: Path, tiny_model: Path) -> None:
    words = [
        "a red apple",
        "--models",
        str(tiny_model.parent),
        "--model",
        tiny_model.name,
        "--size",
        "64",
        "--seed",
        "7",
    ]
    done = nutshell(*words, "--steps", "2", "--json", real=True)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["seed"], told["parameters"]["steps"]) == (7, 2)
    read = json.loads(nutshell("inspect", told["path"], "--json", real=True).stdout)
    assert (read["prompt"], read["width"], read["seed"]) == ("a red apple", 64, 7)
    again = nutshell(*words, "--steps", "2", "--quiet", "--preview", "--image", told["path"], real=True)
    assert again.returncode == 0, again.stderr
    assert len(list(work.iterdir())) == 2
    wrong = nutshell(*words, "--sampler", "eular", real=True)
    assert wrong.returncode == 2
    assert "unknown sampler 'eular'" in wrong.stderr


def test_pictures_with_16_bits(tmp_path: Path) -> None:
    grey = np.array([[0, 32768, 65535]], np.uint16)
    Image.fromarray(grey).save(tmp_path / "a.png")
    assert list(open_picture(tmp_path / "a.png").get_flattened_data()) == [0, 128, 255]


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_a_real_model(tmp_path: Path, tiny_model: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [*REAL, "cat", "--model", str(tiny_model), "--size", "64", "--steps", "900", "--preview"],
        env=environment(),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("*.png")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 128 + number, err
    assert out == ""
    assert err.splitlines()[-1] == "nutshell: stopped; nothing is left half written"
    assert os.listdir(tmp_path) == []
