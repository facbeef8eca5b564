"""The calibration card: everything that eight bits need to know of a model, in one small JSON file.

{"format": 2, "model": "artist", "made": {"prompts": "<sha256>", "pictures": 4, "width": 256, ...},
 "parts": {"unet": {"fingerprint": "<sha256>", "layers": {"conv_in": {"scale": 0.01, "zero_point": 3,
           "sensitivity_db": 41.2, "share": 0.02}, ...},
           "migrations": {"...norm1": {"linears": ["...to_q", ...], "steps": "<base64>"}, ...},
           "attention": {"...to_q": {"query": 0.04, "key": 0.05}, ...}}, ...},
 "curve": [{"kept": 0, "db": 33.1}, ...], "half": {"bf16": [{"kept": 0, "db": 32.4}, ...]}}

Format 1 had no migrations, no attention and no half.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from nutshell.errors import CorruptFile, os_reason
from nutshell.files import write_bytes
from nutshell.language import Text, tr
from nutshell.quantization.attention import AttentionScale, AttentionScales
from nutshell.quantization.budget import CurvePoint, fewest, kept_layers, least_db
from nutshell.quantization.fingerprint import joint
from nutshell.quantization.migrate import LARGEST_STEP, Migration, Migrations
from nutshell.quantization.scales import Scale, Scales

FORMAT = 2
_KNOWN_FORMATS = (1, FORMAT)
PARTS = ("text_encoder", "unet", "vae_decoder", "vae_encoder")
# Parts of the program that read the same stored part.
STORED_PART = {"vae_decoder": "vae", "vae_encoder": "vae"}
LARGEST_BYTES = 1_000_000
F32 = "f32"
HALVES = ("bf16", "f16")

_HEX_DIGITS = set("0123456789abcdef")
_AGAIN = tr("make it again: nutshell calibrate MODEL")


@dataclass(frozen=True)
class CardLayer:
    """One linear or convolution. scale: of its input. sensitivity_db: its own output in float32 over what eight bits
    change of it. share: of a picture's operations in the layers of the card, 0 to 1."""

    scale: Scale
    sensitivity_db: float
    share: float


@dataclass(frozen=True)
class CardPart:
    """fingerprint: of the weights it was made for. layers: by canonical name, in running order. migrations: with which
    their scales were found. attention: scales for who asks for attention in eight bits."""

    fingerprint: str
    layers: Mapping[str, CardLayer]
    migrations: Migrations = field(default_factory=dict)
    attention: AttentionScales = field(default_factory=dict)


@dataclass(frozen=True)
class Made:
    """How a card was made. prompts: their SHA-256. pictures: drawn and watched. width, height, steps, guidance: of
    them. compared: how many of them the curve rests on. engine: the one in which eight bits were measured."""

    prompts: str
    pictures: int
    width: int
    height: int
    steps: int
    guidance: float
    compared: int
    engine: str


Curve = tuple[CurvePoint, ...]


@dataclass(frozen=True)
class Allowed:
    """kept: so many layers are left alone. beside: what these, and all that is no layer, are computed in. db: what was
    measured so."""

    kept: int
    beside: str
    db: float


