"""Student and teacher, and whether one can learn from the other."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nutshell.catalogue import ModelCard
from nutshell.compress.original import Original, refuse_quantized
from nutshell.errors import UnsupportedModel, UsageError
from nutshell.language import Text, tr
from nutshell.pipeline.facts import Facts, read_facts
from nutshell.sampling.diffusion import signal_table

# The same numbers in another stored type.
_TOLERANCE = 1e-2
_PARTS = {"text_encoder": tr("text encoder"), "vae": tr("autoencoder")}


@dataclass(frozen=True)
class Side:
    """One of the two."""

    original: Original
    facts: Facts


@dataclass(frozen=True)
class Pair:
    """latent: cells a side that the student will work at. native: whether the teacher was made for that size."""

    student: Side
    teacher: Side
    latent: int

    @property
    def native(self) -> bool:
        return self.latent == self.teacher.facts.unet.sample_size

    @property
    def pixels(self) -> int:
        """Of the new model's pictures, a side."""
        return self.latent * self.student.facts.vae.scale


def open_pair(student: Original, teacher: Original, latent: int | None, few: int) -> Pair:
    """Raises UnsupportedModel where the student cannot learn from that teacher, UsageError for wishes that clash."""
    with student.open("unet") as stored:
        refuse_quantized(stored)
    sides = Side(student, _facts(student)), Side(teacher, _facts(teacher))
    for side in sides:
        if side.facts.unet.guidance_width or side.facts.inpainting:
            raise UnsupportedModel(
                tr("{name} is an inpainting model, or was distilled with guidance; it cannot be distilled yet",
                   name=side.original.name),
                tr("Stable Diffusion 1.x and 2.x and their descendants can"),
            )  # fmt: skip
    _check_alike(*sides)
    pair = Pair(*sides, latent or sides[0].facts.unet.sample_size)
    least, most = 2 ** (pair.student.facts.unet.levels - 1), pair.teacher.facts.unet.sample_size
    if not least <= pair.latent <= most:
        raise UsageError(
            tr("the new model can work at {least} to {most} latent cells a side", least=least, most=most),
            tr("change --latent"),
        )
    if few and not pair.native:
        raise UsageError(
            tr("fewer steps and a smaller size are not learned at once"),
            tr("distil with --latent first, then once more with --steps, the result being its own teacher"),
        )
    return pair


def new_card(pair: Pair, few: int) -> ModelCard | None:
    """What a card would say of how to draw with the new model; None where nothing is known."""
    card = pair.student.original.card or pair.teacher.original.card
    if card is None:
        if not few:
            return None
        card = ModelCard(pair.student.original.name, "", pair.student.original.licence)
    card = replace(card, width=pair.pixels, height=pair.pixels)
    return replace(card, steps=few, guidance=1.0, sampler="ddim", schedule=None, spacing="trailing") if few else card


def _facts(original: Original) -> Facts:
    with original.checkpoint.open("vae") as vae:
        return read_facts(original.checkpoint, vae, original.name, original.card)


def _check_alike(student: Side, teacher: Side) -> None:
    """Both must read noise, captions and latents in the same way."""
    ours, theirs = student.facts.diffusion, teacher.facts.diffusion
    signal, other = signal_table(ours), signal_table(theirs)
    same = signal.shape == other.shape and np.allclose(signal, other, atol=1e-6)
    if ours.prediction != theirs.prediction or not same:
        raise UnsupportedModel(
            tr("{student} and {teacher} see noise differently", student=student.original.name,
               teacher=teacher.original.name),
            tr("the student must be made from the teacher: nutshell compress prune TEACHER"),
        )  # fmt: skip
    for part, said in _PARTS.items():
        if not _same_part(student.original, teacher.original, part):
            raise _differs(student, teacher, said)


def _same_part(one: Original, other: Original, part: str) -> bool:
    """Whether names and shapes agree, and the middle row of every tensor."""
    with one.checkpoint.open(part) as ours, other.checkpoint.open(part) as theirs:
        known = dict(zip(theirs.weights.names(), theirs.weights.tensors(), strict=True))
        if set(ours.weights.names()) != known.keys():
            return False
        for name, tensor in zip(ours.weights.names(), ours.weights.tensors(), strict=True):
            if tensor.shape != known[name].shape:
                return False
            if tensor.shape and tensor.size:
                middle = tensor.shape[0] // 2
                row, wanted = (stored.rows(middle, middle + 1).f32() for stored in (tensor, known[name]))
                if not np.allclose(row, wanted, rtol=_TOLERANCE, atol=_TOLERANCE * float(np.abs(wanted).max())):
                    return False
    return True


def _differs(student: Side, teacher: Side, part: Text) -> UnsupportedModel:
    return UnsupportedModel(
        tr("{student} and {teacher} have not the same {part}", student=student.original.name,
           teacher=teacher.original.name, part=part),
        tr("the student must be made from the teacher: nutshell compress prune TEACHER"),
    )  # fmt: skip
