"""Both networks together: pictures in, readings and features out; saving and loading them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from training.judge.classes import COLOUR_CLASSES, NOTHING, Classes
from training.judge.crops import crop, cut, shrink
from training.judge.finder import PICTURE_PIXELS, Finder, Found
from training.judge.grid import PIXEL_ART, is_pixel_art
from training.judge.namer import Namer
from training.judge.read import Reading, Seen
from training.judge.settings import WEIGHTS, ReadingSettings
from training.judge.targets import Spot, decode
from training.pixels import to_unit
from training.scenes.geometry import size_name
from training.scenes.scene import Background
from training.scenes.settings import load_scene_settings

BATCH = 64
COLOURS_OF = {"plain": 1, "gradient": 2}
Pictures = Tensor | NDArray[np.uint8]


@dataclass(frozen=True)
class Widths:
    """The sizes of both networks, kept beside the weights."""

    finder: tuple[int, int, int, int]
    namer: tuple[int, ...]
    namer_blocks: tuple[int, ...]
    namer_gathered: int


class Judge:
    """Reads pictures. Give it uint8 (n, 3, 256, 256), as a tensor or an array."""

    def __init__(self, classes: Classes, widths: Widths, reading: ReadingSettings) -> None:
        self.classes, self.widths, self.settings = classes, widths, reading
        self.finder = Finder(classes, widths.finder).eval()
        self.namer = Namer(classes, widths.namer, widths.namer_blocks, widths.namer_gathered).eval()
        self.limits = load_scene_settings().limits

    def to(self, device: torch.device | str) -> Judge:
        """Both networks on a device, in channels_last."""
        self.finder.to(device, memory_format=torch.channels_last)
        self.namer.to(device, memory_format=torch.channels_last)
        return self

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.finder.parameters()).device

    @torch.inference_mode()
    def read(self, pictures: Pictures) -> list[Reading]:
        """What each picture shows."""
        readings: list[Reading] = []
        for part in _tensor(pictures).split(BATCH):
            readings += self._read(part.to(self.device))
        return readings

    @torch.inference_mode()
    def features(self, pictures: Pictures) -> NDArray[np.float32]:
        """For Frechet distance: float32 (n, 256)."""
        parts = [self._find(part.to(self.device)).features.cpu() for part in _tensor(pictures).split(BATCH)]
        return torch.cat(parts).numpy()

    def _find(self, pictures: Tensor) -> Found:
        found: Found = self.finder(
            to_unit(shrink(pictures, pictures.shape[-1] // PICTURE_PIXELS)).contiguous(
                memory_format=torch.channels_last
            )
        )
        return found

    def _read(self, pictures: Tensor) -> list[Reading]:
        found = self._find(pictures)
        spots = decode(torch.sigmoid(found.heat), found.place, self.settings.heat, self.settings.most)
        seen = self._name(pictures, spots)
        kinds = [self.classes.backgrounds[index] for index in found.background.argmax(dim=1).tolist()]
        styles = self._styles(pictures, found.style)
        colours = found.colours.argsort(dim=1, descending=True).tolist()
        return [
            Reading(
                tuple(seen[index]),
                Background(kind, tuple(self.classes.colours[c] for c in colours[index][: COLOURS_OF.get(kind, 0)])),
                styles[index],
            )
            for index, kind in enumerate(kinds)
        ]

    def _styles(self, pictures: Tensor, said: Tensor) -> list[str]:
        """What the finder says, but pixel art, which it cannot see, is measured."""
        measured = is_pixel_art(pictures)
        others = said.clone()
        others[:, [number for number, name in enumerate(self.classes.styles) if name == PIXEL_ART]] = -torch.inf
        named = [self.classes.styles[index] for index in others.argmax(dim=1).tolist()]
        return [PIXEL_ART if yes else name for yes, name in zip(measured.tolist(), named, strict=True)]

    def _name(self, pictures: Tensor, spots: list[list[Spot]]) -> list[list[Seen]]:
        seen: list[list[Seen]] = [[] for _ in spots]
        places = [(index, spot) for index, some in enumerate(spots) for spot in some]
        if not places:
            return seen
        which = torch.tensor([index for index, _ in places], device=pictures.device)
        boxes = torch.tensor([spot.box for _, spot in places], device=pictures.device)
        names = self.namer(crop(cut(pictures, which, boxes)))
        chances, things = names.thing.softmax(dim=1).max(dim=1)
        colours, holdings = names.colour.argmax(dim=1).tolist(), names.holding.argmax(dim=1).tolist()
        worn = (torch.sigmoid(names.wearing) > self.settings.worn).tolist()
        covered = torch.sigmoid(names.covered).tolist()
        for number, ((index, spot), chance, thing) in enumerate(
            zip(places, chances.tolist(), things.tolist(), strict=True)
        ):
            name = self.classes.things[thing]
            if name == NOTHING or chance < self.settings.sure:
                continue
            seen[index].append(
                Seen(
                    thing=name,
                    colour=COLOUR_CLASSES[colours[number]],
                    box=spot.box,
                    size=size_name(spot.side, self.limits),
                    wearing=frozenset(w for w, on in zip(self.classes.wearables, worn[number], strict=True) if on),
                    holding=self.classes.holdables[holdings[number]],
                    score=spot.score * chance,
                    covered=covered[number],
                )
            )
        return seen


def save_judge(judge: Judge, folder: Path) -> None:
    """Weights in fp16 and everything else as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, network in (("finder", judge.finder), ("namer", judge.namer)):
        weights = {key: value.half().contiguous().cpu() for key, value in _weights(network).items()}
        save_file(weights, folder / f"{name}.safetensors")
    table = {"widths": asdict(judge.widths), "reading": asdict(judge.settings)}
    (folder / "judge.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    (folder / "classes.json").write_text(judge.classes.to_json() + "\n", encoding="utf-8")


def load_judge(folder: Path = WEIGHTS) -> Judge:
    """The judge that `save_judge` wrote, on the CPU."""
    table = json.loads((folder / "judge.json").read_text(encoding="utf-8"))
    classes = Classes.from_json((folder / "classes.json").read_text(encoding="utf-8"))
    widths = Widths(
        **{name: tuple(value) if isinstance(value, list) else value for name, value in table["widths"].items()}
    )
    judge = Judge(classes, widths, ReadingSettings(**table["reading"]))
    for name, network in (("finder", judge.finder), ("namer", judge.namer)):
        weights = load_file(folder / f"{name}.safetensors")
        own = _weights(network)
        if own.keys() != weights.keys():
            raise ValueError(f"{folder / name}.safetensors holds other layers than its judge.json says")
        for key, value in own.items():
            value.copy_(weights[key])
    return judge.to("cpu")


def _weights(network: nn.Module) -> dict[str, Tensor]:
    """All that is learned or measured, without the batch normalizations' step counters."""
    return {key: value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}


def _tensor(pictures: Pictures) -> Tensor:
    return pictures if isinstance(pictures, Tensor) else torch.from_numpy(np.ascontiguousarray(pictures))