@dataclass(frozen=True)
class CalibrationCard:
    """model: its name. parts: by `Network.part`, in running order. curve: measured end to end, kept ascending, with
    float32 beside the eight bits; half: with half precision beside them, by its name, where it could be measured."""

    model: str
    made: Made
    parts: Mapping[str, CardPart]
    curve: Curve
    half: Mapping[str, Curve] = field(default_factory=dict)

    @property
    def model_hash(self) -> str:
        """Of the weights of all parts together."""
        return joint({STORED_PART.get(name, name): part.fingerprint for name, part in self.parts.items()})

    @property
    def best_db(self) -> float:
        """The nearest to float32 that was measured."""
        return max(point.db for point in self.curve)

    def allowed(self, budget: float, halves: Sequence[str] = ()) -> Allowed | None:
        """What a budget, as `kept_layers` takes it, allows; None if nothing does.

        halves: half precisions that the machine computes in, best first. One is taken only where it was measured and
        the pictures were near enough with it; else float32 is, for a budget counts everything that is lost.
        """
        least = least_db(self.curve, budget)
        for beside, curve in (*((name, self.half.get(name, ())) for name in halves), (F32, self.curve)):
            kept = fewest(curve, least)
            if kept is not None:
                return Allowed(kept, beside, next(point.db for point in curve if point.kept == kept))
        return None

    def within(self, budget: float) -> dict[str, Scales] | None:
        """The scales of every part's layers in eight bits, for a budget as `kept_layers` takes it; None if none is."""
        kept = kept_layers(self.curve, budget)
        return None if kept is None else self.without(kept)

    def without(self, kept: int) -> dict[str, Scales]:
        """The scales of every part, less the `kept` layers that are best left alone."""
        return scales_without(self.parts, kept)

    def to_json(self) -> bytes:
        table = {
            "format": FORMAT,
            "model": self.model,
            "hash": self.model_hash,
            "made": asdict(self.made),
            "parts": {name: _part_table(part) for name, part in self.parts.items()},
            "curve": [asdict(point) for point in self.curve],
            "half": {name: [asdict(point) for point in curve] for name, curve in self.half.items()},
        }
        return (json.dumps(table, indent=1, ensure_ascii=False) + "\n").encode()

    def write(self, path: Path) -> None:
        """Write it whole or not at all. Raises OutputError."""
        write_bytes(path, self.to_json())


def keeping_order(parts: Mapping[str, CardPart]) -> list[tuple[str, str]]:
    """(part, layer), first those to leave alone: which lose most for each operation that eight bits would save."""

    def loss(entry: tuple[str, str]) -> float:
        layer = parts[entry[0]].layers[entry[1]]
        return float(10 ** (-layer.sensitivity_db / 10) / max(layer.share, 1e-12))

    # Sorting is stable: layers that lose as much stay in running order, on every machine.
    return sorted(((name, layer) for name, part in parts.items() for layer in part.layers), key=loss, reverse=True)


def scales_without(parts: Mapping[str, CardPart], kept: int) -> dict[str, Scales]:
    """By part, the scales of all layers but the first `kept` of `keeping_order`."""
    alone = set(keeping_order(parts)[:kept])
    return {
        name: {layer: row.scale for layer, row in part.layers.items() if (name, layer) not in alone}
        for name, part in parts.items()
    }


