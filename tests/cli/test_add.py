"""`nutshell add`: a card for a model of the user's own, and drawing with it by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from nutshell.catalogue import cards, read_card
from nutshell.errors import UnsupportedModel, UsageError
from nutshell.pipeline.make_card import check_card_name, make_card
from nutshell.store import builtin_folder, find
from tests.cli.conftest import Run
from tests.cli.test_inspect import safetensors
from tests.pipeline.conftest import build_pipeline, write_single_file

ARTIST = builtin_folder() / "artist"


@pytest.fixture
def own(tmp_path: Path) -> dict[str, str]:
    """An environment with a folder of cards."""
    return {"NUTSHELL_CARDS": str(tmp_path / "my cards")}


def test_add_and_draw_by_name(nutshell: Run, work: Path, own: dict[str, str]) -> None:
    shutil.copytree(ARTIST, work / "a model 模型")
    done = nutshell("add", "a model 模型", "--name", "mine", "--licence", "MIT", real=True, env=own)
    assert done.returncode == 0, done.stderr
    counts = cards()["artist"].parameters
    assert f"mine: text-to-image, {sum(counts.values()) / 1e6:.1f} million parameters" in done.stdout
    card = read_card(Path(own["NUTSHELL_CARDS"]) / "mine.toml")
    assert (card.licence, card.kind, card.prediction) == ("MIT", "text-to-image", "v_prediction")
    assert (card.width, card.height, card.sampler) == (256, 256, "ddim")
    assert card.parameters == counts
    assert Path(card.path) == work / "a model 模型"
    words = ["a red apple", "--model", "mine", "--steps", "1", "--seed", "1", "--json"]
    drawn = nutshell(*words, real=True, env=own)
    assert drawn.returncode == 0, drawn.stderr
    assert json.loads(drawn.stdout)["parameters"]["model"] == "mine"
    listed = nutshell("models", "--json", real=True, env=own).stdout.splitlines()
    assert [row["installed"] for row in map(json.loads, listed) if row["name"] == "mine"] == [True]

    again = nutshell("add", "a model 模型", "--name", "mine", real=True, env=own)
    assert again.returncode == 2
    assert "already" in again.stderr
    (work / "a model 模型").rename(work / "moved")
    lost = nutshell(*words, real=True, env=own)
    assert lost.returncode == 3
    assert "nothing is there" in lost.stderr
    assert "nutshell add FILE --name mine --replace" in lost.stderr
    moved = nutshell("add", "moved", "--name", "mine", "--replace", "--json", real=True, env=own)
    assert json.loads(moved.stdout)["path"] == str(work / "moved")


def test_a_single_file_and_its_prediction(tmp_path: Path) -> None:
    build_pipeline(tmp_path / "folder")
    path = write_single_file(tmp_path / "folder", tmp_path / "castles.safetensors")
    card = make_card(path, prediction="v_prediction")
    assert (card.name, card.path, card.prediction) == ("castles", str(path), "v_prediction")
    assert set(card.parameters) == {"text_encoder", "unet", "vae"}
    # What a file does not say is left open: the loader asks for it, or assumes the family's.
    assert make_card(path).prediction is None


def test_a_single_file_whose_sizes_cannot_be_told(tmp_path: Path) -> None:
    """An autoencoder narrower than the family's conventions, by which single files are read."""
    diffusers = pytest.importorskip("diffusers")
    folder = tmp_path / "folder"
    build_pipeline(folder)
    shutil.rmtree(folder / "vae")
    diffusers.AutoencoderKL(
        block_out_channels=(16,) * 4,
        norm_num_groups=8,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
    ).save_pretrained(folder / "vae")
    path = write_single_file(folder, tmp_path / "narrow.safetensors")
    with pytest.raises(UnsupportedModel, match="do not fit together"):
        make_card(path)


def test_an_autoencoder_alone() -> None:
    card = make_card(ARTIST / "vae", "small")
    assert (card.kind, card.architecture, card.parameters) == ("autoencoder", "tiny-autoencoder", {"vae": 2777415})


def test_what_is_no_model_is_refused_and_leaves_no_card(nutshell: Run, work: Path, own: dict[str, str]) -> None:
    (work / "model.ckpt").write_bytes(b"PK\x03\x04" + bytes(100))
    (work / "cut.safetensors").write_bytes(bytes(20))
    safetensors(work / "style.safetensors", {"emb_params": (2, 768)})
    safetensors(work / "lora.safetensors", {"lora_unet_x.lora_up.weight": (4, 4)})
    refusals = {
        "model.ckpt": "PickleRefused",
        "cut.safetensors": "CorruptFile",
        "nothing": "ModelNotFound",
        "style.safetensors": "UnsupportedModel",
        "lora.safetensors": "UnsupportedModel",
    }
    for name, kind in refusals.items():
        done = nutshell("add", name, "--json", real=True, env=own)
        assert json.loads(done.stderr)["error"]["kind"] == kind
    assert not Path(own["NUTSHELL_CARDS"]).exists()
    done = nutshell("add", str(ARTIST), "--name", "../evil", real=True, env=own)
    assert (done.returncode, Path(own["NUTSHELL_CARDS"]).exists()) == (2, False)


def test_a_folder_that_cannot_be_written(nutshell: Run, work: Path) -> None:
    (work / "file").touch()
    done = nutshell("add", str(ARTIST), "--name", "x", real=True, env={"NUTSHELL_CARDS": str(work / "file" / "cards")})
    assert done.returncode == 6
    assert "NUTSHELL_CARDS" in done.stderr


@pytest.mark.parametrize("name", ["", ".x", "-x", "a/b", "a\\b", "a\nb", "a:b", "x" * 101, "x.", "..", "a*"])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(UsageError):
        check_card_name(name)


def test_a_card_of_the_users_is_found_with_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUTSHELL_CARDS", str(tmp_path))
    (tmp_path / "mine.toml").write_text(f'title = "t"\nlicence = "MIT"\npath = {str(ARTIST)!r}\nsteps = 7')
    found = find("mine")
    assert found.path == ARTIST
    assert found.card is not None
    assert found.card.steps == 7
