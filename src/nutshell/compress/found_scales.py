"""What was seen of a whole model, turned into scales: of every layer, of norms that are evened out, of attention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nutshell.compress.work import Work
from nutshell.quantization import (
    PARTS,
    Around,
    AttentionScales,
    Migration,
    Migrations,
    Scale,
    Scales,
    attention_scales,
    scales_of,
    smoothed,
)
from nutshell.quantization.wrap import layer_names
from nutshell.weights import Part, Weights

# Only there attention is asked for in eight bits.
_ATTENDS = "unet"


@dataclass(frozen=True)
class PartScales:
    """Of one part. scales: of its layers, with `migrations` made."""

    scales: Scales
    migrations: Migrations = field(default_factory=dict)
    attention: AttentionScales = field(default_factory=dict)


def find_scales(work: Work, parts: Mapping[str, Part]) -> dict[str, PartScales]:
    """By part, in running order. parts: whose weights are read, one linear at a time."""
    found = {}
    for name in PARTS:
        if name not in work.records:
            continue
        around, scales = work.around.get(name, Around()), scales_of(work.records[name])
        moved, better = _smoothed(around, scales, parts[name].weights)
        attention = attention_scales(around.attention) if name == _ATTENDS else {}
        found[name] = PartScales({**scales, **better}, moved, attention)
        parts[name].release()
    return found


def _smoothed(around: Around, scales: Scales, weights: Weights) -> tuple[dict[str, Migration], dict[str, Scale]]:
    """The migrations that gain enough, and the scales of the linears behind these norms."""
    tensors = {name: tensor for tensor, name in layer_names(weights).items()}
    moved: dict[str, Migration] = {}
    better: dict[str, Scale] = {}
    for norm, seen in around.norms.items():
        found = smoothed(seen, tensors, scales)
        if found is not None:
            moved[norm] = found.migration
            better |= {name: found.scale for name in found.migration.linears if name in scales}
    return moved, better
