"""Contenders from the command line, and drawing that goes on where it stopped."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tomllib", reason="the recipe needs Python 3.11")

from evaluation_stand_ins import StandInArtist
from PIL import Image

from nutshell.errors import ModelNotFound, UsageError
from training.evaluate.contender import Contender, parse, parse_all
from training.evaluate.drawing import draw, pixels
from training.evaluate.prompts import NOTHING_ASKED, asked
from training.evaluate.sheet import COLUMNS, save_sheet
from training.evaluate.wording import says_it
from training.scenes.scene import Background, Scene

TEXTS = {3: "a cat", 5: "一只狗", 9: ""}


@pytest.mark.parametrize(
    ("text", "contender"),
    [
        ("artist", Contender("artist", "artist")),
        ("out/teacher", Contender("teacher", "out/teacher")),
        ("turbo=out/student:steps=4,guidance=1.5", Contender("turbo", "out/student", 4, 1.5)),
        ("artist:int8", Contender("artist:int8", "artist", int8=True)),
        ("a=b:sampler=lcm,engine=torch:cuda", Contender("a", "b", sampler="lcm", engine="torch:cuda")),
    ],
)
def test_contenders(text: str, contender: Contender) -> None:
    assert parse(text) == contender


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["artist:steps=four"], "'artist:steps=four': steps has to be a whole number, not 'four'"),
        (["artist:guidance="], "guidance has to be a number, not ''"),
        (["artist:speed=4"], "'artist:speed=4' has an unknown option 'speed'"),
        (["=folder"], "names no label"),
        (["teacher="], "names no model"),
        (["a/student", "b/student"], "two models are called 'student'"),
    ],
)
def test_what_is_wrong_is_said(texts: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_all(texts)
    assert message in str(caught.value)
    assert caught.value.hint


def test_the_command_line_speaks_for_those_that_say_nothing() -> None:
    loud, silent = (one.with_defaults(steps=8, guidance=None) for one in (parse("a:steps=4"), parse("b")))
    assert (loud.request, silent.request) == ({"steps": 4}, {"steps": 8})


def model_at(folder: Path) -> Contender:
    folder.mkdir(exist_ok=True)
    (folder / "weights").write_text("weights")
    return Contender("mine", str(folder))


def test_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    contender = model_at(tmp_path / "model")
    hasty, patient = StandInArtist(patience=2), StandInArtist()
    with pytest.raises(KeyboardInterrupt):
        draw(contender, TEXTS, tmp_path, lambda _: hasty)
    files = draw(contender, TEXTS, tmp_path, lambda _: patient)
    assert hasty.closed
    assert patient.closed
    assert hasty.asked == [("a cat", {"seed": 3}), ("一只狗", {"seed": 5})]
    assert patient.asked == [("", {"seed": 9})]
    assert all(file.is_file() for file in files.values())

    def unneeded(_: Contender) -> StandInArtist:
        raise AssertionError("nothing is missing")

    assert draw(contender, TEXTS, tmp_path, unneeded) == files


def test_another_model_setting_or_text_is_drawn_anew(tmp_path: Path) -> None:
    contender = model_at(tmp_path / "model")
    before = draw(contender, TEXTS, tmp_path, lambda _: StandInArtist())
    artist = StandInArtist()
    draw(contender.with_defaults(steps=4), TEXTS, tmp_path, lambda _: artist)
    assert artist.asked[0] == ("a cat", {"seed": 3, "steps": 4})
    again = StandInArtist()
    draw(contender, {**TEXTS, 3: "a dog"}, tmp_path, lambda _: again)
    assert again.asked == [("a dog", {"seed": 3})]
    os.utime(tmp_path / "model" / "weights", (1, 1))
    assert not set(draw(contender, TEXTS, tmp_path, lambda _: StandInArtist()).values()) & set(before.values())


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound):
        draw(Contender("x", str(tmp_path / "nowhere")), TEXTS, tmp_path, lambda _: StandInArtist())


@pytest.mark.parametrize("side", [64, 256, 512])
def test_pictures_reach_the_judge_at_its_size(side: int, tmp_path: Path) -> None:
    files = draw(model_at(tmp_path / "model"), TEXTS, tmp_path, lambda _: StandInArtist(side=side))
    found = pixels(files)
    assert found.shape == (3, 3, 256, 256)
    assert found.dtype == np.uint8
    assert found[1, :, 100, 100].tolist() == [200, 30, 30]


def test_the_sheet(tmp_path: Path) -> None:
    prompts = [f"prompt {number}" for number in range(10)]
    files = draw(model_at(tmp_path / "model"), dict(enumerate(prompts)), tmp_path, lambda _: StandInArtist())
    save_sheet(prompts, files, None, tmp_path / "docs" / "sheet.jpg")
    with Image.open(tmp_path / "docs" / "sheet.jpg") as sheet:
        assert sheet.width >= COLUMNS * 160
        assert sheet.height >= 2 * 160


def test_captions_that_leave_something_out_are_told() -> None:
    pair = Scene((asked("cat"), asked("dog")), NOTHING_ASKED, "left of")
    assert says_it("a dog to the right of a cat", pair, "en")
    assert not says_it("a cat next to a dog", pair, "en")
    assert not says_it("猫在狗旁边", pair, "zh")
    assert not says_it("a cat left of a dog on a white background", pair, "en")
    night = Scene((asked("cat"),), Background("night"))
    assert says_it("星空下，一只猫", night, "zh")
    assert not says_it("a cat", night, "en")
