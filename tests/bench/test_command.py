"""The built-in models' command, measured and shown beside its marks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench.assemble import assemble
from bench.command import CommandFigures, measure_command
from bench.report_command import command_lines
from nutshell.store import Found

linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


@linux
def test_the_real_command_is_measured(tmp_path: Path) -> None:
    words = ["--model", "artist", "--engines", "nutshell command", "--rounds", "1", "--out", str(tmp_path)]
    assert bench.main([*words, "--name", "run"]) == 0
    content = json.loads((tmp_path / "run.json").read_text())
    assert content["results"] == []
    (command,) = content["commands"]
    assert command["reason"] is None
    assert (command["width"], command["height"], command["steps"], command["guidance"]) == (256, 256, 20, 2.0)
    assert 0 < command["warm_seconds"][0] < command["command_seconds"][0]
    assert 50_000_000 < command["peak_bytes"][0] < 2_000_000_000
    assert "## artist: the command, 256 x 256 pixels, 20 steps, guidance 2" in (tmp_path / "run.md").read_text()


def test_a_command_that_fails_says_why() -> None:
    said: list[str] = []
    figures = measure_command("no-such-model", 1, 1, said.append)
    assert figures.reason is not None
    assert "no-such-model" in figures.reason
    assert "not measured" in said[0]
    assert figures.reason in "\n".join(command_lines(figures))


def test_the_marks_stand_beside_what_was_found() -> None:
    figures = CommandFigures("artist-turbo", [1.0, 1.5, 9.0], [401_000_000] * 3, [0.1, 0.2, 0.3], 256, 256, 4, 1.0)
    text = "\n".join(command_lines(figures))
    assert "4 steps, guidance 1\n" in text
    assert "| from the command to the PNG on disk, s | 1.50 (1.00 to 9.00) | under 2.5 | yes |" in text
    assert "| peak resident memory of that process, MB | 401 (401 to 401) | under 400 | **no** |" in text
    assert "| a picture once the model is warm, s | 0.200 (0.100 to 0.300) | under 0.5 | yes |" in text
    figures.model = "another"
    assert "| - | - |" in "\n".join(command_lines(figures))


def test_a_model_that_shares_parts_is_put_together(tmp_path: Path) -> None:
    for name in ("whole/unet", "whole/vae", "half/unet"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "config.json").write_text(name)
    (tmp_path / "whole" / "model_index.json").write_text("{}")
    for _ in range(2):
        folder = assemble(Found(tmp_path / "half", tmp_path / "whole"), tmp_path / "new")
        assert (folder / "model_index.json").is_file()
        assert (folder / "unet" / "config.json").read_text() == "half/unet"
        assert (folder / "vae" / "config.json").read_text() == "whole/vae"
    assert assemble(Found(tmp_path / "whole"), tmp_path / "unused") == tmp_path / "whole"
