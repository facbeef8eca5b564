"""Pictures drawn otherwise: how far they are, and what the judge says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench import quality
from bench.entries import Journal
from bench.process import NotMeasured
from bench.quality import Way, drawn_and_judged, of_errors, psnrs
from bench.quality_report import quality_lines
from bench.runs import Memory, Ran


def save(folder: Path, *levels: int) -> Path:
    folder.mkdir()
    for place, level in enumerate(levels):
        Image.fromarray(np.full((8, 8, 3), level, np.uint8)).save(folder / f"{place:03}.png")
    return folder


def test_psnr(tmp_path: Path) -> None:
    first, second = save(tmp_path / "a", 100, 100), save(tmp_path / "b", 100, 110)
    each = psnrs(first, second)
    assert each == pytest.approx([99.0, 10 * np.log10(255**2 / 100)])
    found = of_errors(first, second)
    assert found == pytest.approx({"psnr_db": 10 * np.log10(255**2 / 50), "least_psnr_db": each[1]})


def test_each_way_is_beside_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without drawing: pictures of one colour, and a judge that is not there for one of them."""

    def run(words: list[str], home: Path) -> Ran:
        if words[3] == "judge":
            if Path(words[4]).name == "1":
                raise NotMeasured("no judge here")
            return Ran("80.0\n", 1.0, Memory())
        given = json.loads(words[4])
        if given["request"]["reuse"] == 9:
            raise NotMeasured("too much")
        Image.fromarray(np.full((8, 8, 3), given["request"]["reuse"], np.uint8)).save(Path(given["folder"], "000.png"))
        assert given["request"]["steps"] == 4
        said = {"seconds": [1.5], "precision": "f32", "engine": "openvino", "steps": 4}
        return Ran(json.dumps(said), 1.0, Memory())

    monkeypatch.setattr(quality, "run", run)
    journal = Journal(tmp_path / "rows.json", lambda _: None, {}, lambda _: None)
    ways = [Way(f"by {level}", request={"reuse": level}) for level in (0, 10, 9)]
    drawn_and_judged(journal, "artist", ways, 1, 1, steps=4)
    first, second, third = journal.entries.values()
    assert (first.get("psnr_db"), first.get("judge_percent")) == (None, 80.0)
    assert second.get("psnr_db") == pytest.approx(10 * np.log10(255**2 / 100))
    assert "no judge here" in second.words["judge"]
    assert third.reason == "too much"
    text = "\n".join(quality_lines(journal.entries))
    assert "PSNR to by 0, dB" in text
    assert "| by 10 | f32 on openvino, 4 steps; no judge: no judge here | 1.50 | 28.1 | 28.1 | - |" in text


@pytest.mark.reference
def test_the_artist_is_drawn_and_read(tmp_path: Path) -> None:
    load = {"precision": "f32", "threads": 1, "learn": False}
    said = quality.draw("artist", str(tmp_path), 2, load, {"steps": 1, "guidance": 1.0})
    assert (len(said["seconds"]), said["precision"], said["steps"]) == (2, "f32", 1)
    assert len(list(tmp_path.glob("*.png"))) == 2
    assert quality.judge(tmp_path, 2) in (0, 50, 100)
