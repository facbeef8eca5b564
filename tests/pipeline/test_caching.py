"""Where compiled networks are kept, and where they are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import nutshell
from nutshell.machine import Disk, Machine, machine_with
from nutshell.pipeline.caching import cache_folder, open_cache
from nutshell.plan import Plan

HOME = {"HOME": "/home/ada"}


def test_the_folder_is_the_platform_s() -> None:
    from nutshell.user_folders import cache_folder as platform_folder

    assert platform_folder(HOME, "linux") == Path("/home/ada/.cache/nutshell")
    assert platform_folder({**HOME, "XDG_CACHE_HOME": "/fast"}, "linux") == Path("/fast/nutshell")
    assert platform_folder(HOME, "darwin") == Path("/home/ada/Library/Caches/nutshell")
    assert platform_folder({"LOCALAPPDATA": "C:/ada"}, "win32") == Path("C:/ada/nutshell/cache")
    assert platform_folder({}, "linux") is None
    assert cache_folder({"NUTSHELL_CONFIG": "/etc/nut.toml"}) == Path("/etc/cache/compiled")
    assert cache_folder({"NUTSHELL_CONFIG": "", **HOME}) is None


def machine(**disk: Any) -> Machine:
    return replace(machine_with(usable_bytes=10**9), disks=(Disk("/", "ext4"), Disk(**disk)))


@pytest.mark.parametrize(
    ("found", "word"),
    [
        ({"filesystem": "tmpfs"}, "memory"),
        ({"filesystem": "ext4", "read_only": True}, "written"),
        ({"filesystem": "ext4"}, ""),
    ],
)
def test_not_in_memory_nor_where_nothing_can_be_written(
    found: dict[str, Any], word: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    environment = {"NUTSHELL_CONFIG": str(tmp_path / "config.toml")}
    cache = open_cache(1000, machine(mount=str(tmp_path), **found), environment)
    assert (cache is None) == bool(word)
    assert word in caplog.text
    assert bool(caplog.text) == bool(word)
    assert open_cache(0, machine(mount=str(tmp_path), **found), environment) is None


def test_not_without_a_home_nor_on_a_live_system(tmp_path: Path) -> None:
    assert open_cache(1000, machine_with(usable_bytes=1), {}) is None
    live = machine(mount=str(tmp_path), filesystem="ext4")
    live = replace(live, system=replace(live.system, live=True))
    assert open_cache(1000, live, {"NUTSHELL_CONFIG": str(tmp_path / "config.toml")}) is None


def test_not_where_memory_is_short() -> None:
    plan = Plan("openvino", "f32", 1, False, 1_000_000, (), ceiling_bytes=1_350_000)
    assert not plan.room_to_cache
    assert replace(plan, ceiling_bytes=1_360_000).room_to_cache


def test_the_second_start_finds_the_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nutshell.pipeline import caching

    pytest.importorskip("openvino")
    monkeypatch.setenv("NUTSHELL_CONFIG", str(tmp_path / "config.toml"))
    # The test's own folder may lie in memory.
    monkeypatch.setattr(caching, "_unfit", lambda folder, machine: None)
    pictures = []
    for _ in range(2):
        # In bf16 the last bits of a picture depend on how busy the machine is.
        how: dict[str, Any] = {"engine": "openvino", "precision": "f32", "learn": False}
        with nutshell.load("artist", compile_cache=500_000_000, **how) as model:
            pictures.append(model.generate("a red apple", steps=2, seed=7, width=64, height=64).image.tobytes())
            sessions = [session for _, session in model._kit.stages._kept.values()]
            found = {session._compiled.get_property("LOADED_FROM_CACHE") for session in sessions}  # type: ignore[attr-defined]
    assert len(sessions) == 3
    assert found == {True}
    assert pictures[0] == pictures[1]
    assert len(list((tmp_path / "cache" / "compiled").iterdir())) == 3
    # Off by default.
    with nutshell.load("artist", engine="openvino", learn=False) as model:
        assert model._engines._cache is None
