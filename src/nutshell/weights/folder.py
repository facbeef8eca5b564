"""A model folder in the diffusers layout: which files hold a part, and what its JSON files say.

    model_index.json
    unet/config.json    unet/diffusion_pytorch_model.safetensors
    vae/...             text_encoder/model.safetensors
    scheduler/scheduler_config.json    tokenizer/...

A part's weights may carry a variant in their name (`.fp16`) and may be cut into shards that an index lists.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from nutshell.errors import CorruptFile, ModelError, ModelNotFound, os_reason
from nutshell.language import tr
from nutshell.weights.header import shown
from nutshell.weights.safetensors import Layout, read_layout
from nutshell.weights.suspects import HEAD_BYTES, PICKLE_SUFFIXES, pickle_refused, what_else

Json = dict[str, Any]

MAX_JSON_BYTES = 20_000_000  # the index of a thousand shards has 10 MB
_STEMS = ("diffusion_pytorch_model", "model")
_FALLBACK_VARIANTS = ("fp16", "bf16")
_SHARD_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.\-]*\.safetensors")


def read_json(path: Path) -> Json:
    """A JSON object from a file. Raises CorruptFile for anything else, ModelNotFound if absent."""
    try:
        size = path.stat().st_size
        if size > MAX_JSON_BYTES:
            raise CorruptFile(tr("{path} has {size} bytes, far more than such a file needs", path=path, size=size))
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise ModelNotFound(
            tr("there is no file {path}", path=path), hint=tr("the model folder is incomplete")
        ) from error
    except OSError as error:
        raise ModelError(
            tr("{path} cannot be read: {reason}", path=path, reason=os_reason(error)), hint=tr("check the disk")
        ) from error
    try:
        value = json.loads(raw, parse_int=_short_integer)
    except (ValueError, RecursionError) as error:
        suspect = what_else(path, raw[:HEAD_BYTES], size) if not raw.lstrip().startswith(b"{") else None
        raise suspect or CorruptFile(tr("{path} is not valid JSON", path=path), hint=tr("download it again")) from error
    if not isinstance(value, dict):
        raise CorruptFile(tr("{path} holds no JSON object", path=path), hint=tr("download it again"))
    return value


def read_optional_json(path: Path) -> Json | None:
    """Like `read_json`, but None where there is no such file."""
    return read_json(path) if path.exists() else None


def part_layouts(folder: Path, variant: str | None = None) -> tuple[Layout, ...]:
    """The checked files that hold the weights in `folder`: `variant`'s where it has them, else the plain
    ones, else a half-precision variant's."""
    for chosen in dict.fromkeys((variant, None, *_FALLBACK_VARIANTS)):
        for stem in _STEMS:
            name = f"{stem}.{chosen}.safetensors" if chosen else f"{stem}.safetensors"
            if (folder / name).exists():
                return (read_layout(folder / name),)
            # Two spellings of a variant's index are in use.
            for index in (f"{name}.index.json", f"{stem}.safetensors.index.{chosen}.json"):
                if (folder / index).exists():
                    return _sharded(folder / index)
    raise _no_weights(folder)


def has_variant(folder: Path, variant: str) -> bool:
    """Whether any weights file in `folder` carries `variant` in its name."""
    return any(f".{variant}" in path.name for path in folder.glob("*.safetensors*"))


def _short_integer(digits: str) -> int:
    # Python 3.10 takes minutes to read a number of a million digits.
    if len(digits) > 40:
        raise ValueError("a number beyond use")
    return int(digits)


def _sharded(index: Path) -> tuple[Layout, ...]:
    """The shards an index lists; each tensor exactly where the index says."""
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CorruptFile(tr("{index} holds no weight_map", index=index), hint=tr("download it again"))
    listed: dict[str, set[str]] = {}
    for tensor, shard in weight_map.items():
        if not isinstance(shard, str):
            raise CorruptFile(tr("{index} names no file for {tensor}", index=index, tensor=shown(tensor)))
        if Path(shard).suffix.lower() in PICKLE_SUFFIXES:
            raise pickle_refused(index.parent / shown(shard))
        # Only a plain file name: "../.." or "C:\\..." would reach outside the model.
        if not _SHARD_NAME.fullmatch(shard):
            raise CorruptFile(
                tr("{index} names the shard {shard}, which is not a plain file name", index=index, shard=shown(shard))
            )
        listed.setdefault(shard, set()).add(tensor)
    layouts = []
    for shard, tensors in sorted(listed.items()):
        layout = read_layout(index.parent / shard)
        wrong = tensors ^ layout.entries.keys()
        if wrong:
            raise CorruptFile(
                tr(
                    "{path} does not hold exactly what {index} lists; they differ in {tensor}",
                    path=layout.path,
                    index=index.name,
                    tensor=shown(min(wrong)),
                ),
                hint=tr("download the folder again"),
            )
        layouts.append(layout)
    return tuple(layouts)


def _no_weights(folder: Path) -> ModelError:
    """Why nothing in `folder` can be used."""
    pickles = sorted(path for path in folder.glob("*model*") if path.suffix.lower() in PICKLE_SUFFIXES)
    # OpenVINO keeps weights in .bin files too, which are no pickles.
    pickles = [path for path in pickles if not path.name.startswith("openvino")]
    if pickles:
        return pickle_refused(pickles[0])
    others = sorted(path.name for path in folder.glob("*.safetensors"))
    if others:
        return ModelNotFound(
            tr("{folder} holds no weights by a known name, only {others}", folder=folder, others=", ".join(others[:4])),
            hint=tr("name a variant, such as the middle part of model.VARIANT.safetensors"),
        )
    return ModelNotFound(
        tr("{folder} holds no .safetensors weights", folder=folder), hint=tr("the model folder is incomplete")
    )
