"""One part that lies by itself: an autoencoder to use in place of a model's own."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from nutshell.errors import ModelNotFound, UnsupportedModel
from nutshell.language import tr
from nutshell.weights.canonical import Tensors, canonical
from nutshell.weights.checkpoint import Part, Source
from nutshell.weights.folder import part_layouts, read_json
from nutshell.weights.ldm import from_ldm, part_names
from nutshell.weights.safetensors import read_layout

_VAE_PREFIX = "first_stage_model."


def open_part(path: Path, part: str = "vae") -> Part:
    """Open a component: its own diffusers folder, a model folder that holds it, or a single file.

    A single file may name its tensors as diffusers or as latent-diffusion does, with or without the
    prefix that they have in a whole checkpoint. Only the autoencoder (`part` "vae") is known in single files.
    """
    if not path.exists():
        raise ModelNotFound(tr("there is no file or folder {path}", path=path), tr("check the path"))
    if path.is_dir():
        folder = path if (path / "config.json").exists() else path / part
        if not (folder / "config.json").exists():
            raise ModelNotFound(
                tr("{path} holds no {part}", path=path, part=part), tr("name the folder that has its config.json")
            )
        return Part(part, Source(part_layouts(folder), partial(canonical, part), read_json(folder / "config.json")))
    layout = read_layout(path)
    if any(name.startswith(_VAE_PREFIX) for name in layout.entries):
        return Part(part, Source((layout.only(part_names(layout.entries)[part]),), partial(from_ldm, part)))
    if any(name.startswith(("encoder.down.", "decoder.up.")) for name in layout.entries):
        return Part(part, Source((layout,), _prefixless_ldm))
    if any(name.startswith(("encoder.down_blocks.", "decoder.layers.")) for name in layout.entries):
        return Part(part, Source((layout,), partial(canonical, part)))
    raise UnsupportedModel(
        tr("{path} is no autoencoder that this version knows", path=path),
        tr("use one of the kinds AutoencoderKL or TAESD"),
    )


def _prefixless_ldm(stored: Tensors) -> Tensors:
    # Checkpoints of the autoencoder alone also hold what trained it.
    kept = {name: tensor for name, tensor in stored.items() if not name.startswith(("loss.", "model_ema."))}
    return from_ldm("vae", {_VAE_PREFIX + name: tensor for name, tensor in kept.items()})
