"""The README's tables are those of the newest results."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from bench.entries import Entry
from bench.readme import BEGIN, END, README, RESULTS, main, newest, renewed, section

ABOUT = {"date": "2027-01-01 10:00 UTC", "processor": "P", "cores": 2}


def test_the_readme_is_what_the_command_makes() -> None:
    readme = README.read_text(encoding="utf-8")
    assert renewed(readme, section(RESULTS)) == readme
    assert main(["--check"]) == 0


def write(folder: Path, name: str, entries: dict[str, Entry]) -> None:
    rows = {title: asdict(entry) for title, entry in entries.items()}
    content = {"machine": ABOUT, "settings": {"steps": 20}, "entries": rows}
    (folder / name).write_text(json.dumps(content))


def test_every_kind_has_its_table(tmp_path: Path) -> None:
    shutil.copy(RESULTS / "2026-11-20.json", tmp_path)
    passes = {"pass_seconds": [0.5]}
    write(tmp_path, "2027-01-01-int8.json", {
        "sd15 512: nncf int8": Entry(samples=passes), "sd15 512: nutshell int8": Entry(samples=passes),
        "sd15 512: nutshell f32": Entry(reason="broken"),
    })  # fmt: skip
    write(tmp_path, "2027-01-01-lean.json", {"artist 256 in 192 MB": Entry({"psnr_db": 50.0}, passes)})
    write(tmp_path, "2027-01-01-whole.json", {"tiny-sd 256: nutshell int8": Entry({}, {"picture_seconds": [3.0]})})
    made = section(tmp_path)
    assert made.startswith(BEGIN)
    assert made.endswith(END)
    assert "| **Nutshell, OpenVINO, bf16** | 0.282 | 2.8 s | 10.1 s | 1670 MB |" in made
    assert "| sd15, 512: **nutshell int8** | 0.500 | 1.00 |" in made
    assert "nutshell f32" not in made
    assert "| artist 256 in 192 MB | - | 0.50 | - | 50.0 |" in made
    assert "| tiny-sd 256: **nutshell int8** | 3.00 | 1.00 |" in made
    assert "1 of 3 marks met. Missed: tiny-sd 256: peak: not measured, wanted at most 750 MB" in made
    assert "[all of it](bench/results/2027-01-01-whole.md)" in made


def test_the_newest_of_a_kind_is_taken(tmp_path: Path) -> None:
    for name in ("2026-11-20.json", "2026-11-21-int8.json", "2026-12-01-int8.json", "2027-01-01-int8-again.json"):
        (tmp_path / name).touch()
    assert newest(tmp_path, r"-int8\.json") == tmp_path / "2026-12-01-int8.json"
    assert newest(tmp_path, r"\.json") == tmp_path / "2026-11-20.json"
    assert newest(tmp_path, r"-lean\.json") is None


def test_only_what_stands_between_the_marks_changes(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    given = ["--results", str(tmp_path), "--readme", str(readme)]
    assert main([*given, "--check"]) == 1
    assert main(given) == 0
    assert main([*given, "--check"]) == 0
    assert readme.read_text() == f"before\n{BEGIN}\n\n{END}\nafter\n"
    with pytest.raises(ValueError, match="once each"):
        renewed("no marks", "made")
