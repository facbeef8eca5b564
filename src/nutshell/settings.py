"""Every setting, one row each; the row feeds the command line, the file, the environment and the docs.

A value comes from the first of these that has one:

    --steps 20                 the command line
    NUTSHELL_STEPS=20          the environment
    steps = 20                 the file config.toml
    the default in the row     None means: as the model's card says

`docs/reference/settings.md` is made from these rows: python -m nutshell.settings > docs/reference/settings.md
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nutshell.errors import UsageError
from nutshell.language import Text, tr
from nutshell.setting_kinds import (
    BYTES,
    DECIBELS,
    DURATION,
    FILE_OR_FOLDER,
    INTERVAL,
    LANGUAGE,
    NAME,
    NETWORKS,
    NUMBER,
    ORIGINS,
    PATH,
    PORT,
    SIZE,
    TEXT,
    TOKEN,
    URL,
    URLS,
    WHOLE,
    YES_NO,
    Kind,
    choice,
)
from nutshell.user_folders import Environment, config_folder

_LARGEST_FILE = 1_000_000


# ---------------------------------------------------------------- the table


@dataclass(frozen=True)
class Setting:
    """One row. name: in the file. default_words: what stands in the help when the default is None.

    many: may be given several times (a list in the file, separated as in PATH in the environment).
    also: a variable of other programs that is heeded where ours is not set. flagless: no command has a flag for it.
    """

    name: str
    kind: Kind
    help: Text
    default: Any = None
    default_words: str = ""
    group: str = "picture"
    many: bool = False
    also: str = ""
    flagless: bool = False

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return "NUTSHELL_" + self.name.upper()

    def shown_default(self) -> str:
        if self.default_words:
            return self.default_words
        if isinstance(self.default, bool):
            return tr("yes") if self.default else tr("no")
        return "" if self.default in (None, (), "") else str(self.default)


DEFAULT_MODEL = "artist-turbo"
# As in `nutshell.quantization.budget`, which is not imported for it: settings are read before anything.
DEFAULT_DECIBELS = 35.0

_CARD = tr("the model's own")
_SAMPLER = tr("the sampler's own")
_NONE = tr("none")
SETTINGS: tuple[Setting, ...] = (
    # what to draw
    Setting("negative", TEXT, tr("what should not be in the picture"), "", tr("nothing")),
    Setting("size", SIZE, tr("width and height in pixels, multiples of 8"), None, _CARD),
    Setting("steps", WHOLE, tr("denoising steps: more is slower and often better"), None, _CARD),
    Setting("guidance", NUMBER, tr("how closely to follow the prompt; 1 is off and twice as fast"), None, _CARD),
    Setting("guidance_interval", INTERVAL, tr("from 0 (noise) to 1 (finished): where guidance works"), None, "0,1"),
    Setting("guidance_rescale", NUMBER, tr("0 to 1: undo the contrast that guidance adds"), 0.0, "0"),
    Setting("sampler", NAME, tr("how to step from noise to picture: ddim, euler, dpmpp_2m, ..."), None, _CARD),
    Setting("schedule", NAME, tr("curve of the noise levels: model, karras, exponential, sgm_uniform"), None, _CARD),
    Setting("spacing", NAME, tr("which timesteps are visited: leading, trailing, linspace"), None, _SAMPLER),
    Setting("eta", NUMBER, tr("0 to 1: fresh noise in every step (DDIM, TCD)"), None, _SAMPLER),
    Setting("seed", WHOLE, tr("the same seed draws the same picture"), None, tr("random, and printed")),
    Setting("count", WHOLE, tr("pictures for each prompt; seeds count up"), 1),
    Setting("strength", NUMBER, tr("with --image: 0 to 1, how much of it to redraw"), 0.8),
    Setting("mask_blur", NUMBER, tr("with --mask: pixels over which redrawn and kept parts blend"), 4.0, "4"),
    Setting("clip_skip", WHOLE, tr("last layers of the text encoder to leave out"), 0),
    Setting("fast", YES_NO, tr("leave out what costs much time and changes the picture little"), False),
    Setting("reuse", WHOLE, tr("run the whole denoiser at every so many steps, its outer layers between"), None,
            tr("1: at every step")),
    Setting("reuse_depth", WHOLE, tr("with --reuse: outer layers that run at every step"), 1),
    Setting("merge", NUMBER, tr("0 to 0.75: tokens merged in attention, a share"), None, "0"),
    Setting("fewer_keys", YES_NO, tr("let attention look at a quarter of the picture's cells"), None, tr("no")),
    Setting("int8_attention", YES_NO, tr("attention in eight bits, by the model's calibration card"), False),
    # what draws it
    Setting("model", NAME, tr("a model's name, its folder, or its .safetensors file"), DEFAULT_MODEL, group="model"),
    Setting("models", PATH, tr("a folder in which models are looked for by name"), None, _NONE, group="model"),
    Setting("cards", PATH, tr("a folder of model cards of your own"), None, tr("cards/ beside config.toml"),
            group="model", flagless=True),
    Setting("vae", NAME, tr("another autoencoder: tiny, full, a model's name, a folder or file"), None, _CARD,
            group="model"),
    Setting("preview_vae", NAME, tr("with --preview: a tiny autoencoder for sharper ones"), None, _NONE, group="model"),
    Setting("embedding", PATH, tr("a textual-inversion file; its name calls it"), (), _NONE, group="model", many=True),
    Setting("prediction", choice("epsilon", "v_prediction", "sample"),
            tr("what the model predicts, where its files do not say"), None, _CARD, group="model"),
    Setting("engine", NAME, tr("openvino, onnx, torch or numpy"), None, tr("the fastest installed"), group="model"),
    Setting("precision", choice("f32", "bf16", "f16", "int8", "int8_weights"),
            tr("arithmetic; int8 needs a model's calibration card, int8_weights does not"), None,
            tr("the fastest here"), group="model"),
    Setting("int8_budget", DECIBELS, tr("how near to float32 eight bits must stay, or how much they may lose"),
            DEFAULT_DECIBELS, "35dB", group="model"),
    Setting("threads", WHOLE, tr("processor threads"), None, tr("all cores"), group="model"),
    Setting("max_memory", BYTES, tr("memory that drawing may take at most; what would need more is refused"), None,
            tr("85% of what is free"), group="model"),
    Setting("polite", YES_NO, tr("give way to other programs: compute and read files when nobody else wants to"), False,
            group="model"),
    Setting("learn", YES_NO, tr("let what a run took, kept on this machine, correct the next estimate"), True,
            group="model"),
    Setting("compile_cache", YES_NO, tr("keep compiled networks on disk: the next start is quicker"), False,
            group="model"),
    Setting("compile_cache_limit", BYTES, tr("disk space for compiled networks; the oldest go first"), 2_000_000_000,
            "2G", group="model"),
    # where models come from
    Setting("store", PATH, tr("the folder that fetched models are kept in"), None, tr("the platform's data folder"),
            group="store"),
    Setting("offline", YES_NO, tr("make no connection at all"), False, group="store"),
    Setting("sticks", YES_NO, tr("use the folder nutshell-models/ of removable drives in place"), True, group="store"),
    Setting("hub", choice("huggingface", "modelscope"), tr("which hub is asked first"), "huggingface", group="store"),
    Setting("hf_endpoint", URL, tr("Hugging Face, or a mirror of it"), "https://huggingface.co", group="store",
            also="HF_ENDPOINT"),
    Setting("ms_endpoint", URL, tr("ModelScope, or a mirror of it"), "https://www.modelscope.cn", group="store"),
    Setting("hf_token", TEXT, tr("for models that Hugging Face gives to known users only"), "", _NONE, group="store",
            also="HF_TOKEN"),
    Setting("peers", URLS, tr("other Nutshells on the local network, asked before the hubs"), (), _NONE, group="store"),
    # the service
    Setting("host", NAME, tr("the address to listen on"), "127.0.0.1", group="service"),
    Setting("port", PORT, tr("the port to listen on; 0 takes a free one"), 8000, group="service"),
    Setting("lan", YES_NO, tr("let the local network in, with a token"), False, group="service"),
    Setting("allow", NETWORKS, tr("with --lan: let in these networks beyond the private ones"), (), _NONE,
            group="service"),
    Setting("origins", ORIGINS, tr("web pages of other origins that may use the service from a browser"), (), _NONE,
            group="service"),
    Setting("token", TOKEN, tr("what clients must show; with --lan one is made and kept"), "", _NONE, group="service"),
    Setting("queue", WHOLE, tr("jobs that may wait"), 100, group="service"),
    Setting("service_folder", PATH, tr("the folder of its jobs, pictures and log"), None,
            tr("the platform's state folder"), group="service"),
    Setting("gallery", PATH, tr("the folder that pictures are kept in"), None, tr("in the service's folder"),
            group="service"),
    Setting("gallery_limit", BYTES, tr("disk space for pictures; the oldest go first, favourites stay"), 2_000_000_000,
            "2G", group="service"),
    Setting("keep_alive", DURATION, tr("how long a model stays loaded after its last picture"), 300.0, "5m",
            group="service"),
    Setting("max_pixels", WHOLE, tr("pixels that one picture may have"), 1024 * 1024, group="service"),
    Setting("max_count", WHOLE, tr("pictures that one job may ask for"), 16, group="service"),
    Setting("max_steps", WHOLE, tr("steps that one picture may ask for"), 150, group="service"),
    Setting("rate_limit", WHOLE, tr("requests a minute for each token or address; 0 for no limit"), 600,
            group="service"),
    Setting("amnesia", YES_NO, tr("keep jobs and pictures in memory and write nothing to disk"), False,
            group="service"),
    Setting("log_prompts", YES_NO, tr("let the log hold prompts"), False, group="service"),
    # where it goes, and what is said meanwhile
    Setting("output", FILE_OR_FOLDER, tr("a file or folder; .png, .jpg or .webp"), None, tr("a new name here"),
            group="output"),
    Setting("preview", YES_NO, tr("keep an early look at the picture up to date while drawing: nutshell-preview.png"),
            False, group="output"),
    Setting("json", YES_NO, tr("print one JSON object per picture, and errors as JSON"), False, group="output"),
    Setting("quiet", YES_NO, tr("no progress"), False, group="output"),
    Setting("lang", LANGUAGE, tr("the language of what is said: en or zh"), None, tr("the system's"), group="output"),
    Setting("log_level", choice("debug", "info", "warning", "error"), tr("what the log on standard error tells"),
            "warning", group="output"),
)  # fmt: skip
BY_NAME: dict[str, Setting] = {row.name: row for row in SETTINGS}


# ---------------------------------------------------------------- where values come from


@dataclass(frozen=True)
class Settings:
    """The values that hold, and where each came from ("--steps", "NUTSHELL_STEPS", a file, "default")."""

    values: Mapping[str, Any]
    origins: Mapping[str, str]

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def given(self, *names: str) -> dict[str, Any]:
        """Those of `names` whose value is not None."""
        return {name: self.values[name] for name in names if self.values[name] is not None}


def resolve(
    flags: Mapping[str, Any], environment: Environment | None = None, file: Path | None = None, *, only: str = ""
) -> Settings:
    """Settle every setting, or `only` one. `flags`: by name, text as typed (a list for `many`), None where not given.

    file: another config.toml than the user's own. Raises UsageError, which says where a bad value stands.
    """
    environment = os.environ if environment is None else environment
    path = file or config_path(environment)
    in_file = read_config(path) if path else {}
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for row in SETTINGS if not only else (BY_NAME[only],):
        if flags.get(row.name) is not None:
            value, origin = flags[row.name], row.flag
        elif environment.get(row.variable, "") != "":
            value, origin = environment[row.variable], row.variable
            value = value.split(os.pathsep) if row.many else value
        elif row.also and environment.get(row.also, "") != "":
            value, origin = environment[row.also], row.also
        elif row.name in in_file:
            value, origin = in_file[row.name], f"{path} ({row.name})"
        else:
            values[row.name], origins[row.name] = row.default, "default"
            continue
        values[row.name], origins[row.name] = _read(row, value, origin), origin
    return Settings(values, origins)


def _read(row: Setting, value: Any, origin: str) -> Any:
    if row.many:
        items = value if isinstance(value, (list, tuple)) else [value]
        return tuple(_read_one(row, item, origin) for item in items)
    return _read_one(row, value, origin)


def _read_one(row: Setting, value: Any, origin: str) -> Any:
    """A flag or variable is text; a file has types of its own, which must not be turned into text blindly."""
    if isinstance(value, bool):
        fits = row.kind is YES_NO
    elif isinstance(value, (int, float)):
        fits = row.kind in (WHOLE, NUMBER, SIZE, BYTES, PORT, DURATION, DECIBELS)
    elif isinstance(value, list):
        fits = row.kind in (SIZE, INTERVAL) and len(value) == 2
        value = ("x" if row.kind is SIZE else ",").join(map(str, value))
    else:
        fits = isinstance(value, str)
    if fits:
        try:
            return row.kind.read(str(value))
        except (ValueError, KeyError, OverflowError, RuntimeError):
            pass
    shown = str(value) if len(str(value)) <= 60 else str(value)[:57] + "..."
    raise UsageError(
        tr("{origin} must be {word}, not {shown!r}", origin=origin, word=row.kind.words, shown=shown),
        _near(row, str(value)),
    )


def _near(row: Setting, text: str) -> Text:
    close = difflib.get_close_matches(text.lower(), row.kind.names, 1)
    if close:
        return tr("did you mean {name}?", name=close[0])
    return tr("{name}: {meaning}", name=row.name, meaning=row.help)


def config_path(environment: Environment) -> Path | None:
    """The config.toml that holds: NUTSHELL_CONFIG if set (empty for none), else the platform's, if it exists."""
    named = environment.get("NUTSHELL_CONFIG")
    if named is not None:
        if named and not Path(named).expanduser().is_file():
            raise UsageError(
                tr("NUTSHELL_CONFIG names {named}, and there is no such file", named=named), tr("correct or unset it")
            )
        return Path(named).expanduser() if named else None
    usual = usual_config_path(environment)
    try:
        return usual if usual is not None and usual.is_file() else None
    except OSError:
        return None


