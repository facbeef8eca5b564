"""One table feeds the command line, the file, the environment and the docs."""

from __future__ import annotations

from pathlib import Path

import pytest

from nutshell.errors import UsageError
from nutshell.settings import DEFAULT_MODEL, SETTINGS, config_path, render_reference, resolve, usual_config_path
from nutshell.user_folders import data_folder

NONE = {"NUTSHELL_CONFIG": ""}


def config(tmp_path: Path, text: str) -> dict[str, str]:
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    return {"NUTSHELL_CONFIG": str(tmp_path / "config.toml")}


def test_precedence(tmp_path: Path) -> None:
    environment = config(tmp_path, "steps = 3\nguidance = 2\nseed = 9")
    environment |= {"NUTSHELL_STEPS": "2", "NUTSHELL_GUIDANCE": "5"}
    settings = resolve({"steps": "1"}, environment)
    assert (settings["steps"], settings["guidance"], settings["seed"]) == (1, 5.0, 9)
    assert (settings["count"], settings["model"], settings["size"]) == (1, DEFAULT_MODEL, None)
    assert settings.origins["steps"] == "--steps"
    assert settings.origins["guidance"] == "NUTSHELL_GUIDANCE"
    assert settings.origins["seed"].endswith("config.toml (seed)")
    assert settings.origins["count"] == "default"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("size", "256", (256, 256)),
        ("size", "512x384", (512, 384)),
        ("size", "512 X 384", (512, 384)),
        ("guidance_interval", "0.2,0.8", (0.2, 0.8)),
        ("guidance_interval", "0-1", (0.0, 1.0)),
        ("prediction", "V-Prediction", "v_prediction"),
        ("seed", "-5", -5),
        ("negative", "", ""),
        ("json", "yes", True),
        ("embedding", ["a", "b"], (Path("a"), Path("b"))),
        ("max_memory", "2G", 2_000_000_000),
        ("max_memory", "1.5 GiB", 1_610_612_736),
        ("max_memory", "800mb", 800_000_000),
        ("max_memory", "4096", 4096),
        ("port", "0", 0),
        ("allow", "203.0.113.9/24, fd00::/8", ("203.0.113.0/24", "fd00::/8")),
        ("origins", "https://Example.org/,http://127.0.0.1:5173", ("https://example.org", "http://127.0.0.1:5173")),
        ("keep_alive", "5m", 300.0),
        ("keep_alive", "1.5 h", 5400.0),
        ("keep_alive", "-1", -1.0),
        ("token", "a-token_of_16_or_more", "a-token_of_16_or_more"),
    ],
)
def test_values(name: str, text: str | list[str], value: object) -> None:
    assert resolve({name: text}, NONE)[name] == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("steps", "many"),
        ("steps", "1.5"),
        ("guidance", "nan"),
        ("guidance", "1e999"),
        ("size", "256x"),
        ("size", "-8"),
        ("prediction", "x"),
        ("json", "perhaps"),
        ("guidance_interval", "1"),
        ("model", " "),
        ("steps", "9" * 5000),
        ("max_memory", "0"),
        ("max_memory", "-2G"),
        ("max_memory", "2 apples"),
        ("port", "65536"),
        ("port", "-1"),
        ("allow", "my network"),
        ("allow", "192.168.1.0/33"),
        ("origins", "https://example.org/page"),
        ("keep_alive", "soon"),
        ("token", "short"),
        ("token", "with blanks and such things"),
    ],
)
def test_a_bad_value_says_where_it_stands(tmp_path: Path, name: str, text: str) -> None:
    row = next(row for row in SETTINGS if row.name == name)
    with pytest.raises(UsageError, match=row.flag):
        resolve({name: text}, NONE)
    with pytest.raises(UsageError, match=row.variable):
        resolve({}, {**NONE, row.variable: text})
    with pytest.raises(UsageError, match=rf"config.toml \({name}\)"):
        resolve({}, config(tmp_path, f'{name} = "{text}"'))


