"""`nutshell export` and `nutshell import`: from one machine to another that has no network."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from nutshell.store import builtin_folder
from tests.cli.conftest import REAL, Run, environment

ARTIST = builtin_folder() / "artist"
BYTES = sum(file.stat().st_size for file in ARTIST.rglob("*") if file.is_file() and file.name != "README.md")
Environment = dict[str, str]


def machine(folder: Path) -> Environment:
    """A machine of its own: its cards and its store."""
    return {"NUTSHELL_CARDS": str(folder / "cards"), "NUTSHELL_STORE": str(folder / "store"), "NUTSHELL_STICKS": "no"}


@pytest.fixture
def here(tmp_path: Path) -> Environment:
    return machine(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> Environment:
    return machine(tmp_path / "there 模型")


@pytest.fixture
def bundle(nutshell: Run, work: Path, here: Environment) -> Path:
    """A copy of the built-in model under another name, the model itself, and a wheel."""
    (work / "wheels").mkdir()
    (work / "wheels" / "nutshell-1-py3-none-any.whl").write_bytes(b"wheel")
    assert nutshell("add", str(ARTIST), "--name", "mine", "--licence", "MIT", real=True, env=here).returncode == 0
    done = nutshell("export", "mine", "artist", "a.nut", "--with-wheels", "wheels", real=True, env=here)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(f"a.nut  {BYTES / 1e6:.1f} MB")
    return work / "a.nut"


def test_from_one_machine_to_another(nutshell: Run, work: Path, bundle: Path, there: Environment) -> None:
    done = nutshell("import", "a.nut", real=True, env=there)
    assert done.returncode == 0, done.stderr
    assert f"mine  {BYTES / 1e6:.1f} MB  MIT\n" in done.stdout
    assert "artist  comes with the program" in done.stdout
    assert "draw with it" in done.stdout
    words = ["a red apple", "--model", "mine", "--steps", "1", "--seed", "1", "--json"]
    drawn = nutshell(*words, real=True, env=there)
    assert drawn.returncode == 0, drawn.stderr
    told = json.loads(drawn.stdout)["parameters"]
    assert (told["model"], told["width"]) == ("mine", 256)
    again = json.loads(nutshell("import", "a.nut", "--json", real=True, env=there).stdout)
    assert again == {"models": ["mine"], "left_out": ["artist"], "copied_bytes": 0, "notes": []}
    # The second machine hands it on.
    on = nutshell("export", "mine", "b.nut", "--json", real=True, env=there)
    assert json.loads(on.stdout)["models"] == ["mine"]
    with tarfile.open(work / "a.nut") as tar, tarfile.open(work / "b.nut") as other:
        assert set(other.getnames()) <= set(tar.getnames())


def test_what_is_wrong_with_the_words(nutshell: Run, work: Path, here: Environment) -> None:
    (work / "there.nut").touch()
    for words, says, code in [
        (["x"], "must end in .nut", 2),
        (["x.nut"], "which models", 2),
        (["artist", "there.nut"], "is there already", 6),
        (["artist", "none/x.nut"], "no such folder", 6),
        (["artist", "x.nut", "--with-wheels", "none"], "holds no wheels", 6),
        (["nobody", "x.nut"], "no model named 'nobody'", 3),
        (["sdxl", "x.nut"], "not on this machine", 3),
        (["../artist", "x.nut"], "no model named", 3),
    ]:
        done = nutshell("export", *words, real=True, env=here)
        assert done.returncode == code, done.stderr
        assert says in done.stderr
        assert "hint: " in done.stderr
    assert sorted(os.listdir(work)) == ["there.nut"]


def test_a_name_that_cannot_travel(nutshell: Run, here: Environment) -> None:
    assert nutshell("add", str(ARTIST), "--name", "模型", real=True, env=here).returncode == 0
    done = nutshell("export", "模型", "x.nut", real=True, env=here)
    assert done.returncode == 2
    assert "--name gives it a plain one" in done.stderr


def test_a_damaged_bundle_leaves_nothing(nutshell: Run, work: Path, bundle: Path, there: Environment) -> None:
    raw = bundle.read_bytes()
    bundle.write_bytes(raw[: len(raw) // 2])
    done = nutshell("import", "a.nut", real=True, env=there)
    assert done.returncode == 3
    assert "a.nut is cut short" in done.stderr
    middle = len(raw) // 2
    bundle.write_bytes(raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 :])
    done = nutshell("import", "a.nut", real=True, env=there)
    assert done.returncode == 3
    assert "has other bytes" in done.stderr
    assert "mine" not in nutshell("models", real=True, env=there).stdout
    bundle.write_bytes(raw)
    assert nutshell("import", "a.nut", real=True, env=there).returncode == 0


def test_a_card_that_is_there_stays(nutshell: Run, bundle: Path, there: Environment) -> None:
    cards = Path(there["NUTSHELL_CARDS"])
    cards.mkdir(parents=True)
    (cards / "mine.toml").write_text('title = "My own words"\nlicence = "MIT"\n')
    assert nutshell("import", "a.nut", real=True, env=there).returncode == 0
    assert "My own words" in (cards / "mine.toml").read_text()


def test_no_place_for_cards_is_told(nutshell: Run, tmp_path: Path, bundle: Path, there: Environment) -> None:
    (tmp_path / "file").touch()
    done = nutshell("import", "a.nut", real=True, env={**there, "NUTSHELL_CARDS": str(tmp_path / "file" / "cards")})
    assert done.returncode == 0
    assert "its card could not be kept" in done.stdout


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_killed_and_run_again(nutshell: Run, work: Path, bundle: Path, there: Environment) -> None:
    """Whatever is killed, the next call finishes, and nothing half is taken for whole."""
    for milliseconds in (0, 20, 60, 120, 250):
        process = subprocess.Popen(
            [*REAL, "import", "a.nut"],
            env=environment(**there),
            cwd=work,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        store = Path(there["NUTSHELL_STORE"])
        while not store.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(milliseconds / 1000)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    assert nutshell("import", "a.nut", real=True, env=there).returncode == 0
    assert not list(Path(there["NUTSHELL_STORE"]).rglob("*.part"))
    drawn = nutshell("a cat", "--model", "mine", "--steps", "1", "--json", real=True, env=there)
    assert drawn.returncode == 0, drawn.stderr
