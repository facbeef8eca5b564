"""How a picture was made, written into the picture and read back.

The text is the one that AUTOMATIC1111's web UI writes and most other tools read:

    a red apple
    Negative prompt: blurry
    Steps: 20, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 7, Size: 256x256, Model: artist, Version: nutshell 0.1.0

In a PNG it is a text chunk called `parameters` (iTXt where it is not Latin-1), in JPEG and WebP the EXIF
UserComment. That form loses spaces at the ends of a line, and a prompt may hold a line that looks like a
mark of it; then `Exact prompt` and `Exact negative` follow among the fields, as JSON.

Keys are those of `FIELDS` below. Any other key passes through as text: `hires_upscale` is written as
`Hires upscale`. A key whose value is None is left out.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image, ImageFile, PngImagePlugin

from nutshell import __version__
from nutshell.errors import NutshellError, OutputError, UsageError
from nutshell.files import writing
from nutshell.language import tr
from nutshell.sampling import find_sampler

Parameters = dict[str, Any]

KEYWORD = "parameters"
_NEGATIVE = "Negative prompt:"
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
_QUALITY = {"JPEG": 95, "WEBP": 90}
_EXIF_FOLDER = 0x8769
_USER_COMMENT = 0x9286
# Sigma curves that web UIs name after the sampler, and those that they name apart.
_CURVE_SUFFIXES = {"karras": "Karras", "exponential": "Exponential", "sgm_uniform": "SGM Uniform"}
_CURVE_NAMES = {"model": "Automatic"}


# ---------------------------------------------------------------- fields


@dataclass(frozen=True)
class Field:
    """One row: our key, the label in the text, and how to write and read a value."""

    key: str
    label: str
    write: Callable[[Any], str] = str
    read: Callable[[str], Any] = str


def _number(value: Any) -> str:
    value = float(value)
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _pair(value: Any) -> str:
    return ", ".join(_number(item) for item in value)


def _read_pair(text: str) -> tuple[float, ...]:
    return tuple(float(item) for item in text.split(","))


# In the order in which they are written. A1111 counts clip skip from 1 for "none left out".
FIELDS: tuple[Field, ...] = (
    Field("steps", "Steps", read=int),
    Field("sampler", "Sampler"),
    Field("schedule", "Schedule type"),
    Field("guidance", "CFG scale", _number, float),
    Field("seed", "Seed", read=int),
    Field("size", "Size"),  # width and height
    Field("model", "Model"),
    Field("strength", "Denoising strength", _number, float),
    Field("clip_skip", "Clip skip", lambda skip: str(int(skip) + 1), lambda text: int(text) - 1),
    Field("spacing", "Timestep spacing"),
    Field("eta", "Eta", _number, float),
    Field("guidance_interval", "CFG interval", _pair, _read_pair),
    Field("reuse", "Feature reuse", read=int),
    Field("reuse_depth", "Feature reuse depth", read=int),
    Field("merge", "Token merging", _number, float),
    Field("fewer_keys", "Fewer keys", lambda value: "yes" if value else "no", lambda text: text == "yes"),
    Field("int8_attention", "Int8 attention", lambda value: "yes" if value else "no", lambda text: text == "yes"),
    Field("guidance_rescale", "CFG rescale", _number, float),
    Field("mask_blur", "Mask blur", _number, float),
    Field("prediction", "Prediction type"),
    Field("vae", "VAE"),
    Field("engine", "Engine"),
    Field("precision", "Precision"),
)
_LAST = (
    Field("exact_prompt", "Exact prompt"),
    Field("exact_negative", "Exact negative"),
    Field("version", "Version"),
)
_BY_KEY = {field.key: field for field in (*FIELDS, *_LAST)}
_BY_LABEL = {field.label.lower(): field for field in (*FIELDS, *_LAST)}
_IN_TEXT = ("prompt", "negative_prompt", "width", "height")

# A1111's own pattern for one field, but that a label has an end: without one the time grows with the square of a
# line's length, and lines come from anybody.
_FIELD = re.compile(r'(\w[\w \-/]{1,60}):\s*("(?:\\.|[^\\"])*"|[^,]*)(?:,|$)')
_LONGEST_FIELDS = 200_000  # characters of that line
_KEY = re.compile(r"[a-z][a-z0-9_]*[a-z0-9]")
_SIZE = re.compile(r"(\d+)\s*x\s*(\d+)")


# ---------------------------------------------------------------- text


def to_text(parameters: Mapping[str, Any]) -> str:
    """Return the text that web UIs read."""
    prompt = str(parameters.get("prompt") or "")
    negative = str(parameters.get("negative_prompt") or "")
    values = {key: value for key, value in parameters.items() if key not in _IN_TEXT and value is not None}
    values.setdefault("version", f"nutshell {__version__}")
    if parameters.get("width") is not None and parameters.get("height") is not None:
        values["size"] = f"{parameters['width']}x{parameters['height']}"
    _join_curve(values)
    text = _compose(prompt, negative, values)
    back = _split(text)
    if (back[0], back[1]) != (prompt, negative) or not _printable(text):
        exact = {"exact_prompt": prompt, "exact_negative": negative}
        text = _compose(_plain(prompt), _plain(negative), {**values, **exact})
    return text


def from_text(text: str) -> Parameters:
    """Return the parameters in a text of ours or of another tool that writes A1111's form."""
    prompt, negative, fields = _split(text)
    parameters: Parameters = {"prompt": prompt, "negative_prompt": negative}
    for label, raw in fields:
        value = _unquoted(raw)
        field = _BY_LABEL.get(label.lower())
        try:
            parameters[field.key if field else _key_of(label)] = field.read(value) if field else value
        except ValueError:
            # Another tool's idea of the field; shown as it stands.
            parameters[_key_of(label)] = value
    for key, exact in (("prompt", "exact_prompt"), ("negative_prompt", "exact_negative")):
        if exact in parameters:
            parameters[key] = parameters.pop(exact)
    size = _SIZE.fullmatch(str(parameters.get("size", "")))
    if size:
        del parameters["size"]
        parameters["width"], parameters["height"] = int(size[1]), int(size[2])
    _part_curve(parameters)
    return parameters


