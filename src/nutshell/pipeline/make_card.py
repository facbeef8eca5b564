"""A card for a checkpoint that lies on this machine, told from its headers; no weights are read."""

from __future__ import annotations

from pathlib import Path

from nutshell.catalogue import ModelCard
from nutshell.errors import ModelError, UnsupportedModel, UsageError
from nutshell.language import tr
from nutshell.networks.autoencoder_kl import AutoencoderKLConfig
from nutshell.pipeline.facts import read_facts, read_vae
from nutshell.pipeline.inspect_checkpoint import Description, describe_checkpoint
from nutshell.weights import open_checkpoint, open_part

LONGEST_NAME = 100
UNKNOWN_LICENCE = "unknown"
_FORBIDDEN = set('/\\<>:"|?*')
_ARCHITECTURES = {768: "sd1", 1024: "sd2"}  # by the width of the conditions


def make_card(
    path: Path, name: str = "", title: str = "", licence: str = "", prediction: str | None = None
) -> ModelCard:
    """The card of a model folder, a whole .safetensors model, or an autoencoder.

    name: "" for the file's own. Raises what opening raises (PickleRefused, CorruptFile, ModelNotFound,
    UnsupportedModel), UsageError for a name that cannot be one.
    """
    name = check_card_name(name or (path.stem if path.is_file() else path.resolve().name))
    described = describe_checkpoint(path) if not _is_part(path) else None
    title, licence = title or f"added from {path.name}", licence or UNKNOWN_LICENCE
    where = str(path.resolve())
    if described is None or described.layout == "other":
        card = _autoencoder(path, described)
        return card.replace(name=name, title=title, licence=licence, path=where)
    if described.layout == "embedding":
        raise UnsupportedModel(
            tr("{path} is a textual-inversion embedding, not a model", path=path),
            tr("use it with --embedding {path}", path=path),
        )
    if described.problem:
        raise UnsupportedModel(tr("{path} cannot run: {problem}", path=path, problem=described.problem), described.hint)
    checkpoint = open_checkpoint(path)
    with checkpoint.open("vae") as vae:
        facts = read_facts(checkpoint, vae, name, prediction=prediction)
    native = facts.defaults
    return ModelCard(
        name=name,
        title=title,
        licence=licence,
        architecture=_ARCHITECTURES.get(facts.unet.condition_width, ""),
        parameters={part.name: part.parameters for part in described.parts},
        path=where,
        width=native.width,
        height=native.height,
        steps=native.steps,
        guidance=native.guidance,
        sampler=native.sampler,
        prediction=prediction or checkpoint.prediction_hint().prediction,
    )


def check_card_name(name: str) -> str:
    """A name that can be a file's on any disk, and is no path and no flag. Raises UsageError."""
    bad = not name or len(name) > LONGEST_NAME or name[0] in ".- " or name[-1] in ". "
    if bad or any(char in _FORBIDDEN or not char.isprintable() for char in name):
        raise UsageError(
            tr("{name!r} cannot be a model's name", name=name[:60]), tr("choose one with --name, such as my-model")
        )
    return name


def _is_part(path: Path) -> bool:
    """Whether this is a folder of one component: config.json and no model_index.json."""
    return (path / "config.json").is_file() and not (path / "model_index.json").exists()


def _autoencoder(path: Path, described: Description | None) -> ModelCard:
    try:
        with open_part(path, "vae") as part:
            config = read_vae(part)
            parameters = sum(tensor.size for tensor in part.weights.tensors())
    except ModelError as error:
        if described is not None:
            # What the whole file is was said better than why it is no autoencoder.
            raise UnsupportedModel(described.problem, described.hint) from error
        raise
    tiny = not isinstance(config, AutoencoderKLConfig)
    return ModelCard(
        name="",
        title="",
        licence="",
        kind="autoencoder",
        architecture="tiny-autoencoder" if tiny else "autoencoder-kl",
        parameters={"vae": parameters},
    )
