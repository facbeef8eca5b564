"""Runs of a model's networks, kept while a picture is drawn, to be done again where values can be watched.

A picture is drawn by the fast engine, whose graphs do not show what flows in them. The inputs of a network are small (a
latent, a condition), so those of a few runs are kept, and the reference engine does just these again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from nutshell.engines import Engine
from nutshell.networks.ops import Network
from nutshell.pipeline.facts import Facts
from nutshell.pipeline.order import sized_networks
from nutshell.quantization import PARTS
from nutshell.weights import Part

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Call:
    """One run of the network of a part. inputs: by name."""

    part: str
    inputs: Mapping[str, Array]


@dataclass
class Tape:
    """A `Tap` that keeps every run of one picture."""

    calls: list[Call] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def __call__(self, part: str, inputs: Mapping[str, Array], output: Array) -> None:
        self.counts[part] = self.counts.get(part, 0) + 1
        self.calls.append(Call(part, {name: np.array(value) for name, value in inputs.items()}))
        if part == "vae_decoder":
            # What the encoder would be given to draw over.
            self.calls.append(Call("vae_encoder", {"picture": np.clip(output, -1, 1).astype(np.float32)}))

    def chosen(self, most: int) -> list[Call]:
        """At most so many runs of each part, evenly over the picture, the first and the last among them."""
        return [call for part in PARTS for call in spread([call for call in self.calls if call.part == part], most)]


def spread(calls: Sequence[Call], most: int) -> list[Call]:
    """At most so many of them, evenly, the first and the last among them."""
    places = np.linspace(0, len(calls) - 1, min(most, len(calls))).round().astype(int)
    return [calls[place] for place in places]


def call_networks(facts: Facts, width: int, height: int, calls: Sequence[Call]) -> dict[str, Network]:
    """The networks that the calls are runs of, by part."""
    length = next(call.inputs["condition"].shape[1] for call in calls if call.part == "unet")
    return sized_networks(facts.text, facts.unet, facts.vae, width, height, length, source=True)


def replay(
    calls: Sequence[Call],
    networks: Mapping[str, Network],
    parts: Mapping[str, Part],
    engine: Engine,
    watched: Callable[[Network], Network],
    on_call: Callable[[], None],
) -> None:
    """Do runs again in an engine that computes at once, one part after another. on_call: told after each."""
    for name in PARTS:
        mine = [call for call in calls if call.part == name]
        if not mine:
            continue
        session = engine.compile(watched(networks[name]), parts[name].weights, "f32")
        try:
            for call in mine:
                session(**call.inputs)
                on_call()
        finally:
            session.close()
            parts[name].release()