def _compose(prompt: str, negative: str, values: Mapping[str, Any]) -> str:
    lines = [prompt] if prompt else []
    if negative:
        lines.append(f"{_NEGATIVE} {negative}")
    known = [field.key for field in FIELDS if field.key in values]
    others = [key for key in values if key not in _BY_KEY]
    last = [field.key for field in _LAST if field.key in values]
    lines.append(", ".join(_written(key, values[key]) for key in (*known, *others, *last)))
    return "\n".join(lines)


def _written(key: str, value: Any) -> str:
    field = _BY_KEY.get(key)
    if field is None:
        if not _KEY.fullmatch(key):
            raise ValueError(f"a parameter's key is lower-case words joined by _, not {key!r}")
        field = Field(key, (key[0].upper() + key[1:]).replace("_", " "))
        value = json.dumps(value, ensure_ascii=False) if isinstance(value, (list, tuple, dict)) else value
    return f"{field.label}: {_quoted(field.write(value))}"


def _split(text: str) -> tuple[str, str, list[tuple[str, str]]]:
    """The prompt, the negative prompt and the fields; A1111's way of reading."""
    lines = text.split("\n")
    fields: list[tuple[str, str]] = []
    while lines and not lines[-1].strip():
        lines.pop()
    if lines and len(lines[-1]) <= _LONGEST_FIELDS:
        found = _FIELD.findall(lines[-1])
        if len(found) >= 3 or any(label == "Version" and value.startswith("nutshell ") for label, value in found):
            fields = found
            lines.pop()
    prompt: list[str] = []
    negative: list[str] = []
    into = prompt
    for line in lines:
        bare = line.strip()
        if bare.startswith(_NEGATIVE):
            into, bare = negative, bare[len(_NEGATIVE) :].strip()
        into.append(bare)
    return "\n".join(prompt).strip("\n"), "\n".join(negative).strip("\n"), fields


def _quoted(value: str) -> str:
    """A1111 quotes a value with a comma, a colon or a newline; quotes and spaces at its ends need it too."""
    if value and not any(mark in value for mark in ',\n:"\\\0') and value == value.strip() and _printable(value):
        return value
    # Escapes everything that is not printable, and keeps Chinese readable.
    plain = json.dumps(value, ensure_ascii=False)
    return plain if _printable(plain) else json.dumps(value)


def _unquoted(value: str) -> str:
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] == '"':
        try:
            return str(json.loads(value))
        except ValueError:
            return value
    return value


def _printable(text: str) -> bool:
    """Whether PNG text, EXIF and other tools' line splitting all keep it as it is."""
    return all(char.isprintable() or char == "\n" or char in "\u3000\u00a0\u200d" for char in text)


def _plain(text: str) -> str:
    return "".join(char if _printable(char) else " " for char in text)


def _key_of(label: str) -> str:
    return re.sub(r"[\s/\-]+", "_", label.strip().lower())


def _join_curve(values: dict[str, Any]) -> None:
    """Name sampler and sigma curve as web UIs do: `DPM++ 2M Karras`."""
    schedule = values.get("schedule")
    if schedule in _CURVE_NAMES:
        values["schedule"] = _CURVE_NAMES[schedule]
    try:
        sampler, _ = find_sampler(str(values["sampler"]))
    except (KeyError, UsageError):
        return
    if values["sampler"] not in (sampler.name, sampler.title):
        return
    values["sampler"] = sampler.title
    if schedule in _CURVE_SUFFIXES and sampler.takes_curve:
        values["sampler"] += f" {_CURVE_SUFFIXES[schedule]}"
        del values["schedule"]


def _part_curve(parameters: Parameters) -> None:
    for curve, name in (*_CURVE_SUFFIXES.items(), *_CURVE_NAMES.items()):
        if parameters.get("schedule") == name:
            parameters["schedule"] = curve
    try:
        sampler, curve_of_name = find_sampler(parameters["sampler"])
    except (KeyError, UsageError):
        return
    parameters["sampler"] = sampler.name
    if curve_of_name:
        parameters.setdefault("schedule", curve_of_name)


