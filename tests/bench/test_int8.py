"""Eight bits beside other precisions: what the report makes of rows, and real rows of a miniature model."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from bench import cards, int8
from bench.entries import Entry, Journal, read_entries
from bench.int8_report import NNCF, OURS, goals, lines_of, title_of
from bench.models import SPECS, build
from bench.runs import Memory, Ran
from nutshell.engines import open_engine
from nutshell.networks.unet import denoiser
from nutshell.pipeline.cards import FILE
from nutshell.pipeline.facts import read_unet
from nutshell.quantization import (
    CalibrationCard,
    CardLayer,
    CardPart,
    CurvePoint,
    Made,
    Record,
    fingerprint,
    observed,
    scales_of,
)
from nutshell.weights import open_checkpoint

linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
ABOUT = {"date": "2026-01-01", "processor": "P", "cores": 2, "memory_gb": 8.0, "system": "Linux", "python": "3.11"}


def rows() -> dict[str, Entry]:
    ours = Entry(
        samples={
            "pass_seconds": [0.42, 0.41, 0.80],
            "load_seconds": [2.8, 2.9, 3.1],
            "load_peak_bytes": [7e8, 8.1e8, 7.9e8],
            "anonymous_bytes": [4e8],
            "file_bytes": [1.5e8],
        }
    )
    return {
        title_of("tiny-sd", 512, NNCF): Entry(samples={"pass_seconds": [0.42, 0.40, 0.80]}),
        title_of("tiny-sd", 512, OURS): ours,
        title_of("tiny-sd", 512, "nutshell bf16"): Entry(reason="no bf16"),
        "tiny-sd: a picture in f32, 256 pixels": Entry(values={"peak_bytes": 1e9}),
        "tiny-sd: calibrate": Entry(values={"peak_bytes": 1.3e9}, samples={"calibrate_seconds": [60.0]}),
        "artist: pictures, f32": Entry(values={"judge_percent": 80.0}),
        "artist: pictures, int8": Entry(values={"judge_percent": 77.0, "psnr_db": 35.5}),
    }


def test_marks() -> None:
    assert {goal.what: goal.met for goal in goals(rows())} == {
        "tiny-sd, 512 pixels: a pass, by NNCF's": True,
        "tiny-sd, 512 pixels: first pass done after": True,
        "tiny-sd, 512 pixels: peak until then": True,
        "tiny-sd, 512 pixels: resident then": True,
        "tiny-sd: peak of calibrating, by that of drawing in f32": False,
        "artist: int8 to f32, same seeds": True,
        "artist: points of the judge's accuracy lost": False,
    }
    slower = rows()
    slower[title_of("tiny-sd", 512, OURS)].samples["pass_seconds"] = [0.44, 0.44, 0.84]
    assert goals(slower)[0].met is False
    assert goals(slower)[0].found == pytest.approx(1.05)


def test_marks_without_nncf_are_neither_met_nor_missed() -> None:
    missing = rows() | {title_of("tiny-sd", 512, NNCF): Entry(reason="not installed")}
    assert [goal.met for goal in goals(missing)][:2] == [None, True]


def test_the_report_shows_every_row_and_why_one_is_missing() -> None:
    text = "\n".join(lines_of(ABOUT, {"threads": 2}, rows()))
    assert "| nutshell int8 | 0.420 | 1.00 | 2.9 | 790 | 400 + 150 |" in text
    assert "- tiny-sd 512: nutshell bf16: not measured: no bf16" in text
    assert "| tiny-sd: calibrate | 60.0 s | 1300 |" in text
    assert "| int8 | " in text


def write_card(folder: Path) -> None:
    """Scales of one pass for the denoiser of `folder`, as `nutshell calibrate` would keep them."""
    with open_checkpoint(folder).open("unet") as part:
        network = denoiser(read_unet(part), 8, 8, 77)
        record: Record = {}
        session = open_engine("numpy").compile(observed(network, record), part.weights)
        random = np.random.default_rng(0)
        session(**{name: random.standard_normal(given.shape, np.float32) for name, given in network.inputs.items()})
        layers = {name: CardLayer(scale, 30.0, 1.0) for name, scale in scales_of(record).items()}
        made = Made(prompts="0" * 64, pictures=1, width=64, height=64, steps=1, guidance=1.0, compared=1, engine="numpy"
        )  # fmt: skip
        parts = {"unet": CardPart(fingerprint(part.weights), layers)}
        CalibrationCard("miniature", made, parts, (CurvePoint(0, 30.0),)).write(folder / FILE)


@linux
def test_rows_of_a_miniature_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "WORK", tmp_path)
    monkeypatch.setattr(int8, "calibrated", lambda *_: None)
    # Otherwise the worker would look beside the settings of real runs.
    monkeypatch.setattr(int8, "CARDS", tmp_path / "state")
    write_card(build(SPECS["miniature"], tmp_path / "miniature-f16-tiny", vae="tiny"))
    titles = "nutshell int8,nutshell f32,lost"
    monkeypatch.setattr(int8, "ROWS", (*int8.ROWS, int8.Row("lost", "nobody", "int8")))
    given = ["--quick", "--rows", titles, "--out", str(tmp_path), "--name", "run", "--rounds", "2", "--loads", "2"]
    assert int8.main([*given, "--threads", "1"]) == 0
    found = {title: entry for title, entry in kept(tmp_path / "run.json").items() if entry.reason is None}
    ours, plain = found["miniature 64: nutshell int8"], found["miniature 64: nutshell f32"]
    for entry in (ours, plain, found["miniature 64: nutshell int8_weights"]):
        assert len(entry.samples["pass_seconds"]) == len(entry.samples["load_seconds"]) == 2
        assert 0 < min(entry.samples["anonymous_bytes"]) < entry.values["peak_bytes"]
        assert min(entry.samples["load_seconds"]) > min(entry.samples["pass_seconds"])
    lost = kept(tmp_path / "run.json")["miniature 64: lost"]
    assert lost.reason is not None
    assert "nobody" in lost.reason
    assert "| nutshell int8 |" in (tmp_path / "run.md").read_text()


def kept(path: Path) -> dict[str, Entry]:
    import json

    return read_entries(json.loads(path.read_text()))


def test_a_card_is_made_by_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is run, without running it."""
    ran: list[tuple[list[str], Path | None]] = []

    def run(words: list[str], home: Path | None = None) -> Ran:
        ran.append((words, home))
        curve = '{"layers": 3, "curve": [{"kept": 0, "db": 36.0}]}'
        return Ran(curve, 2.0, Memory(5, 3, 2, [4]))

    monkeypatch.setattr(cards, "WORK", tmp_path)
    monkeypatch.setattr(cards, "run", run)
    journal = Journal(tmp_path / "rows.json", lambda _: None, {}, lambda _: None)
    entry = cards.calibrated(journal, "miniature", cards.Calibration(64, 2), 1)
    (drawn, bare), (made, home) = ran
    assert drawn[drawn.index("--precision") + 1] == "f32"
    assert made[made.index("calibrate") + 1] == str(tmp_path / "miniature-f16-tiny")
    assert (bare, home) == (cards.BARE, cards.CARDS)
    assert entry.samples["calibrate_seconds"] == [2.0]
    assert entry.words["layers"] == "3; dB to f32 by layers kept: 0: 36.0"
    cards.calibrated(journal, "miniature", cards.Calibration(64, 2), 1)
    assert len(ran) == 2
