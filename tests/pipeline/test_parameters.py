"""Parameters in pictures: the form of other web UIs, and a round trip that loses nothing."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from nutshell import __version__
from nutshell.errors import OutputError, UsageError
from nutshell.pipeline.parameters import from_text, read_parameters, save_png, to_text

PICTURE = Image.new("RGB", (8, 8), (200, 30, 30))
FULL = {
    "prompt": "a red apple",
    "negative_prompt": "blurry",
    "steps": 20,
    "sampler": "dpmpp_2m",
    "schedule": "karras",
    "guidance": 7.5,
    "seed": 7,
    "width": 256,
    "height": 192,
    "model": "artist",
    "strength": 0.75,
    "clip_skip": 1,
    "spacing": "trailing",
    "eta": 0.3,
    "guidance_interval": (0.2, 0.8),
    "reuse": 3,
    "reuse_depth": 2,
    "merge": 0.5,
    "fewer_keys": True,
    "int8_attention": True,
    "guidance_rescale": 0.7,
    "prediction": "epsilon",
    "engine": "openvino",
    "precision": "bf16",
    "version": "nutshell 0.1.0",
}


def test_text_is_in_the_form_of_other_web_uis() -> None:
    some = {key: FULL[key] for key in ("prompt", "negative_prompt", "steps", "sampler", "schedule", "guidance", "seed")}
    text = to_text({**some, "width": 256, "height": 256, "model": "artist", "version": "nutshell 0.1.0"})
    assert text == (
        "a red apple\n"
        "Negative prompt: blurry\n"
        "Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 7, Size: 256x256, Model: artist, "
        "Version: nutshell 0.1.0"
    )


def test_every_field_comes_back_with_its_type(tmp_path: Path) -> None:
    path = save_png(PICTURE, FULL, tmp_path / "a.png")
    assert read_parameters(path) == FULL


def test_clip_skip_is_counted_as_others_do() -> None:
    assert "Clip skip: 2" in to_text(FULL)


def a1111_reading(text: str) -> dict[str, str]:
    """The web UI's parser (modules/infotext_utils.py), as far as it matters here."""
    *lines, last = text.strip().split("\n")
    pattern = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
    if len(pattern.findall(last)) < 3:
        lines, last = [*lines, last], ""
    prompt = negative = ""
    done = False
    for line in map(str.strip, lines):
        if line.startswith("Negative prompt:"):
            done, line = True, line[16:].strip()
        if done:
            negative += ("" if negative == "" else "\n") + line
        else:
            prompt += ("" if prompt == "" else "\n") + line
    found = {"Prompt": prompt, "Negative prompt": negative}
    for key, value in pattern.findall(last):
        found[key] = json.loads(value) if value[:1] == value[-1:] == '"' else value
    return found


@pytest.mark.parametrize("prompt", ["a red apple", "一只戴墨镜的猫, 水彩", "two\nlines: here, there", "🦊 (fox:1.2)"])
def test_the_other_web_ui_reads_it(prompt: str) -> None:
    found = a1111_reading(to_text({**FULL, "prompt": prompt, "model": 'odd, "name": x'}))
    assert found["Prompt"] == prompt
    assert found["Negative prompt"] == "blurry"
    assert found["Sampler"] == "DPM++ 2M Karras"
    assert found["Model"] == 'odd, "name": x'
    assert found["Size"] == "256x192"


prompts = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            (
                *("Negative prompt:", "\n", "a cat", " ", "Steps: 20, Sampler: Euler, Seed: 1", ",", '"', "\\", "\0"),
                *("🦊👩‍🚀", "猫", "\u2028", "Version: nutshell 0", "Exact prompt: x", ":", "é", "\r"),
            )
        ),
        max_size=8,
    ).map("".join),
)


@given(prompt=prompts, negative=prompts, model=prompts)
@example(prompt="a\nNegative prompt: b", negative="\n", model="")
@example(prompt="Steps: 1, Seed: 2, Size: 8x8", negative="", model=" x ")
def test_any_text_comes_back(prompt: str, negative: str, model: str) -> None:
    given_ = {"prompt": prompt, "negative_prompt": negative, "model": model, "seed": 7}
    assert from_text(to_text(given_)) == {**given_, "version": f"nutshell {__version__}"}


@given(prompt=prompts)
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_any_prompt_comes_back_from_a_file(suffix: str, prompt: str, tmp_path_factory: Any) -> None:
    path = save_png(PICTURE, {**FULL, "prompt": prompt}, tmp_path_factory.getbasetemp() / f"round{suffix}")
    assert read_parameters(path) == {**FULL, "prompt": prompt}


