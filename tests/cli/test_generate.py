"""What a run prints and writes."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from PIL import Image

from nutshell.cli.drawing import open_model, request_of
from nutshell.pipeline import Request
from nutshell.pipeline.parameters import read_parameters
from nutshell.settings import DEFAULT_MODEL, resolve
from tests.cli.conftest import Run


def test_a_first_picture(nutshell: Run, work: Path) -> None:
    done = nutshell("a cat wearing sunglasses", "--seed", "7")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "nutshell-a-cat-wearing-sunglasses-7.png  64x64  0.2 s  peak 380 MB  seed 7\n"
    assert done.stderr == "drawing: a cat wearing sunglasses\n"
    read = read_parameters(work / "nutshell-a-cat-wearing-sunglasses-7.png")
    assert (read["prompt"], read["seed"], read["model"]) == ("a cat wearing sunglasses", 7, DEFAULT_MODEL)
    assert os.listdir(work) == ["nutshell-a-cat-wearing-sunglasses-7.png"]


def test_words_are_one_prompt_and_options_may_stand_between(nutshell: Run, work: Path) -> None:
    done = nutshell("--quiet", "a", "--steps", "2", "red", "apple", "--seed", "-5")
    assert (done.returncode, done.stderr) == (0, "")
    assert read_parameters(work / "nutshell-a-red-apple--5.png")["prompt"] == "a red apple"


def test_nothing_is_overwritten_unless_it_was_named(nutshell: Run, work: Path) -> None:
    for _ in range(2):
        assert nutshell("generate", "cat", "--seed", "1").returncode == 0
    assert sorted(os.listdir(work)) == ["nutshell-cat-1-2.png", "nutshell-cat-1.png"]
    (work / "mine.png").write_text("old")
    assert nutshell("cat", "--output", "mine.png").returncode == 0
    assert Image.open(work / "mine.png").size == (64, 64)
    assert nutshell("cat", "--output", "mine.png", "--count", "2").returncode == 0
    assert {"mine-1.png", "mine-2.png"} <= set(os.listdir(work))


def test_output_folders_and_formats(nutshell: Run, work: Path) -> None:
    assert nutshell("cat", "--seed", "1", "--output", "new/猫/").returncode == 0
    assert (work / "new" / "猫" / "nutshell-cat-1.png").exists()
    assert nutshell("cat", "--output", "a.webp").returncode == 0
    assert Image.open(work / "a.webp").format == "WEBP"
    assert nutshell("cat", "--output", "bare").stdout.startswith("bare.png")
    wrong = nutshell("cat", "--output", "a.gif")
    assert wrong.returncode == 6
    assert "pictures are written as" in wrong.stderr


def test_json(nutshell: Run) -> None:
    done = nutshell("a 猫", "--json", "--count", "3", "--seed", "5", "--size", "32x16")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["seed"] for line in lines] == [5, 6, 7]
    assert set(lines[0]) == {"path", "seed", "seconds", "peak_bytes", "parameters"}
    assert lines[0]["path"] == "nutshell-a-猫-5.png"
    assert lines[0]["parameters"]["prompt"] == "a 猫"
    assert done.stderr == ""


def test_errors_as_json(nutshell: Run) -> None:
    done = nutshell("cat", "--json", "--size", "13")
    assert done.returncode == 2
    assert done.stdout == ""
    error = json.loads(done.stderr)["error"]
    assert (error["kind"], error["exit_code"], error["hint"]) == ("UsageError", 2, "the nearest is 16")


def test_options_reach_the_model_and_the_request(nutshell: Run) -> None:
    options = ["--engine", "onnx", "--precision", "f32", "--threads", "2", "--vae", "v", "--embedding", "a"]
    options += [
        "--embedding",
        "b",
        "--prediction",
        "v_prediction",
        "--model",
        "m",
        "--guidance",
        "3",
        "--negative",
        "x",
    ]
    done = nutshell("cat", "--json", *options)
    parameters = json.loads(done.stdout)["parameters"]
    wanted = {"engine": "onnx", "precision": "f32", "threads": "2", "vae": "v", "model": "m", "guidance": 3.0}
    assert wanted.items() <= parameters.items()
    assert parameters["embeddings"].count("Path") == 2
    assert parameters["negative_prompt"] == "x"


def test_settings_from_the_environment(nutshell: Run) -> None:
    done = nutshell("cat", "--json", env={"NUTSHELL_STEPS": "9", "NUTSHELL_COUNT": "2"})
    assert [json.loads(line)["parameters"]["steps"] for line in done.stdout.splitlines()] == [9, 9]
    bad = nutshell("cat", env={"NUTSHELL_STEPS": "x"})
    assert bad.returncode == 2
    assert "NUTSHELL_STEPS must be a whole number" in bad.stderr


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_prompts_from_a_file(nutshell: Run, work: Path, encoding: str) -> None:
    (work / "prompts.txt").write_bytes("# first\r\na cat\r\n\r\n  一只猫  \n".encode(encoding))
    done = nutshell("--from-file", "prompts.txt", "--json", "--seed", "1")
    assert [json.loads(line)["parameters"]["prompt"] for line in done.stdout.splitlines()] == ["a cat", "一只猫"]


@pytest.mark.parametrize("words", [["-"], ["generate", "-"], ["--from-file", "-"]])
def test_prompts_from_standard_input(nutshell: Run, words: list[str]) -> None:
    done = nutshell(*words, "--seed", "1", input="a cat\na dog\n")
    assert re.findall(r"nutshell-[\w-]+\.png", done.stdout) == ["nutshell-a-cat-1.png", "nutshell-a-dog-1.png"]


def test_prompt_mistakes(nutshell: Run, work: Path) -> None:
    (work / "latin.txt").write_bytes(b"ok\ncaf\xe9\n")
    (work / "empty.txt").write_bytes(b"# nothing\n")
    for words, message in [
        (["generate"], "there is no prompt"),
        (["x", "--from-file", "empty.txt"], "not from both"),
        (["--from-file", "empty.txt"], "empty.txt holds no prompt"),
        (["--from-file", "latin.txt"], "latin.txt is not UTF-8 text (line 2)"),
        (["--from-file", "none.txt"], "none.txt cannot be read: No such file"),
        (["cat", "--stepz", "3"], "unrecognized arguments: --stepz"),
        (["cat", "--steps"], "expected one argument"),
        (["cat", "--mask", "empty.txt"], "not a picture"),
        (["inspekt"], "there is no command 'inspekt'"),
    ]:
        done = nutshell(*words)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert message in done.stderr
        assert done.stderr.count("\n") == 2
        assert "hint: " in done.stderr


def test_a_preview_is_kept_while_drawing_and_then_gone(nutshell: Run, work: Path) -> None:
    done = nutshell("cat", "--preview", "--seed", "1")
    assert done.returncode == 0, done.stderr
    assert os.listdir(work) == ["nutshell-cat-1.png"]


def test_pictures_to_start_from(nutshell: Run, work: Path) -> None:
    Image.effect_noise((40, 40), 50).save(work / "a.png")
    assert nutshell("cat", "--image", "a.png", "--mask", "a.png").returncode == 0
    alone = nutshell("cat", "--mask", "a.png")
    assert alone.returncode == 2
    assert "a mask needs a picture" in alone.stderr
    (work / "cut.png").write_bytes((work / "a.png").read_bytes()[:400])
    (work / "empty.png").touch()
    Image.new("1", (30_000, 30_000)).save(work / "bomb.png")
    for name, words in [
        ("none.png", "there is no picture"),
        ("cut.png", "cannot be read"),
        ("empty.png", "is empty"),
        ("bomb.png", "too large"),
        (".", "is not a file"),
        ("/dev/zero", "is not a file"),
    ]:
        done = nutshell("cat", "--image", name)
        assert done.returncode == 2, name
        assert words in done.stderr


def test_a_prompt_in_another_locale(nutshell: Run, work: Path) -> None:
    for lang in ("C", "POSIX"):
        done = nutshell("一只猫", "--seed", "1", env={"LANG": lang, "LC_ALL": lang})
        assert done.returncode == 0, done.stderr
        assert done.stderr == "drawing: 一只猫\n"
        assert "一只猫" in done.stdout
    assert read_parameters(work / "nutshell-一只猫-1.png")["prompt"] == "一只猫"


def test_calibrating_is_recommended_to_people_only(nutshell: Run) -> None:
    advice = {"FAKE_ADVICE": "eight bits would be faster: nutshell calibrate artist"}
    assert advice["FAKE_ADVICE"] in nutshell("cat", env=advice).stderr
    assert nutshell("cat").stderr == "drawing: cat\n"
    assert nutshell("cat", "--quiet", env=advice).stderr == ""
    assert nutshell("cat", "--json", env=advice).stderr == ""


def test_what_is_left_out_reaches_the_request_and_the_cache_the_model() -> None:
    flags = {"fast": "yes", "reuse": "3", "reuse_depth": "2", "merge": "0.5", "fewer_keys": "no", "vae": "full"}
    flags["int8_attention"] = "yes"
    settings = resolve({**flags, "compile_cache": "yes", "compile_cache_limit": "1G"}, {"NUTSHELL_CONFIG": ""})
    request = request_of("cat", settings)
    assert (request.fast, request.reuse, request.reuse_depth) == (True, 3, 2)
    assert (request.merge, request.fewer_keys, request.int8_attention) == (0.5, False, True)
    options = open_model(settings, lambda model, **given: given)
    assert (options["vae"], options["compile_cache"]) == ("full", 10**9)
    # Nothing unless it is asked for.
    plain = resolve({}, {"NUTSHELL_CONFIG": ""})
    assert request_of("cat", plain) == Request("cat")
    assert "compile_cache" not in open_model(plain, lambda model, **given: given)