def read_card(path: Path) -> CalibrationCard:
    """Read and check a card. Raises CorruptFile that names the file and what is wrong in it."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(LARGEST_BYTES + 1)
    except OSError as error:
        reason = os_reason(error)
        raise CorruptFile(tr("{path} cannot be read: {reason}", path=path, reason=reason), _AGAIN) from error
    if len(raw) > LARGEST_BYTES:
        raise _broken(path, tr("it is larger than any card"))
    return card_from_json(raw, str(path))


def card_from_json(raw: bytes, origin: str) -> CalibrationCard:
    """Check everything; a card may come with a model from anywhere. Raises CorruptFile naming `origin`."""
    try:
        table = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise _broken(origin, tr("it is not JSON")) from error
    try:
        if table["format"] not in _KNOWN_FORMATS:
            raise CorruptFile(
                tr(
                    "{origin} is of format {format!r}, not {known}", origin=origin, format=table["format"], known=FORMAT
                ),
                tr("update nutshell, or make it again: nutshell calibrate MODEL"),
            )
        card = _card(table)
        if table["hash"] != card.model_hash:
            raise ValueError("hash does not match its parts")
    except CorruptFile:
        raise
    except KeyError as error:
        raise _broken(origin, tr("it lacks {what}", what=str(error))) from error
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise _broken(origin, tr("something in it is not as it must be: {error}", error=str(error))) from error
    return card


def _card(table: Any) -> CalibrationCard:
    parts = {str(name): _part(entry) for name, entry in table["parts"].items()}
    if not parts or not parts.keys() <= set(PARTS):
        raise ValueError("unknown parts")
    layers = sum(len(part.layers) for part in parts.values())
    curve = _curve(table["curve"], layers)
    half = {name: _curve(rows, layers) for name, rows in table.get("half", {}).items()}
    if not half.keys() <= set(HALVES):
        raise ValueError("unknown half precision")
    made = table["made"]
    counts = {key: _whole(made[key], 1 << 31) for key in ("pictures", "width", "height", "steps", "compared")}
    engine, guidance = _word(made["engine"]), _number(made["guidance"])
    return CalibrationCard(
        _word(table["model"]),
        Made(_hash(made["prompts"]), guidance=guidance, engine=engine, **counts),
        parts,
        curve,
        half,
    )


def _curve(rows: Any, layers: int) -> Curve:
    curve = tuple(CurvePoint(_whole(row["kept"], layers), _number(row["db"])) for row in rows)
    if not curve or any(left.kept >= right.kept for left, right in pairwise(curve)):
        raise ValueError("its curve does not ascend")
    return curve


def _part(table: Any) -> CardPart:
    layers = {_word(name): _layer(row) for name, row in table["layers"].items()}
    migrations = {_word(name): _migration(row) for name, row in table.get("migrations", {}).items()}
    attention = {_word(name): _attention(row) for name, row in table.get("attention", {}).items()}
    return CardPart(_hash(table["fingerprint"]), layers, migrations, attention)


def _layer(row: Any) -> CardLayer:
    share = _number(row["share"])
    if not 0 <= share <= 1:
        raise ValueError("a share is not between 0 and 1")
    scale = Scale(_single(row["scale"]), _whole(row["zero_point"], 255))
    return CardLayer(scale, _number(row["sensitivity_db"]), share)


def _migration(row: Any) -> Migration:
    steps = np.frombuffer(base64.b64decode(row["steps"], validate=True), np.int8)
    linears = tuple(_word(name) for name in row["linears"])
    if not linears or not len(steps) or int(np.abs(steps.astype(int)).max()) > LARGEST_STEP:
        raise ValueError("a migration has no linears, no steps, or one that is too large")
    return Migration(linears, tuple(map(int, steps)))


def _attention(row: Any) -> AttentionScale:
    return AttentionScale(Scale(_single(row["query"]), 128), Scale(_single(row["key"]), 128))


def _single(value: Any) -> float:
    scale = _number(value)
    if not 0 < scale <= float(np.finfo(np.float32).max) or float(np.float32(scale)) != scale:
        raise ValueError("a scale is no positive number in single precision")
    return scale


def _part_table(part: CardPart) -> dict[str, Any]:
    rows = {
        name: {
            "scale": layer.scale.scale,
            "zero_point": layer.scale.zero_point,
            "sensitivity_db": layer.sensitivity_db,
            "share": layer.share,
        }
        for name, layer in part.layers.items()
    }
    migrations = {
        name: {
            "linears": list(moved.linears),
            "steps": base64.b64encode(np.array(moved.steps, np.int8).tobytes()).decode(),
        }
        for name, moved in part.migrations.items()
    }
    attention = {name: {"query": scale.query.scale, "key": scale.key.scale} for name, scale in part.attention.items()}
    return {"fingerprint": part.fingerprint, "layers": rows, "migrations": migrations, "attention": attention}


def _whole(value: Any, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"{value!r} is no whole number from 0 to {most}")
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return float(value)


def _word(value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError("a name is missing or no text")
    return value


def _hash(value: Any) -> str:
    if not isinstance(value, str) or len(value) != 64 or not set(value) <= _HEX_DIGITS:
        raise ValueError(f"{str(value)[:70]!r} is no SHA-256")
    return value


def _broken(origin: object, why: Text) -> CorruptFile:
    return CorruptFile(tr("{origin} is no calibration card: {why}", origin=origin, why=why), _AGAIN)
