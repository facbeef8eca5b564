"""A checkpoint on disk, whatever its layout: which parts it has, and each part's weights by canonical name.

    checkpoint = open_checkpoint(path)
    with checkpoint.open("unet") as part:
        predict = build(part.weights, part.config)

Opening a checkpoint reads headers and configurations only. Each `open` maps its files anew, so that one
part can be freed while another stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal

from nutshell.errors import ModelError, ModelNotFound, UnsupportedModel
from nutshell.language import join, tr
from nutshell.weights.canonical import Tensors, canonical
from nutshell.weights.folder import Json, has_variant, part_layouts, read_json, read_optional_json
from nutshell.weights.header import shown
from nutshell.weights.hints import MARKS, PredictionHint, hint_from_file, hint_from_scheduler
from nutshell.weights.kinds import refuse_foreign_config, refuse_foreign_file, refuse_foreign_pipeline
from nutshell.weights.ldm import from_ldm, part_names
from nutshell.weights.quantized import with_quantized
from nutshell.weights.safetensors import Layout, MappedFile, read_layout
from nutshell.weights.scope import Weights

PARTS = ("text_encoder", "unet", "vae")


@dataclass(frozen=True)
class Source:
    """Where one part lies and how its tensors get canonical names."""

    layouts: tuple[Layout, ...]
    rename: Callable[[Tensors], Tensors]
    config: Json | None = None


class Part:
    """One open part. `weights`: by canonical name. `config`: its config.json, None from a single file."""

    def __init__(self, name: str, source: Source) -> None:
        self.name = name
        self.config = source.config
        self._files = [MappedFile(layout) for layout in source.layouts]
        stored: Tensors = {}
        for file in self._files:
            stored.update(file.tensors)
        tensors = source.rename(with_quantized(stored))
        self.weights = Weights(tensors, part=name)
        # Bytes that this part's tensors take in the file or files.
        self.file_bytes = sum(tensor.nbytes for tensor in tensors.values())

    def release(self) -> None:
        """Drop the pages read so far from memory; they are read again when touched."""
        for file in self._files:
            file.release()

    def close(self) -> None:
        """Unmap the files (or as soon as the last array that points into them is gone)."""
        for file in self._files:
            file.close()

    def __enter__(self) -> Part:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Checkpoint:
    """What lies at `path`. `class_name`: the pipeline a diffusers folder names, None for a single file.

    base: the model folder from which the parts come that `path` shares with it; None if it shares none.
    """

    path: Path
    layout: Literal["diffusers", "ldm"]
    sources: Mapping[str, Source] = field(repr=False)
    class_name: str | None = None
    tokenizer_folder: Path | None = None
    scheduler_config: Json | None = field(default=None, repr=False)
    # Of a single file: the names in it that are marks rather than weights, and its header's metadata.
    marks: frozenset[str] = field(default=frozenset(), repr=False)
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)
    base: Path | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts it holds, among PARTS and in that order."""
        return tuple(part for part in PARTS if part in self.sources)

    def config(self, part: str) -> Json | None:
        """The parsed config.json of a part; None from a single file."""
        return self._source(part).config

    def open(self, part: str) -> Part:
        """Map a part's files."""
        return Part(part, self._source(part))

    def prediction_hint(self) -> PredictionHint:
        """What the files say for certain about the model's family and what it predicts."""
        if self.scheduler_config is not None:
            return hint_from_scheduler(self.scheduler_config)
        return hint_from_file(self.metadata, self.marks, self._text_layers())

    def _text_layers(self) -> frozenset[str]:
        if self.layout == "diffusers" or "text_encoder" not in self.sources:
            return frozenset()
        return frozenset(self.sources["text_encoder"].layouts[0].entries)

    def _source(self, part: str) -> Source:
        if part not in self.sources:
            raise self._incomplete()
        return self.sources[part]

    def _incomplete(self) -> ModelError:
        missing = [part for part in PARTS if part not in self.sources]
        hint = tr("name a model that is complete")
        if self.layout == "diffusers":
            # Such a folder may be one half of a model that shares parts with another.
            hint = tr(
                "name a model that is complete, or add the rest, tokenizer/ and scheduler/ too, from the model that "
                "these parts belong to"
            )
        return ModelNotFound(
            tr(
                "{path} holds no {missing}, only {parts}",
                path=self.path,
                missing=join(" and no ", missing),
                parts=", ".join(self.parts),
            ),
            hint,
        )