def usual_config_path(environment: Environment, platform: str = sys.platform) -> Path | None:
    """Where this platform keeps it; None where there is no home folder."""
    folder = config_folder(environment, platform)
    return folder / "config.toml" if folder else None


def beside_config(name: str, environment: Environment) -> Path | None:
    """A file or folder of the user's that lies where config.toml does; None where there is no such place.

    NUTSHELL_CONFIG moves it, and empty leaves it out, as it does the settings.
    """
    named = environment.get("NUTSHELL_CONFIG")
    if named is not None:
        return Path(named).expanduser().parent / name if named else None
    usual = usual_config_path(environment)
    return usual.parent / name if usual is not None else None


def read_config(path: Path) -> dict[str, Any]:
    """The settings in a config.toml; `guidance-interval` and `guidance_interval` are the same."""
    # Here and not above: most runs have no file to read.
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        with path.open("rb") as stream:
            raw = stream.read(_LARGEST_FILE)
        found = tomllib.loads(raw.decode("utf-8-sig"))
    except OSError as error:
        raise UsageError(
            tr("{path} cannot be read: {reason}", path=path, reason=error.strerror or error),
            tr("check its permissions"),
        ) from error
    except UnicodeDecodeError as error:
        raise UsageError(tr("{path} is not UTF-8 text", path=path), tr("save it as UTF-8")) from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(
            tr("{path} is not valid TOML: {error}", path=path, error=error),
            tr('text stands in quotes: model = "artist"'),
        ) from error
    settings = {name.replace("-", "_"): value for name, value in found.items()}
    for name in settings:
        if name not in BY_NAME:
            close = difflib.get_close_matches(name, BY_NAME, 1)
            hint = (
                tr("did you mean {name}?", name=close[0])
                if close
                else tr("docs/reference/settings.md lists all of them")
            )
            raise UsageError(tr("{path} has an unknown setting {name!r}", path=path, name=name), hint)
    return settings


