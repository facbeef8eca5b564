"""The report: likeness against references, and two models drawn in processes of their own."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFont

import nutshell
from nutshell.cli.compress_report import report_lines
from nutshell.compress.job import write_model
from nutshell.compress.judged import judged, pick_prompts
from nutshell.compress.likeness import psnr, ssim
from nutshell.compress.original import open_original
from nutshell.compress.quantize import Quantize
from nutshell.compress.report import Wish, compare
from nutshell.compress.report_child import draw_apart
from nutshell.compress.report_sheet import font_for
from nutshell.errors import EngineError
from nutshell.store import find


def noisy(seed: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    picture = random.integers(0, 256, (24, 31, 3)).astype(np.float64)
    picture = (picture + np.roll(picture, 1, 0) + np.roll(picture, 1, 1)) / 3
    other = np.clip(picture + random.normal(0, spread, picture.shape), 0, 255)
    return picture.astype(np.uint8), other.astype(np.uint8)


@pytest.mark.reference
@pytest.mark.parametrize("spread", [3.0, 40.0])
def test_ssim_is_wangs_written_with_convolutions(spread: float) -> None:
    torch = pytest.importorskip("torch")
    one, other = noisy(1, spread)

    def luma(picture: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.array(Image.fromarray(picture)) @ [0.299, 0.587, 0.114])[None, None]

    line = torch.exp(-((torch.arange(11.0, dtype=torch.float64) - 5) ** 2) / 4.5)
    window = torch.outer(line, line)[None, None]
    window /= window.sum()
    x, y = luma(one), luma(other)
    mean_x, mean_y, xx, yy, xy = (torch.conv2d(values, window) for values in (x, y, x * x, y * y, x * y))
    c1, c2 = 6.5025, 58.5225
    wanted = ((2 * mean_x * mean_y + c1) * (2 * (xy - mean_x * mean_y) + c2)) / (
        (mean_x**2 + mean_y**2 + c1) * (xx - mean_x**2 + yy - mean_y**2 + c2)
    )
    assert ssim(one, other) == pytest.approx(float(wanted.mean()), abs=1e-9)
    assert ssim(one, one) == pytest.approx(1.0)
    # All squares summed by hand.
    error = sum((int(a) - int(b)) ** 2 for a, b in zip(one.flat, other.flat, strict=True)) / one.size
    assert psnr(one, other) == pytest.approx(10 * math.log10(255**2 / error))
    assert psnr(one, one) == math.inf


def test_a_model_and_what_was_made_of_it_side_by_side(tmp_path: Path) -> None:
    small = write_model(open_original("artist"), Quantize(), tmp_path / "small", lambda *_: None).path
    wish = Wish(("a red apple", "a cat"), seed=7, steps=3, loading={"engine": "onnx"})
    names: list[str] = []
    report = compare(find("artist"), find(small), wish, tmp_path / "sheet.png", names.append)
    assert names == ["artist", "small"]
    first, second = report.columns
    assert first.parameters == second.parameters
    assert first.step_operations == second.step_operations > 0
    assert 0.4 < sum(second.weight_bytes.values()) / sum(first.weight_bytes.values()) < 0.7
    assert first.step_seconds is not None
    assert first.peak_bytes > 50_000_000
    assert 25 < report.psnr < math.inf
    assert 0.9 < report.ssim < 1
    # The second draws by the habits of the first, whose card it lacks.
    assert {order["sampler"] for order in report.orders} == {"ddim"}
    assert [order["seed"] for order in report.orders] == [7, 8]
    with Image.open(tmp_path / "sheet.png") as sheet:
        left, right = (np.asarray(sheet.crop((x, 22, x + 256, 278))) for x in (8, 272))
    assert left.std() > 10
    assert psnr(left, right) == pytest.approx(report.psnr, abs=6)
    table = "\n".join(report_lines(report))
    for title in (
        "parameters, denoiser",
        "weights on disk",
        "operations a step",
        "seconds a step",
        "peak memory",
        "PSNR",
    ):
        assert title in table
    assert "nothing was judged" in table
    content = json.loads(json.dumps(report.to_json()))
    assert content["models"][1]["name"] == "small"
    assert content["psnr_db"] == pytest.approx(report.psnr)


def test_equal_models_draw_equal_pictures() -> None:
    wish = Wish(("a red apple",), steps=1, width=64, height=64, loading={"engine": "onnx"})
    report = compare(find("artist"), find("artist"), wish)
    assert (report.psnr, report.ssim) == (math.inf, pytest.approx(1.0))
    assert report.to_json()["psnr_db"] is None
    assert report.columns[0].step_seconds is None  # the only step also loads


def test_a_model_that_cannot_run_is_told_with_its_reason(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="could not be run: there is no file or folder"):
        draw_apart({"path": str(tmp_path / "none"), "base": ""}, [], {}, tmp_path)


def test_prompts_of_the_judge_are_the_evaluations() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("tomllib", reason="the scenes need Python 3.11")
    prompts, reason = pick_prompts(8)
    assert (len(prompts), reason) == (8, "")
    assert all(prompt.text for prompt in prompts)
    assert pick_prompts(0)[1].startswith("nothing was judged")


def test_the_judge_sees_a_cat_and_none_in_noise() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("tomllib", reason="the scenes need Python 3.11")
    prompts, _ = pick_prompts(500)
    asked = [prompt for prompt in prompts if prompt.text == "a drawing of a cat"]
    assert len(asked) == 1
    with nutshell.load("artist", precision="f32", learn=False) as model:
        cat = model.generate(asked[0].text, seed=asked[0].place).image.convert("RGB")
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    first, second = judged(asked, [[cat], [noise]])
    assert (first.accuracy, second.accuracy) == (100.0, 0.0)
    assert (first.prompts, second.frechet) == (1, None)


def test_judged_pictures_are_drawn_with_the_evaluations_seeds() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("tomllib", reason="the scenes need Python 3.11")
    wish = Wish(steps=1, width=64, height=64, judge=2, loading={"engine": "onnx"})
    report = compare(find("artist"), find("artist"), wish)
    expected = {prompt.place: prompt.text for prompt in pick_prompts(2)[0]}
    assert {order["seed"]: order["prompt"] for order in report.orders} == expected
    first, second = (column.judged for column in report.columns)
    assert first is not None
    assert second is not None
    assert first.accuracy == second.accuracy
    table = "\n".join(report_lines(report))
    assert "judge: right answers" in table
    assert "Frechet distance from A" not in table
    assert "ask with --judge 100" in table


def test_chinese_is_written_in_a_font_of_the_system_that_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    own, real, asked = ImageFont.load_default(20), ImageFont.truetype, []

    def truetype(font: Any, *more: Any, **options: Any) -> Any:
        if not isinstance(font, str):  # Pillow's own
            return real(font, *more, **options)
        asked.append(font)
        if font != "msyh.ttc":
            raise OSError("cannot open resource")
        return own

    monkeypatch.setattr(ImageFont, "truetype", truetype)
    assert font_for("two guitars") is not own
    assert not asked
    assert font_for("a cat 戴墨镜的猫") is own
    assert asked[-1] == "msyh.ttc"