# ---------------------------------------------------------------- files


def save_png(image: Image.Image, parameters: Mapping[str, Any], path: Path) -> Path:
    """Write the picture with its parameters, whole or not at all, and return the path.

    PNG unless the suffix is .jpg, .jpeg or .webp; any other suffix is an OutputError, none means .png.
    """
    if not path.suffix and (path.is_file() or not path.exists()):  # a device keeps its name
        path = path.with_name(path.name + ".png")
    form = format_of(path)
    data = encoded(image, parameters, form)
    with writing(path) as file:
        file.write(data)
    return path


def encoded(image: Image.Image, parameters: Mapping[str, Any], form: str = "PNG", quality: int | None = None) -> bytes:
    """The file of a picture with its parameters. form: PNG, JPEG or WEBP; quality: 1 to 100, of the latter two.

    Raises OutputError where the form has no room for them.
    """
    text = to_text(parameters).encode("utf-8", "replace").decode()
    file = io.BytesIO()
    if form == "PNG":
        chunks = PngImagePlugin.PngInfo()
        chunks.add_text(KEYWORD, text)  # Pillow turns to iTXt where Latin-1 does not do
        image.save(file, "PNG", pnginfo=chunks)
        return file.getvalue()
    try:
        image.convert("RGB").save(file, form, exif=_exif(text), quality=quality or _QUALITY[form])
    except ValueError as error:
        raise OutputError(
            tr("the prompt is too long for {form}: {error}", form=form, error=error), tr("save it as .png")
        ) from error
    return file.getvalue()


def format_of(path: Path) -> str:
    """Pillow's name of the format that the suffix asks for."""
    form = _FORMATS.get(path.suffix.lower() or ".png")
    if form is None and not path.exists():
        raise OutputError(
            tr(
                "cannot write {path}: pictures are written as {formats}, not {suffix}",
                path=path,
                formats=", ".join(_FORMATS),
                suffix=path.suffix,
            ),
            tr("name the file with one of these endings"),
        )
    return form or "PNG"


def read_parameters(path: str | Path) -> Parameters:
    """Return the parameters in a picture of ours, or of a tool that writes A1111's form; {} if it has none.

    Where another tool left something else, the keys are `tool`, its name, and `raw`, its text.
    """
    path = Path(path)
    try:
        with Image.open(path) as image:
            return parameters_of(image)
    except FileNotFoundError:
        raise UsageError(tr("there is no file {path}", path=path), tr("check the path")) from None
    except NutshellError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UsageError(
            tr("{path} cannot be read as a picture: {error}", path=path, error=error),
            tr("give a PNG, JPEG or WebP file"),
        ) from error


def parameters_of(image: ImageFile.ImageFile) -> Parameters:
    """As `read_parameters`, of a file that is open. Raises what Pillow raises for a damaged one."""
    text, foreign = _texts(image)
    return from_text(text) if text else foreign


# What other tools leave in a PNG: chunk -> tool.
_TOOLS = {
    "workflow": "ComfyUI",
    "prompt": "ComfyUI",
    "invokeai_metadata": "InvokeAI",
    "invokeai_graph": "InvokeAI",
    "sd-metadata": "InvokeAI",
    "Dream": "InvokeAI",
    "Comment": "unknown",
}


def _texts(image: ImageFile.ImageFile) -> tuple[str, Parameters]:
    """The text of A1111's form if there is one, else what another tool left."""
    chunks = dict(image.info)
    if image.format == "PNG" and KEYWORD not in chunks and image.width * image.height < 4096 * 4096:
        image.load()  # some tools put their text after the pixels
        chunks = dict(image.info)
    text = chunks.get(KEYWORD)
    if isinstance(text, str) and text.strip():
        return text, {}
    comment = _comment(image)
    if comment:
        return comment, {}
    for chunk, tool in _TOOLS.items():
        raw = chunks.get(chunk)
        if isinstance(raw, (str, bytes)) and raw:
            return "", {"tool": tool, "raw": raw if isinstance(raw, str) else raw.decode("utf-8", "replace")}
    return "", {}


def _exif(text: str) -> bytes:
    exif = Image.Exif()
    exif[_EXIF_FOLDER] = {_USER_COMMENT: b"UNICODE\0" + text.encode("utf-16-be")}
    return exif.tobytes()


def _comment(image: Image.Image) -> str:
    """The EXIF UserComment. Its first 8 bytes name the encoding; tools disagree about the byte order."""
    raw = image.getexif().get_ifd(_EXIF_FOLDER).get(_USER_COMMENT, b"")
    if isinstance(raw, str):
        return raw.strip("\0 ")
    if not isinstance(raw, bytes):
        return ""
    mark, body = raw[:8], raw[8:]
    if mark == b"UNICODE\0":
        little = body[1:2] == b"\0" and body[0:1] != b"\0"
        return body.decode("utf-16-le" if little else "utf-16-be", "replace").strip("\0")
    return (body if mark in (b"ASCII\0\0\0", bytes(8)) else raw).decode("utf-8", "replace").strip("\0 ")