# ---------------------------------------------------------------- docs

_GROUPS = {
    "picture": "What to draw",
    "model": "What draws it",
    "store": "Where models come from",
    "service": "How the service behaves",
    "output": "Where it goes",
}
_DOCS_HEAD = """\
# Settings

<!-- Made by `python -m nutshell.settings > docs/reference/settings.md`; edit src/nutshell/settings.py. -->

A setting is taken from the first of: the command line, the environment, the file `config.toml`, its
default. The file lies in `~/.config/nutshell/` (Linux), `~/Library/Application Support/nutshell/` (macOS)
or `%APPDATA%\\nutshell\\` (Windows); `NUTSHELL_CONFIG` names another one, or none if it is empty. In the
file a setting has the name in the first column:

```toml
model = "artist"
steps = 20
size = "256x256"
embedding = ["~/embeddings/style.safetensors"]
```

Yes-or-no settings are switched off by `--no-...` on the command line.
"""


def render_reference() -> str:
    """The text of docs/reference/settings.md."""
    parts = [_DOCS_HEAD]
    for group, title in _GROUPS.items():
        parts.append(f"\n## {title}\n\n| setting | flag | environment | value | default | meaning |")
        parts.append("\n|---|---|---|---|---|---|\n")
        for row in SETTINGS:
            if row.group == group:
                many = ", may be repeated" if row.many else ""
                flag = "" if row.flagless else f"`{row.flag}`"
                variables = f"`{row.variable}`" + (f", `{row.also}`" if row.also else "")
                parts.append(
                    f"| `{row.name}` | {flag} | {variables} | {row.kind.words}{many} "
                    f"| {row.shown_default()} | {row.help} |\n"
                )
    return "".join(parts)


if __name__ == "__main__":
    sys.stdout.write(render_reference())
