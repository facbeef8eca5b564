"""Smaller and faster models: so far eight-bit linears and convolutions, by scales that are observed.

record: Record = {}
session = engine.compile(observed(network, record), weights)  # an engine that computes: "numpy" or "torch"
session(...)                                                  # run it over examples
small = quantized(network, scales_of(record))                 # compile this with any engine
"""

from nutshell.compress.histogram import Histogram
from nutshell.compress.int8 import Int8, delicate, quantized, scales_of
from nutshell.compress.observe import Observe, Record, Seen, observed
from nutshell.compress.scales import FULL_WEIGHT, SAFE_WEIGHT, Scale, Scales, clipped, int8_rows

__all__ = [
    "FULL_WEIGHT",
    "SAFE_WEIGHT",
    "Histogram",
    "Int8",
    "Observe",
    "Record",
    "Scale",
    "Scales",
    "Seen",
    "clipped",
    "delicate",
    "int8_rows",
    "observed",
    "quantized",
    "scales_of",
]
