"""Checkpoints in parts: whole again, never half a one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from nutshell.compress.teaching.checkpoint import MANIFEST, load_state, save_state  # noqa: E402
from nutshell.errors import CorruptFile, OutputError  # noqa: E402

STATE = {"model": {"weight": torch.arange(4000.0)}, "step": 7}


def test_a_state_in_many_parts_comes_back_whole(tmp_path: Path) -> None:
    save_state(STATE, tmp_path, part_bytes=5000)
    parts = sorted(tmp_path.glob("*.part"))
    assert len(parts) >= 4
    assert max(part.stat().st_size for part in parts) <= 5000
    loaded = load_state(tmp_path)
    assert loaded is not None
    assert loaded["step"] == 7
    torch.testing.assert_close(loaded["model"]["weight"], STATE["model"]["weight"])


def test_a_new_state_replaces_the_old_one_and_its_parts(tmp_path: Path) -> None:
    save_state(STATE, tmp_path, part_bytes=5000)
    before = set(tmp_path.glob("*.part"))
    save_state({"step": 8}, tmp_path)
    assert load_state(tmp_path) == {"step": 8}
    assert not before & set(tmp_path.glob("*.part"))


def test_a_save_that_was_cut_off_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_state(STATE, tmp_path, part_bytes=5000)

    def full_disk(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full_disk)
        with pytest.raises(OutputError, match="disk is full"):
            save_state({"step": 8}, tmp_path)
    loaded = load_state(tmp_path)
    assert loaded is not None
    assert loaded["step"] == 7


def test_nothing_there_is_none(tmp_path: Path) -> None:
    assert load_state(tmp_path / "nowhere") is None


@pytest.mark.parametrize("damage", ["missing", "changed"])
def test_damage_is_told(tmp_path: Path, damage: str) -> None:
    save_state(STATE, tmp_path, part_bytes=5000)
    part = sorted(tmp_path.glob("*.part"))[1]
    if damage == "missing":
        part.unlink()
    else:
        part.write_bytes(part.read_bytes()[:-1] + b"?")
    with pytest.raises(CorruptFile, match="damaged"):
        load_state(tmp_path)
    assert (tmp_path / MANIFEST).is_file()