@given(
    st.fixed_dictionaries(
        {"prompt": st.just("x"), "negative_prompt": st.just("")},
        optional={
            "steps": st.integers(1, 1000),
            "seed": st.integers(-(2**63), 2**64 - 1),
            "guidance": st.floats(0, 100),
            "strength": st.floats(0, 1),
            "clip_skip": st.integers(0, 11),
            "sampler": st.sampled_from(["ddim", "euler_ancestral", "dpmpp_2m_sde", "lcm", "something else"]),
            "schedule": st.sampled_from(["model", "karras", "exponential", "sgm_uniform"]),
            "hires_upscale": st.text(max_size=5),
        },
    )
)
def test_any_values_come_back(parameters: dict[str, Any]) -> None:
    assert from_text(to_text(parameters)) == {**parameters, "version": f"nutshell {__version__}"}


@pytest.mark.parametrize(
    "text", ["", "\n", "just words", "Negative prompt: x", "a: b", 'Steps: "', "Steps: , Seed: x, Size: y"]
)
def test_odd_text_is_read_without_an_error(text: str) -> None:
    assert set(from_text(text)) >= {"prompt", "negative_prompt"}


@given(st.text())
def test_no_text_is_an_error(text: str) -> None:
    from_text(text)


def test_latin1_is_text_and_chinese_is_international_text(tmp_path: Path) -> None:
    latin = save_png(PICTURE, {"prompt": "café"}, tmp_path / "a.png").read_bytes()
    chinese = save_png(PICTURE, {"prompt": "一只猫"}, tmp_path / "b.png").read_bytes()
    assert b"tEXtparameters\0caf\xe9" in latin
    assert b"iTXtparameters\0" in chinese
    assert "一只猫".encode() in chinese


def png_with(path: Path, **chunks: str) -> Path:
    info = PngImagePlugin.PngInfo()
    for key, value in chunks.items():
        info.add_text(key, value)
    PICTURE.save(path, pnginfo=info)
    return path


def test_a_picture_of_the_other_web_ui(tmp_path: Path) -> None:
    path = png_with(
        tmp_path / "a.png",
        parameters="masterpiece, cat\nNegative prompt: lowres, bad\nhands\nSteps: 28, Sampler: Euler a, CFG scale: 7, "
        'Seed: 123, Size: 512x768, Model hash: abc, Model: any, Lora hashes: "a: 1, b: 2", Version: v1.9.4',
    )
    assert read_parameters(path) == {
        "prompt": "masterpiece, cat",
        "negative_prompt": "lowres, bad\nhands",
        "steps": 28,
        "sampler": "euler_ancestral",
        "guidance": 7.0,
        "seed": 123,
        "width": 512,
        "height": 768,
        "model_hash": "abc",
        "model": "any",
        "lora_hashes": "a: 1, b: 2",
        "version": "v1.9.4",
    }


def test_newer_texts_name_the_curve_apart() -> None:
    read = from_text("x\nSteps: 5, Sampler: DPM++ 2M, Schedule type: Karras, Seed: 1")
    assert (read["sampler"], read["schedule"]) == ("dpmpp_2m", "karras")


def test_other_tools_are_named(tmp_path: Path) -> None:
    assert read_parameters(png_with(tmp_path / "c.png", prompt="{}", workflow='{"nodes": []}'))["tool"] == "ComfyUI"
    read = read_parameters(png_with(tmp_path / "i.png", invokeai_metadata='{"seed": 1}'))
    assert read == {"tool": "InvokeAI", "raw": '{"seed": 1}'}
    assert read_parameters(png_with(tmp_path / "n.png")) == {}


def test_suffixes(tmp_path: Path) -> None:
    assert save_png(PICTURE, FULL, tmp_path / "no-suffix") == tmp_path / "no-suffix.png"
    with pytest.raises(OutputError, match=r"\.gif"):
        save_png(PICTURE, FULL, tmp_path / "a.gif")
    with pytest.raises(OutputError, match="too long"):
        save_png(PICTURE, {"prompt": "x" * 50_000}, tmp_path / "long.jpg")
    assert [entry.name for entry in tmp_path.iterdir()] == ["no-suffix.png"]


def test_files_that_are_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"not a picture")
    for path in (tmp_path / "a.png", tmp_path / "missing.png", tmp_path):
        with pytest.raises(UsageError):
            read_parameters(path)


@given(at=st.integers(0, 400), noise=st.binary(min_size=1, max_size=8))
def test_damaged_pictures_are_a_usage_error_or_read(at: int, noise: bytes, tmp_path_factory: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.png"
    whole = bytearray(save_png(PICTURE, FULL, path).read_bytes())
    whole[at : at + len(noise)] = noise
    path.write_bytes(whole)
    with contextlib.suppress(UsageError):
        read_parameters(path)


PIECES = ["a", " ", "a ", "xx: ", '"', 'aa:"', "aa:\\", "Steps: 1, ", 'aa:"\\",', "-", "\n", "a\n"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("piece", PIECES)
def test_no_text_takes_long(piece: str) -> None:
    """Whoever sends a picture chooses its text. With time that grows by the square this would take hours."""
    for begin in ("", "x", "x\nSteps: 1, Sampler: a, "):
        for size in (190_000, 1_000_000):
            assert from_text(begin + piece * (size // len(piece)))
