"""Calibration cards for the models that are measured, made by `nutshell calibrate` as a user would."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.assemble import assemble
from bench.entries import Entry, Journal
from bench.models import SPECS, WORK, build
from bench.runs import BARE, CARDS, generate, nutshell, run
from nutshell.catalogue import cards
from nutshell.pipeline.cards import beside, find_card
from nutshell.store import find
from nutshell.weights import open_checkpoint

# Any picture is farther than this from float32 only by being another picture: all layers in eight bits, as a
# comparison of speed wants it. Of random weights no card promises more.
ALL_LAYERS = "1dB"


@dataclass(frozen=True)
class Calibration:
    """How much a card is made of. Scales hold at any size, so a small one does. steps: 0 for the model's own."""

    side: int
    steps: int
    pictures: int = 1


def folder_of(model: str, stored: str = "f16", vae: str = "tiny") -> Path:
    """A model with random weights, built; or one that Nutshell finds by its name or path, as a whole."""
    if model in SPECS:
        return build(SPECS[model], WORK / f"{model}-{stored}-{vae}", stored, vae)
    return assemble(find(model), WORK / model)


def name_of(model: str) -> str:
    """What `--model` is given: a built-in model's own name, else the folder."""
    return model if model in cards() and model not in SPECS else str(folder_of(model))


def usual_side(model: str) -> int:
    """Pixels: a built-in model's own, else those of the marks."""
    return cards()[model].width if model in cards() and model not in SPECS else 512


def ships_card(model: str) -> bool:
    """Whether a card comes with the model itself."""
    return beside(find(name_of(model)).path).is_file()


def calibrated(journal: Journal, model: str, how: Calibration, threads: int) -> Entry:
    """Two rows: a card made anew, and a picture in float32 of the same size, whose memory is the measure.

    The card stays where runs with `CARDS` for a home find it, unless the model comes with one.
    """
    size = ("--size", str(how.side), *(("--steps", str(how.steps)) if how.steps else ()))

    def plain(entry: Entry) -> None:
        with tempfile.TemporaryDirectory() as out:
            words = generate(name_of(model), Path(out, "picture.png"), threads, *size, "--precision", "f32")
            run(nutshell(*words), BARE).keep(entry)

    def calibrate(entry: Entry) -> None:
        # What a run that was stopped left would make this one shorter.
        for left in CARDS.rglob("*.work.npz"):
            left.unlink()
        with tempfile.TemporaryDirectory() as out:
            words = ["calibrate", name_of(model), "--pictures", str(how.pictures), "--threads", str(threads), *size]
            words += ["--output", f"{out}/card.json"] if ships_card(model) else []
            done = run(nutshell(*words, "--json"), CARDS)
        done.keep(entry, "calibrate_seconds")
        made = json.loads(done.line)
        curve = ", ".join(f"{point['kept']}: {point['db']:.1f}" for point in made["curve"])
        entry.words["made of"] = f"{how.pictures} picture(s) of {how.side} pixels"
        entry.words["layers"] = f"{made['layers']}; dB to f32 by layers kept: {curve}"

    journal.row(f"{model}: a picture in f32, {how.side} pixels", plain)
    return journal.row(f"{model}: calibrate", calibrate)


def has_card(model: str) -> bool:
    """Whether runs with `CARDS` for a home have a card to draw by."""
    found = find(name_of(model))
    checkpoint = open_checkpoint(found.path, base=found.base)
    return find_card(found.path, checkpoint, CARDS / "state").card is not None
