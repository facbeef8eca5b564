"""What a model file or folder holds, told from its headers alone; no weights are read."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nutshell.errors import NO_HINT, NutshellError, Shape, UnsupportedModel
from nutshell.language import Text, join, tr
from nutshell.networks.autoencoder_kl import AutoencoderKLConfig
from nutshell.pipeline.cards import find_card
from nutshell.pipeline.facts import read_text, read_unet, read_vae
from nutshell.weights import Checkpoint, Part, load_embedding, open_checkpoint, read_layout

MOST_METADATA = 200  # characters of one value
NO_PROBLEM = Text("")
_FAMILIES = {"sd1": "Stable Diffusion 1.x", "sd2": "Stable Diffusion 2.x"}
_FAMILIES_BY_WIDTH = {768: "Stable Diffusion 1.x", 1024: "Stable Diffusion 2.x"}


@dataclass(frozen=True)
class PartDescription:
    """One part. architecture: its network and the sizes that name it, a sentence. dtypes: stored type -> parameters."""

    name: str
    architecture: Text
    parameters: int
    dtypes: Mapping[str, int]
    file_bytes: int


@dataclass(frozen=True)
class Description:
    """layout: "diffusers", "ldm", "embedding" or "other". disk_bytes: of everything at `path`.

    facts: further rows to show, name -> value, such as the prediction type where the files say it; values are Text,
    or what stands in the files.
    problem: why it cannot run here, "" if it can.
    """

    path: Path
    layout: str
    parts: tuple[PartDescription, ...] = ()
    disk_bytes: int = 0
    facts: Mapping[Text, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    problem: Text = NO_PROBLEM
    hint: Text = NO_HINT

    @property
    def parameters(self) -> int:
        return sum(part.parameters for part in self.parts)


def describe_checkpoint(path: Path, base: Path | None = None) -> Description:
    """Describe a model folder, a whole .safetensors model, an embedding, or any other safetensors file.

    base: the folder of the model whose parts it shares.
    Raises ModelNotFound, CorruptFile or PickleRefused as opening does; a model that cannot run is described.
    """
    try:
        checkpoint = open_checkpoint(path, base=base)
    except UnsupportedModel as error:
        if path.is_dir():
            raise
        return _describe_other(path, error)
    described = [_describe_part(checkpoint, name) for name in checkpoint.parts]
    problem = next((problem for _, problem in described if problem), None)
    return Description(
        path,
        checkpoint.layout,
        tuple(part for part, _ in described),
        disk_bytes(path),
        _facts(checkpoint) | _card_facts(path, checkpoint),
        _shortened(checkpoint.metadata),
        problem=problem.message if problem else NO_PROBLEM,
        hint=problem.hint if problem else NO_HINT,
    )


def _describe_part(checkpoint: Checkpoint, name: str) -> tuple[PartDescription, NutshellError | None]:
    with checkpoint.open(name) as part:
        counts = _count((tensor.kind, tensor.shape) for tensor in part.weights.tensors())
        problem: NutshellError | None = None
        try:
            architecture = _ARCHITECTURES[name](part)
        except NutshellError as error:
            architecture, problem = tr("unknown"), error
        return PartDescription(name, architecture, sum(counts.values()), counts, part.file_bytes), problem


def _text_encoder(part: Part) -> Text:
    text = read_text(part)
    return tr(
        "CLIP text encoder, {layers} layers, width {width}, {tokens} tokens",
        layers=text.layers,
        width=text.width,
        tokens=text.vocabulary,
    )


def _unet(part: Part) -> Text:
    unet = read_unet(part)
    sizes = tr(
        "UNet, channels {channels}, condition width {width}, {inputs} inputs",
        channels="-".join(map(str, unet.channels)),
        width=unet.condition_width,
        inputs=unet.in_channels,
    )
    return join(", ", (sizes, tr("guidance embedding (distilled)"))) if unet.guidance_width else sizes


def _vae(part: Part) -> Text:
    vae = read_vae(part)
    return tr(
        "{kind}, {channels} latent channels, one latent for {scale}x{scale} pixels",
        kind="AutoencoderKL" if isinstance(vae, AutoencoderKLConfig) else tr("tiny autoencoder"),
        channels=vae.latent_channels,
        scale=vae.scale,
    )


_ARCHITECTURES: dict[str, Callable[[Part], Text]] = {"text_encoder": _text_encoder, "unet": _unet, "vae": _vae}


def _describe_other(path: Path, error: NutshellError) -> Description:
    """Something that is no whole model: an embedding is usable, the rest is shown with the reason."""
    layout = read_layout(path)
    counts = _count((entry.dtype, entry.shape) for entry in layout.entries.values())
    whole = PartDescription(
        "file",
        tr("{count} tensors", count=len(layout.entries)),
        sum(counts.values()),
        counts,
        layout.size - layout.data_start,
    )
    problem, hint = error.message, error.hint
    described = Description(
        path, "other", (whole,), layout.size, metadata=_shortened(layout.metadata), problem=problem, hint=hint
    )
    try:
        embedding = load_embedding(path)
    except NutshellError:
        return described
    facts = {
        tr("called by"): embedding.name,
        tr("vectors"): str(len(embedding.vectors)),
        tr("width"): str(embedding.width),
    }
    if embedding.width in _FAMILIES_BY_WIDTH:
        facts[tr("made for")] = _FAMILIES_BY_WIDTH[embedding.width]
    return Description(path, "embedding", (whole,), layout.size, facts, _shortened(layout.metadata))


def _facts(checkpoint: Checkpoint) -> dict[Text, str]:
    """What the files say for certain about the model as a whole."""
    hint = checkpoint.prediction_hint()
    facts: dict[Text, str] = {}
    if checkpoint.base:
        facts[tr("other parts in")] = str(checkpoint.base)
    if checkpoint.class_name:
        facts[tr("pipeline")] = checkpoint.class_name
    if hint.family:
        facts[tr("family")] = _FAMILIES[hint.family]
    if hint.architecture:
        facts[tr("architecture")] = hint.architecture
    facts[tr("prediction type")] = hint.prediction or tr("not stated")
    if hint.zero_terminal_snr is not None:
        facts[tr("zero terminal SNR")] = tr("yes") if hint.zero_terminal_snr else tr("no")
    if hint.resolution:
        facts[tr("resolution")] = "x".join(map(str, hint.resolution))
    scheduler = (checkpoint.scheduler_config or {}).get("_class_name")
    if isinstance(scheduler, str):
        facts[tr("scheduler")] = scheduler
    if hint.reasons:
        facts[tr("told from")] = join(", ", hint.reasons)
    return facts


def _card_facts(path: Path, checkpoint: Checkpoint) -> dict[Text, str]:
    """Of the calibration card, if there is one that fits: this looks at a page of every weight."""
    card = find_card(path, checkpoint).card
    if card is None:
        return {}
    return {tr("in eight bits"): tr("{best} dB to float32 at best", best=f"{card.best_db:.1f}")}


def disk_bytes(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _count(tensors: Iterable[tuple[str, Shape]]) -> dict[str, int]:
    """Stored type -> numbers stored in it, most first."""
    counts: Counter[str] = Counter()
    for dtype, shape in tensors:
        counts[dtype] += math.prod(shape)
    return dict(counts.most_common())


def _shortened(metadata: Mapping[str, str]) -> dict[str, str]:
    # Trainers leave pages of JSON, and thumbnails, in there.
    return {key: value if len(value) <= MOST_METADATA else _start(value) for key, value in metadata.items()}


def _start(value: str) -> Text:
    return tr("{start}... ({count} characters)", start=value[:MOST_METADATA], count=len(value))
