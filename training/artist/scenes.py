"""What a picture shows and how it is put together: one object, one size, one place, a plain background.

The picture is a function of the `Scene` alone. That narrowness is deliberate: with random places and
sizes a denoiser trained for minutes on a CPU drew blobs; with none it draws crisp objects.
"""

from __future__ import annotations

import tomllib
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from training.artist.settings import HERE, SceneSettings

Anchor = tuple[int, int, int]  # x, y, width in sprite pixels
OpenSprite = Callable[[str], Image.Image]


@dataclass(frozen=True)
class Subject:
    """One drawable thing and its names."""

    key: str
    code: str
    english: tuple[str, ...]
    chinese: tuple[str, ...]
    measure: str
    look: str = ""
    anchors: dict[str, Anchor] = field(default_factory=dict)


@dataclass(frozen=True)
class Wearable:
    """Something an animal's face can wear: where it goes and what it is called."""

    key: str
    code: str
    anchor: str
    english: tuple[str, ...]
    chinese: tuple[str, ...]


@dataclass(frozen=True)
class World:
    """Everything that can be drawn, and the Chinese names of the backgrounds."""

    subjects: dict[str, Subject]
    wearables: dict[str, Wearable]
    colours: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Scene:
    """One picture: subject, what it wears ("" for nothing), background."""

    subject: str
    wear: str
    background: str

    @property
    def key(self) -> str:
        """A stable name, used for file names and for holding scenes out."""
        return f"{self.subject}+{self.wear or 'nothing'}+{self.background}"


def load_world(path: Path = HERE / "objects.toml") -> World:
    """Read the table of objects."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    subjects = {
        key: Subject(
            key=key,
            code=row["code"],
            english=tuple(row["en"]),
            chinese=tuple(row["zh"]),
            measure=row["measure"],
            look=row.get("look", ""),
            anchors={name: tuple(row[name]) for name in ("eyes", "head") if name in row},
        )
        for key, row in table["objects"].items()
    }
    wearables = {
        key: Wearable(key, row["code"], row["anchor"], tuple(row["en"]), tuple(row["zh"]))
        for key, row in table["wear"].items()
    }
    return World(subjects, wearables, {key: tuple(names) for key, names in table["backgrounds"].items()})


def every_scene(world: World, settings: SceneSettings) -> list[Scene]:
    """All scenes in a fixed order: each subject, bare and with each wearable it has an anchor for."""
    scenes = []
    for subject in world.subjects.values():
        wears = [""] + [wear.key for wear in world.wearables.values() if wear.anchor in subject.anchors]
        scenes += [Scene(subject.key, wear, background) for wear in wears for background in settings.backgrounds]
    return scenes


def is_held_out(scene: Scene, settings: SceneSettings) -> bool:
    """Whether a scene is kept from training. Never one on the default background."""
    if scene.background == next(iter(settings.backgrounds)):
        return False
    return zlib.crc32(scene.key.encode()) % settings.held_out_one_in == 0


def compose(scene: Scene, world: World, settings: SceneSettings, open_sprite: OpenSprite) -> Image.Image:
    """Draw a scene: RGB, `size_pixels` square."""
    subject = world.subjects[scene.subject]
    size, side = settings.size_pixels, settings.sprite_pixels
    canvas = Image.new("RGBA", (size, size), (*settings.backgrounds[scene.background], 255))
    sprite = open_sprite(subject.code)
    scale = side / sprite.width
    margin = (size - side) // 2
    canvas.alpha_composite(sprite.resize((side, side), Image.Resampling.LANCZOS), (margin, margin))
    if scene.wear:
        wear = world.wearables[scene.wear]
        piece = open_sprite(wear.code)
        piece = piece.crop(piece.getbbox())
        x, y, width = (value * scale for value in subject.anchors[wear.anchor])
        height = width * piece.height / piece.width
        top = y - height if wear.anchor == "head" else y - height / 2
        piece = piece.resize((round(width), round(height)), Image.Resampling.LANCZOS)
        canvas.alpha_composite(piece, (max(0, round(margin + x - width / 2)), max(0, round(margin + top))))
    return canvas.convert("RGB")
