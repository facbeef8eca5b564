"""The models that the service offers: those that are here, by name alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nutshell.errors import ModelNotFound, UsageError
from nutshell.service.http.native_answers import PlanAnswer
from nutshell.service.models import Models, shown_name
from nutshell.settings import resolve
from nutshell.store import builtin_folder

ARTIST = builtin_folder() / "artist"
BUILT_IN = ["artist-turbo", "artist"]


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The user's own folder of models."""
    (tmp_path / "yours").mkdir()
    return tmp_path / "yours"


@pytest.fixture
def make(folder: Path, tmp_path: Path, clock: Clock) -> Any:
    """Models of an empty store and an own folder. given: other settings."""

    def make(**given: str) -> Models:
        flags = {"models": str(folder), "store": str(tmp_path / "store"), "sticks": "no", "learn": "no", **given}
        (tmp_path / "config.toml").touch()
        return Models(resolve(flags, {}, tmp_path / "config.toml"), clock)

    return make


def names(models: Models) -> list[str]:
    return [row.name for row in models.rows()]


def test_the_built_in_model_is_here_and_reckoned(make: Any) -> None:
    row, other = make().rows()
    assert (row.name, row.here, row.verdict) == ("artist-turbo", True, "well")
    assert (other.name, other.here, other.verdict) == ("artist", True, "well")
    assert (row.width, row.height) == (256, 256)
    assert row.steps > 0
    assert row.guidance > 0
    assert row.licence
    assert row.seconds is not None
    assert row.seconds > 0
    assert row.peak_bytes is not None
    assert 10_000_000 < row.peak_bytes < 2_000_000_000


def test_a_model_that_comes_and_goes_is_noticed(make: Any, folder: Path, clock: Clock) -> None:
    models = make()
    assert names(models) == BUILT_IN
    shutil.copytree(ARTIST, folder / "mine")
    assert names(models) == BUILT_IN, "folders are not looked at all the time"
    clock.seconds += 3
    assert names(models) == [*BUILT_IN, "mine"]
    assert models.resolve("mine") == "mine"
    shutil.rmtree(folder / "mine")
    clock.seconds += 3
    assert names(models) == BUILT_IN
    with pytest.raises(ModelNotFound):
        models.resolve("mine")


def test_a_model_whose_folder_was_there_before_its_files_is_noticed_too(make: Any, folder: Path, clock: Clock) -> None:
    (folder / "mine").mkdir()
    models = make()
    assert names(models) == BUILT_IN
    # The time of the folder above does not change by this.
    shutil.copytree(ARTIST, folder / "mine", dirs_exist_ok=True)
    clock.seconds += 31
    assert names(models) == [*BUILT_IN, "mine"]


def test_the_default_comes_first(make: Any, folder: Path) -> None:
    shutil.copytree(ARTIST, folder / "zebra")
    models = make(model="zebra")
    assert models.default == "zebra"
    assert names(models) == ["zebra", *BUILT_IN]
    assert models.resolve(None) == models.resolve("") == models.resolve("gpt-image-2") == "zebra"


def test_a_default_that_is_a_path_is_known_by_its_last_part(make: Any, tmp_path: Path) -> None:
    shutil.copytree(ARTIST, tmp_path / "elsewhere" / "mine")
    path = str(tmp_path / "elsewhere" / "mine")
    models = make(model=path)
    assert names(models) == ["mine", *BUILT_IN]
    assert models.resolve(None) == models.resolve("mine") == path
    assert models.plan("mine")["model"] == "mine"
    assert not any(str(tmp_path) in str(row) for row in models.rows())


def test_no_row_tells_where_a_model_lies(make: Any, folder: Path) -> None:
    shutil.copytree(ARTIST, folder / "mine")
    assert not any(str(folder) in str(row) for row in make().rows())


def test_a_broken_model_hides_no_other(make: Any, folder: Path) -> None:
    (folder / "broken").mkdir()
    (folder / "broken" / "model_index.json").write_text("{", "utf-8")
    (folder / "empty.safetensors").write_bytes(b"")
    rows = {row.name: row.verdict for row in make().rows()}
    assert rows == {"artist-turbo": "well", "artist": "well", "broken": "not yet", "empty.safetensors": "not yet"}


def test_no_folder_of_the_users_hides_no_model(make: Any, folder: Path) -> None:
    folder.rmdir()
    assert names(make()) == BUILT_IN


def test_settings_that_are_spoilt_later_spoil_nothing(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    models = make()
    monkeypatch.setenv("NUTSHELL_SIZE", "huge")
    with pytest.raises(UsageError):
        resolve({})
    assert names(models) == BUILT_IN
    assert models.resolve("artist") == "artist"


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../yours", "..", "yours/mine", "no-such", "x" * 5000, "\0", "artist/"]
)
def test_only_names_are_names(make: Any, folder: Path, name: str) -> None:
    shutil.copytree(ARTIST, folder / "mine")
    with pytest.raises(ModelNotFound) as caught:
        make().resolve(name)
    assert len(caught.value.message) < 300


def test_a_path_is_no_name_even_where_a_model_lies(make: Any, tmp_path: Path) -> None:
    shutil.copytree(ARTIST, tmp_path / "elsewhere")
    with pytest.raises(ModelNotFound):
        make().resolve(str(tmp_path / "elsewhere"))


def test_a_known_model_that_is_not_here_says_how_to_fetch_it(make: Any) -> None:
    with pytest.raises(ModelNotFound) as caught:
        make().resolve("stable-diffusion-1.5")
    assert "nutshell pull stable-diffusion-1.5" in caught.value.hint


def test_a_plan_is_what_the_command_line_prints(make: Any, folder: Path, tmp_path: Path) -> None:
    plan = make().plan("artist", width=256, height=256, steps=5)
    command = ["plan", "artist", "--size", "256", "--steps", "5", "--json", "--models", str(folder), "--no-learn"]
    told = subprocess.run(
        [sys.executable, "-m", "nutshell.cli.main", *command], capture_output=True, text=True, check=True
    )
    printed = json.loads(told.stdout)
    assert plan.keys() == printed.keys()
    assert plan["plan"].keys() == printed["plan"].keys()
    assert {name: plan[name] for name in ("model", "width", "height", "steps")} == {
        name: printed[name] for name in ("model", "width", "height", "steps")
    }
    assert plan["plan"]["engine"] == printed["plan"]["engine"]
    PlanAnswer.model_validate(plan, strict=True)


def test_no_engine_is_opened_to_reckon() -> None:
    """The web side stays small; drawing is for another process."""
    code = (
        "import sys; from nutshell.service.models import Models; from nutshell.settings import resolve\n"
        "models = Models(resolve({})); models.rows(); models.plan(models.default)\n"
        "print(*{'openvino', 'onnxruntime', 'torch'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == []


def test_a_plan_of_one_side_takes_the_models_other(make: Any) -> None:
    plan = make().plan("artist", width=128)
    assert (plan["width"], plan["height"]) == (128, 256)
    with pytest.raises(UsageError) as caught:
        make().plan("artist", height=100)
    assert caught.value.field == "height"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("artist", "artist"),
        ("hf:owner/name", "hf:owner/name"),
        ("/home/me/models/mine", "mine"),
        ("models/mine.safetensors", "mine.safetensors"),
        ("~/mine", "mine"),
    ],
)
def test_what_clients_see_of_a_path(name: str, shown: str) -> None:
    assert shown_name(name) == shown