def open_checkpoint(path: Path, variant: str | None = None, base: Path | None = None) -> Checkpoint:
    """Look at a diffusers folder or a single .safetensors file.

    variant: of a folder's weights, such as "fp16"; by default the plain files, else half precision.
    base: a model folder that gives what is not in the folder `path`: parts, tokenizer, scheduler.
    """
    if not path.exists():
        raise ModelNotFound(tr("there is no file or folder {path}", path=path), hint=tr("check the path"))
    if not path.is_dir():
        return _open_file(path)
    own = _open_folder(path, variant)
    return own if base is None else _completed(own, base)


def _completed(own: Checkpoint, base: Path) -> Checkpoint:
    """`own` with the parts that it lacks from the folder `base`."""
    if not base.is_dir():
        raise ModelNotFound(
            tr("there is no folder {base}, which holds what {path} shares with it", base=base, path=own.path),
            hint=tr("install the program again"),
        )
    rest = _open_folder(base, None, without=own.parts)
    return replace(
        own,
        sources={**rest.sources, **own.sources},
        class_name=own.class_name or rest.class_name,
        tokenizer_folder=own.tokenizer_folder or rest.tokenizer_folder,
        scheduler_config=own.scheduler_config or rest.scheduler_config,
        base=base,
    )


def _open_folder(path: Path, variant: str | None, without: Sequence[str] = ()) -> Checkpoint:
    """without: parts that are not looked at."""
    index = read_optional_json(path / "model_index.json")
    present = [part for part in PARTS if (path / part).is_dir()]
    if index is None and "unet" not in present:
        raise _not_a_model_folder(path)
    index = index or {}
    class_name = index.get("_class_name")
    refuse_foreign_pipeline(path, class_name)
    # A part that the index sets to null is left out on purpose.
    named = [part for part in PARTS if part not in without and index.get(part, True) not in (None, [None, None])]
    lost = [part for part in named if part in index and part not in present]
    if lost:
        raise ModelNotFound(
            tr("{path} lacks its folder {lost}", path=path, lost=lost[0]),
            hint=tr("the download is incomplete: resume it"),
        )
    wanted = [part for part in named if part in present]
    if variant is not None and not any(has_variant(path / part, variant) for part in wanted):
        raise ModelNotFound(
            tr("{path} holds no weights of the variant {variant}", path=path, variant=shown(variant)),
            hint=tr("leave the variant out"),
        )
    sources: dict[str, Source] = {}
    for part in wanted:
        config = read_json(path / part / "config.json")
        refuse_foreign_config(path, part, config)
        sources[part] = Source(part_layouts(path / part, variant), partial(canonical, part), config)
    tokenizer = path / "tokenizer"
    return Checkpoint(
        path,
        "diffusers",
        sources,
        class_name,
        tokenizer if tokenizer.is_dir() else None,
        read_optional_json(path / "scheduler" / "scheduler_config.json"),
    )


def _open_file(path: Path) -> Checkpoint:
    layout = read_layout(path)
    refuse_foreign_file(path, {name: entry.shape for name, entry in layout.entries.items()})
    sources = {
        part: Source((layout.only(names),), partial(from_ldm, part))
        for part, names in part_names(layout.entries).items()
    }
    return Checkpoint(path, "ldm", sources, marks=frozenset(layout.entries.keys() & MARKS), metadata=layout.metadata)


def _not_a_model_folder(path: Path) -> ModelError:
    """Why a folder without model_index.json and without a UNet is no model."""
    if (path / "config.json").exists():
        config = read_json(path / "config.json")
        what = config.get("_class_name") or config.get("architectures") or "of unknown kind"
        return UnsupportedModel(
            tr("{path} holds one component ({what}), not a whole model", path=path, what=shown(str(what))),
            hint=tr("name the folder above, the one with model_index.json"),
        )
    files = sorted(file.name for file in path.glob("*.safetensors"))
    if files:
        return ModelNotFound(
            tr("{path} is a folder of several files, not one model", path=path),
            hint=tr("name one of its files, such as {file}", file=files[0]),
        )
    return ModelNotFound(
        tr("{path} is not a model folder: it has no model_index.json", path=path), hint=tr("check the path")
    )
