"""What the files themselves say for certain about a model: never a guess.

A diffusers folder states the prediction type in its scheduler's configuration. A single file may carry
`modelspec.*` metadata (https://github.com/Stability-AI/ModelSpec) or the marks that community trainers
leave: an empty tensor called `v_pred`, and `ztsnr` for a schedule that ends in pure noise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nutshell.language import tr
from nutshell.weights.ldm import OPEN_CLIP

Prediction = Literal["epsilon", "v_prediction", "sample"]

MARKS = frozenset({"v_pred", "ztsnr"})
_PREDICTIONS: dict[str, Prediction] = {
    "epsilon": "epsilon",
    "eps": "epsilon",
    "v": "v_prediction",
    "v_prediction": "v_prediction",
    "v-prediction": "v_prediction",
    "sample": "sample",
}
_SIZE = re.compile(r"(\d{2,5})(?:\s*x\s*(\d{2,5}))?")


@dataclass(frozen=True)
class PredictionHint:
    """None where the files do not say.

    family: "sd1" or "sd2". resolution: (width, height) in pixels. zero_terminal_snr: the schedule's last
    step is pure noise. architecture: as the metadata spells it. reasons: where each fact came from.
    """

    prediction: Prediction | None = None
    family: Literal["sd1", "sd2"] | None = None
    zero_terminal_snr: bool | None = None
    resolution: tuple[int, int] | None = None
    architecture: str | None = None
    reasons: tuple[str, ...] = ()


def hint_from_scheduler(config: Mapping[str, Any]) -> PredictionHint:
    """From a diffusers scheduler_config.json, whose default prediction is epsilon where it says nothing."""
    stated = config.get("prediction_type", "epsilon")
    prediction = _PREDICTIONS.get(stated) if isinstance(stated, str) else None
    zero = config.get("rescale_betas_zero_snr")
    return PredictionHint(
        prediction=prediction,
        zero_terminal_snr=zero if isinstance(zero, bool) else None,
        reasons=("scheduler_config.json",),
    )


def hint_from_file(metadata: Mapping[str, str], marks: frozenset[str], text_names: frozenset[str]) -> PredictionHint:
    """From a single file's metadata, its marks, and the names of its text encoder's tensors."""
    reasons: list[str] = []
    prediction = _PREDICTIONS.get(metadata.get("modelspec.prediction_type", "").strip().lower())
    if prediction:
        reasons.append("modelspec.prediction_type")
    # A mark is made by whoever trained the model; metadata is often copied along in a merge.
    if "v_pred" in marks:
        prediction = "v_prediction"
        reasons.append(tr("the mark {name}", name="v_pred"))
    if "ztsnr" in marks:
        reasons.append(tr("the mark {name}", name="ztsnr"))
    family: Literal["sd1", "sd2"] | None = None
    if text_names:
        family = "sd2" if any(name.startswith(OPEN_CLIP) for name in text_names) else "sd1"
        reasons.append(tr("OpenCLIP text encoder") if family == "sd2" else tr("CLIP text encoder"))
    size = _SIZE.fullmatch(metadata.get("modelspec.resolution", "").strip().lower())
    if size:
        reasons.append("modelspec.resolution")
    return PredictionHint(
        prediction=prediction,
        family=family,
        zero_terminal_snr=True if "ztsnr" in marks else None,
        resolution=(int(size[1]), int(size[2] or size[1])) if size else None,
        architecture=metadata.get("modelspec.architecture"),
        reasons=tuple(reasons),
    )
