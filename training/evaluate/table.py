"""The table: categories down, models across."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.evaluate.contender import Contender
from training.evaluate.measure import Measured

MARKS = {"single object": "90%", "two objects": "75%", "colour": "80%", "wearing": "75%"}
"""What the model of a large GPU has to reach."""

SCENES = "scenes"
"""The column of real pictures: what the judge would give a faultless model."""

_ROW, _ASKED, _LEAST = 21, 7, 8


def as_table(columns: Mapping[str, Measured]) -> str:
    """Shares in percent by label, and the distance to real pictures, smaller for more alike."""
    first = next(iter(columns.values()))
    widths = {label: max(_LEAST, len(label) + 2) for label in columns}
    lines = [f"{'':<{_ROW}}{'asked':>{_ASKED}}{'mark':>{_ASKED}}" + "".join(f"{one:>{widths[one]}}" for one in columns)]
    for row, share in first.scores.items():
        values = "".join(f"{one.scores[row].percent:>{widths[label] - 1}.1f}%" for label, one in columns.items())
        lines.append(f"{row:<{_ROW}}{share.asked:>{_ASKED}}{MARKS.get(row, ''):>{_ASKED}}{values}")
    distances = "".join(f"{_distance(one.frechet):>{widths[label]}}" for label, one in columns.items())
    lines.append(f"{'Frechet distance':<{_ROW}}{'':>{2 * _ASKED}}{distances}")
    return "\n".join(lines)


def as_json(columns: Mapping[str, Measured], contenders: Mapping[str, Contender]) -> dict[str, Any]:
    """All of it by label, with the settings and the places of the prompts that went wrong."""
    return {
        label: {
            "settings": contenders[label].settings if label in contenders else {},
            "scores": {
                row: {"right": share.right, "asked": share.asked, "percent": round(share.percent, 2)}
                for row, share in one.scores.items()
            },
            "frechet_distance": None if one.frechet is None else round(one.frechet, 4),
            "wrong": list(one.wrong),
        }
        for label, one in columns.items()
    }


def _distance(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