def test_types_of_the_file(tmp_path: Path) -> None:
    text = 'size = [256, 128]\nguidance-interval = [0, 0.5]\njson = true\nembedding = "one"\nmodel = "模型"'
    settings = resolve({}, config(tmp_path, text))
    assert settings["size"] == (256, 128)
    assert settings["guidance_interval"] == (0.0, 0.5)
    assert settings["json"] is True
    assert settings["embedding"] == (Path("one"),)
    assert settings["model"] == "模型"
    for bad in ("steps = true", "model = 3", "json = 1", "steps = 1.5", "steps = [1]", "model = {a = 1}"):
        with pytest.raises(UsageError, match="must be"):
            resolve({}, config(tmp_path, bad))


def test_a_broken_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not valid TOML"):
        resolve({}, config(tmp_path, "model = artist"))
    with pytest.raises(UsageError, match="unknown setting 'stpes'") as caught:
        resolve({}, config(tmp_path, "stpes = 1"))
    assert caught.value.hint == "did you mean steps?"
    (tmp_path / "config.toml").write_bytes(b"\xff\xff")
    with pytest.raises(UsageError, match="UTF-8"):
        resolve({}, {"NUTSHELL_CONFIG": str(tmp_path / "config.toml")})
    with pytest.raises(UsageError, match="no such file"):
        resolve({}, {"NUTSHELL_CONFIG": str(tmp_path / "none.toml")})


def test_where_the_file_lies(tmp_path: Path) -> None:
    assert usual_config_path({"HOME": "/h"}, "linux") == Path("/h/.config/nutshell/config.toml")
    assert usual_config_path({"HOME": "/h", "XDG_CONFIG_HOME": "/x"}, "linux") == Path("/x/nutshell/config.toml")
    assert usual_config_path({"HOME": "/h"}, "darwin") == Path("/h/Library/Application Support/nutshell/config.toml")
    assert usual_config_path({"APPDATA": "/a"}, "win32") == Path("/a/nutshell/config.toml")
    assert usual_config_path({}, "linux") is None
    assert config_path({"HOME": str(tmp_path), "XDG_CONFIG_HOME": ""}) is None
    assert config_path({"NUTSHELL_CONFIG": "", "HOME": str(tmp_path)}) is None


def test_the_docs_are_current() -> None:
    page = Path(__file__).parents[1] / "docs" / "reference" / "settings.md"
    assert page.read_text(encoding="utf-8") == render_reference()


def test_addresses_and_the_variables_of_other_programs() -> None:
    settings = resolve(
        {"peers": "http://192.168.1.20:8188/, 192.168.1.21"}, {"HF_ENDPOINT": "mirror.example/", "NUTSHELL_CONFIG": ""}
    )
    assert settings["hf_endpoint"] == "https://mirror.example"
    assert settings.origins["hf_endpoint"] == "HF_ENDPOINT"
    assert settings["peers"] == ("http://192.168.1.20:8188", "https://192.168.1.21")
    ours = {"HF_ENDPOINT": "https://theirs", "NUTSHELL_HF_ENDPOINT": "https://ours", "NUTSHELL_CONFIG": ""}
    assert resolve({}, ours)["hf_endpoint"] == "https://ours"
    with pytest.raises(UsageError, match="--hf-endpoint must be an address"):
        resolve({"hf_endpoint": "ftp://x"}, {"NUTSHELL_CONFIG": ""})


def test_data_lies_where_the_platform_keeps_it() -> None:
    assert data_folder({"HOME": "/h"}, "linux") == Path("/h/.local/share/nutshell")
    assert data_folder({"HOME": "/h", "XDG_DATA_HOME": "/d"}, "linux") == Path("/d/nutshell")
    assert data_folder({"HOME": "/h"}, "darwin") == Path("/h/Library/Application Support/nutshell")
    assert data_folder({"LOCALAPPDATA": "/l"}, "win32") == Path("/l/nutshell")
    assert data_folder({}, "linux") is None
