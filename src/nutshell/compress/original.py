"""The model that is made smaller: its parts as they lie on disk, and what is copied beside them.

A single file has no configurations and no tokenizer; they are made from its shapes, so that what is written is a folder
in either case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from nutshell.catalogue import ModelCard
from nutshell.compress.folder_config import scheduler_json, text_json, unet_json, vae_json
from nutshell.errors import UnsupportedModel
from nutshell.language import tr
from nutshell.networks.clip_text import ClipTextConfig
from nutshell.pipeline.facts import read_text, read_unet, read_vae
from nutshell.store import Found, find
from nutshell.weights import Checkpoint, MappedFile, Tensor, open_checkpoint

Json = dict[str, Any]

STEMS = {"text_encoder": "model", "unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model"}
_LICENCE = re.compile(r"^licen[cs]e:\s*(\S+)\s*$", re.MULTILINE)
_INDEX = {
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
}


@dataclass
class Stored:
    """One open part. tensors: by the names under which they are written, as they are stored.

    release: drops the pages read so far from memory.
    """

    tensors: dict[str, Tensor]
    release: Callable[[], None] = field(default=lambda: None, repr=False)


@dataclass(frozen=True)
class Original:
    """name: as it was asked for. path: where it lies. licence: what its card or README names, else "unknown".

    prediction: what its card says that it predicts. card: None where it has none. noise: a scheduler_config.json that
    replaces its own.
    """

    name: str
    path: Path
    checkpoint: Checkpoint = field(repr=False)
    licence: str
    prediction: str | None = None
    card: ModelCard | None = field(default=None, repr=False)
    noise: Json | None = field(default=None, repr=False)

    @property
    def flags(self) -> str:
        """What its card says of how to draw, as flags of `nutshell generate`: a folder without a card cannot say."""
        if self.card is None:
            return ""
        known = {
            "size": f"{self.card.width}x{self.card.height}",
            "steps": self.card.steps,
            "guidance": self.card.guidance,
            "sampler": self.card.sampler,
            "schedule": self.card.schedule,
            "spacing": self.card.spacing,
        }
        return " ".join(f"--{name} {value}" for name, value in known.items() if value is not None and value != "")

    @property
    def parts(self) -> tuple[str, ...]:
        return self.checkpoint.parts

    @contextmanager
    def open(self, part: str) -> Iterator[Stored]:
        """Map a part: of a folder every tensor as the file names it, of a single file by its name in folders."""
        if self.checkpoint.layout == "ldm":
            with self.checkpoint.open(part) as opened:
                named = dict(zip(opened.weights.names(), opened.weights.tensors(), strict=True))
                if part == "text_encoder":
                    named = _text_names(named, read_text(opened))
                yield Stored({name: replace(tensor, name=name) for name, tensor in named.items()}, opened.release)
            return
        files = tuple(MappedFile(layout) for layout in self.checkpoint.sources[part].layouts)
        try:
            tensors = {name: tensor for file in files for name, tensor in file.tensors.items()}
            yield Stored(tensors, partial(_release, files))
        finally:
            for file in files:
                file.close()

    def config(self, part: str) -> Json:
        """What config.json says of a part."""
        own = self.checkpoint.config(part)
        if own is not None:
            return own
        with self.checkpoint.open(part) as opened:
            if part == "text_encoder":
                return text_json(read_text(opened))
            return unet_json(read_unet(opened)) if part == "unet" else vae_json(read_vae(opened))

    def files(self) -> Mapping[str, Path]:
        """The weights that are read, by the name under which the history lists them."""
        found: dict[str, Path] = {}
        for part in self.parts:
            for layout in self.checkpoint.sources[part].layouts:
                single = self.checkpoint.layout == "ldm"
                found[layout.path.name if single else f"{part}/{layout.path.name}"] = layout.path
        return found

    def scheduler(self) -> Json:
        """scheduler_config.json."""
        known = self.checkpoint.scheduler_config if self.noise is None else self.noise
        return known if known is not None else scheduler_json(self.checkpoint, self.prediction)

    def index(self, autoencoder: str) -> Json:
        """model_index.json. autoencoder: its class."""
        return {
            "_class_name": self.checkpoint.class_name or "StableDiffusionPipeline",
            **_INDEX,
            "scheduler": ["diffusers", self.scheduler().get("_class_name", "DDIMScheduler")],
            "vae": ["diffusers", autoencoder],
        }

    def licence_files(self) -> list[Path]:
        """Texts of the licence in its folder; a folder that holds many files says nothing of one of them."""
        if not self.path.is_dir():
            return []
        return sorted(path for path in self.path.glob("LICEN[CS]E*") if path.is_file())


def open_original(model: str | Path | Found) -> Original:
    """The model of that name, folder or file. Raises what finding and opening raise."""
    found = find(model)
    checkpoint = open_checkpoint(found.path, base=found.base)
    if missing := [part for part in STEMS if part not in checkpoint.parts]:
        checkpoint.config(missing[0])  # raises, and says what is missing
    licence = found.card.licence if found.card else _licence(found.path)
    prediction = found.card.prediction if found.card else None
    name = found.card.name if found.card else found.path.stem
    return Original(name, found.path, checkpoint, licence, prediction, found.card)


def refuse_quantized(stored: Stored) -> None:
    """Raise UnsupportedModel for a part that is stored in few bits already: quantizing comes last."""
    for tensor in stored.tensors.values():
        if tensor.dtype in ("I8", "U8") and tensor.name.endswith(".weight"):
            raise UnsupportedModel(
                tr("this model is stored in eight or four bits already"),
                tr("start from the model that it was made of: `nutshell inspect` names it; quantize last"),
            )


def _release(files: Iterable[MappedFile]) -> None:
    for file in files:
        file.release()


def _licence(path: Path) -> str:
    readme = path / "README.md"
    if not path.is_dir() or not readme.is_file():
        return "unknown"
    found = _LICENCE.search(readme.read_text(encoding="utf-8", errors="replace")[:4000])
    return found[1] if found else "unknown"


def _text_names(tensors: Mapping[str, Tensor], config: ClipTextConfig) -> dict[str, Tensor]:
    """As transformers names them, without layers at the end that the model never runs: folders cannot say so."""
    unused = tuple(f"encoder.layers.{config.layers - 1 - place}." for place in range(config.unused_layers))
    return {f"text_model.{name}": tensor for name, tensor in tensors.items() if not name.startswith(unused or ("\0",))}
