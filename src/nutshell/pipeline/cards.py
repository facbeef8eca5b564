"""Where calibration cards lie: in the user's state folder by the model's hash, or beside the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nutshell.errors import NutshellError, UnsupportedModel
from nutshell.language import tr
from nutshell.plan.kept import state_folder
from nutshell.quantization import STORED_PART, CalibrationCard, fingerprint, joint, read_card
from nutshell.store.listing import CALIBRATION
from nutshell.weights import Checkpoint, Weights

FILE = CALIBRATION
FOLDER = "calibration"


@dataclass(frozen=True)
class FoundCard:
    """card: None where there is none that fits. problem: what is wrong with one that lies there."""

    card: CalibrationCard | None = None
    problem: NutshellError | None = None


def beside(model: Path) -> Path:
    """Where a card lies that comes with a model: in its folder, or next to its file."""
    return model / FILE if model.is_dir() else model.with_name(f"{model.stem}.{FILE}")


def kept_path(model_hash: str, state: Path | None = None) -> Path | None:
    """Where the user's own card of a model lies; None where there is no home folder. state: None for the user's."""
    folder = state or state_folder()
    return folder / FOLDER / f"{model_hash}.json" if folder is not None else None


def fingerprints(parts: Mapping[str, Weights]) -> dict[str, str]:
    """By stored part. parts: by that, or by `Network.part`; a part under several names is looked at once."""
    stored = {STORED_PART.get(name, name): weights for name, weights in parts.items()}
    return {name: fingerprint(weights) for name, weights in stored.items()}


def checkpoint_fingerprints(checkpoint: Checkpoint) -> dict[str, str]:
    """Of a model's own parts, whichever autoencoder is used in its stead."""
    found = {}
    for name in checkpoint.parts:
        with checkpoint.open(name) as part:
            found[name] = fingerprint(part.weights)
    return found


def find_card(model: Path, checkpoint: Checkpoint, state: Path | None = None) -> FoundCard:
    """The user's own card of the model at `model`, else the one beside it.

    A card that is broken or another model's is never used; the first such is told. Weights are looked at only where a
    card may be. state: None for the user's state folder.
    """
    folder = state or state_folder()
    own = folder is not None and any((folder / FOLDER).glob("*.json"))
    if not own and not beside(model).is_file():
        return FoundCard()
    prints = checkpoint_fingerprints(checkpoint)
    problem: NutshellError | None = None
    for path in _candidates(model, joint(prints), state):
        try:
            card = read_card(path)
            refuse_foreign(card, prints, path)
        except NutshellError as error:
            problem = problem or error
            continue
        return FoundCard(card)
    return FoundCard(problem=problem)


def refuse_foreign(card: CalibrationCard, prints: Mapping[str, str], origin: Path) -> None:
    """Raise UnsupportedModel unless a card was made for these weights. prints: by stored part."""
    for name, part in card.parts.items():
        if prints.get(STORED_PART.get(name, name)) != part.fingerprint:
            raise UnsupportedModel(
                tr(
                    "{origin} was made for another model ({model}): its {part} differs",
                    origin=origin,
                    model=card.model,
                    part=name,
                ),
                tr("calibrate this one: nutshell calibrate MODEL"),
            )


def _candidates(model: Path, model_hash: str, state: Path | None) -> Iterator[Path]:
    kept = kept_path(model_hash, state)
    for path in (kept, beside(model)):
        if path is not None and path.is_file():
            yield path
