"""A model in eight bits: its networks are watched over a few prompts in float32, and then run by what was seen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import nutshell
from nutshell.networks.ops import Network
from nutshell.pipeline import Model
from nutshell.quantization import FULL_WEIGHT, SAFE_WEIGHT, Record, Scales, observed, quantized, scales_of
from training.evaluate.contender import Contender
from training.evaluate.sheet import load_sheet

OBSERVING_ENGINE = "torch"
PROCESSOR = Path("/proc/cpuinfo")

Rewrite = Callable[[Network], Network]


def examples() -> list[str]:
    """Thirteen prompts in both languages, every fifth of the sheet's: what is measured is not among them."""
    return load_sheet()[::5]


def observe(contender: Contender, prompts: Sequence[str]) -> dict[str, Scales]:
    """Draw the prompts, all steps of each, and return the scales of each network by its part."""
    records: dict[str, Record] = defaultdict(dict)

    def watched(network: Network) -> Network:
        return observed(network, records[network.part])

    engine = contender.engine if (contender.engine or "").startswith(OBSERVING_ENGINE) else OBSERVING_ENGINE
    with nutshell.load(contender.model, engine=engine, precision="f32", rewrite=watched) as model:
        for seed, prompt in enumerate(prompts):
            model.generate(prompt, seed=seed, **contender.request)
    return {part: scales_of(record) for part, record in records.items()}


def in_eight_bits(scales: Mapping[str, Scales], largest_weight: int) -> Rewrite:
    """What `nutshell.load` takes to run the networks that have scales in eight bits."""

    def rewrite(network: Network) -> Network:
        return quantized(network, scales[network.part], largest_weight) if network.part in scales else network

    return rewrite


def largest_weight(processor: Path = PROCESSOR) -> int:
    """The largest weight with which this processor adds up rightly; the safe one where nothing tells."""
    flags = processor.read_text(encoding="utf-8") if processor.is_file() else ""
    return FULL_WEIGHT if "avx512_vnni" in flags or "avx_vnni" in flags else SAFE_WEIGHT


def opened(contender: Contender) -> Model:
    """The contender, loaded; in eight bits this takes a minute or two for a small model."""
    rewrite = in_eight_bits(observe(contender, examples()), largest_weight()) if contender.int8 else None
    return nutshell.load(contender.model, engine=contender.engine, precision=contender.precision, rewrite=rewrite)
