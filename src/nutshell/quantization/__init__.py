"""Eight bits: what a network's layers are given, the scales for it, the card that keeps them, and the networks by them.

record: Record = {}
session = engine.compile(observed(network, record), weights)  # an engine that computes: "numpy" or "torch"
session(...)                                                  # run it over examples
small = quantized(network, scales_of(record))                 # compile this with any engine

Only networks and weights are known here. `nutshell.compress` makes cards by running a whole model, and
`nutshell.pipeline` draws by them.
"""

from nutshell.quantization.attention import (
    AttentionScale,
    AttentionScales,
    AttentionSeen,
    attention_scales,
    with_int8_attention,
)
from nutshell.quantization.budget import DEFAULT_DB, CurvePoint, kept_layers
from nutshell.quantization.card import (
    HALVES,
    PARTS,
    STORED_PART,
    Allowed,
    CalibrationCard,
    CardLayer,
    CardPart,
    Made,
    card_from_json,
    keeping_order,
    read_card,
    scales_without,
)
from nutshell.quantization.fingerprint import fingerprint, joint
from nutshell.quantization.histogram import Histogram
from nutshell.quantization.int8 import After, Int8, delicate, quantized, scales_of
from nutshell.quantization.migrate import Migration, Migrations, migrated
from nutshell.quantization.norms import NormSeen
from nutshell.quantization.observe import Around, Observe, Record, Seen, observed
from nutshell.quantization.scales import FULL_WEIGHT, SAFE_WEIGHT, Scale, Scales, clipped, int8_rows
from nutshell.quantization.sense import Noise, Noises, decibels, sensed
from nutshell.quantization.smooth import LEAST_GAIN_DB, Smoothed, smoothed
from nutshell.quantization.weights_only import with_int8_linears

__all__ = [
    "DEFAULT_DB",
    "FULL_WEIGHT",
    "HALVES",
    "LEAST_GAIN_DB",
    "PARTS",
    "SAFE_WEIGHT",
    "STORED_PART",
    "After",
    "Allowed",
    "Around",
    "AttentionScale",
    "AttentionScales",
    "AttentionSeen",
    "CalibrationCard",
    "CardLayer",
    "CardPart",
    "CurvePoint",
    "Histogram",
    "Int8",
    "Made",
    "Migration",
    "Migrations",
    "Noise",
    "Noises",
    "NormSeen",
    "Observe",
    "Record",
    "Scale",
    "Scales",
    "Seen",
    "Smoothed",
    "attention_scales",
    "card_from_json",
    "clipped",
    "decibels",
    "delicate",
    "fingerprint",
    "int8_rows",
    "joint",
    "keeping_order",
    "kept_layers",
    "migrated",
    "observed",
    "quantized",
    "read_card",
    "scales_of",
    "scales_without",
    "sensed",
    "smoothed",
    "with_int8_attention",
    "with_int8_linears",
]
