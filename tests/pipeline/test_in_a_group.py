"""The built-in model in a memory control group of 192 MB, without swap: a whole run, killed if it takes more."""

from __future__ import annotations

from pathlib import Path

from tests.groups import MB, drawn, memory_group, peak_bytes, psnr

LIMIT_MB = 192
ARTIST = ("--model", "artist", "--steps", "3")


def test_the_artist_draws_in_192_megabytes(tmp_path: Path) -> None:
    with memory_group(LIMIT_MB) as group:
        lean = drawn(tmp_path / "lean.png", *ARTIST, "--max-memory", f"{LIMIT_MB}M", group=group)
        assert 0 < peak_bytes(group) <= LIMIT_MB * MB
    assert psnr(lean, drawn(tmp_path / "resident.png", *ARTIST, "--precision", "f32")) >= 45
