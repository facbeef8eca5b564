"""Chinese captions: one sentence, phrase or telegraphic list, true of the scene. Words come from `phrases.toml`."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from training.scenes.saying import AND_SHARE, PLAIN_NAME_SHARE, is_grey, said_colour, says_ground, size_word
from training.scenes.scene import Item, Scene
from training.scenes.world import Thing, World

COUNTS = {2: ("两", "两", "两", "2"), 3: ("三", "三", "三", "3"), 4: ("四", "四", "四", "4")}
COLOUR_CHARACTERS = frozenset("红橙黄绿蓝紫粉棕黑白灰金青")
SIZE_CHARACTERS = ("小", "大", "巨")

TELEGRAPHIC_SHARE = 0.2
COUNTED_SHARE = 0.55


@dataclass(frozen=True)
class Chinese:
    """Writes captions; `phrases` is the "chinese" part of `phrases.toml`."""

    world: World
    phrases: dict[str, Any]

    def caption(self, scene: Scene, random: Random) -> str:
        """One caption."""
        if random.random() < TELEGRAPHIC_SHARE and not scene.relation:
            return self._tags(scene, random)
        counted = random.random() < COUNTED_SHARE
        text, phrase = self._content(scene, random, counted)
        frames = self.phrases["frames" if phrase else "sentence_frames"]
        if says_ground(scene, random):
            kind, names = self._ground_values(scene, random)
            places = self.phrases["grounds"][kind]
            if phrase and random.random() < 0.6:
                text = random.choice(places["phrase"]).format(text, **names)
            else:
                template = random.choice(places["any"])
                text, phrase = template.format(text, **names), False
                frames = frames if template.startswith("{}") else ["{}"]  # not "I want the background is blue"
        if scene.style:
            styles = self.phrases["styles"][scene.style]
            kinds = "phrase" if phrase and not counted and random.random() < 0.4 else "any"
            return str(random.choice(styles[kinds])).format(text)
        if phrase and scene.count == 1 and not counted and random.random() < 0.2:
            return str(random.choice(self.phrases["phrase_frames"])).format(text)
        return str(random.choice(frames)).format(text)

    def plain(self, scene: Scene) -> str:
        """The plainest full sentence; the same for the same scene."""
        first, *others = sorted(scene.items, key=lambda item: item is not scene.items[scene.subject])
        if scene.relation:
            template = self.phrases["relations"][scene.relation][0]
            text = template.format(a=self._plain_item(first, 1, scene), b=self._plain_item(others[0], 1, scene))
        elif scene.count > 1:
            text = self._plain_item(first, scene.count, scene)
        else:
            text = _listed([self._plain_item(item, 1, scene) for item in scene.items])
        if scene.background.kind != "plain" or not is_grey(scene):
            kind, names = self._ground_values(scene, None)
            text = str(self.phrases["grounds"][kind]["any"][0]).format(text, **names)
        return str(self.phrases["styles"][scene.style]["any"][0]).format(text) if scene.style else text

    def _tags(self, scene: Scene, random: Random) -> str:
        """ "猫，墨镜，蓝色背景"."""
        tags = []
        for item in scene.items[:1] if scene.count > 1 else scene.items:
            if len(scene.items) == 1 and item.wearing and not item.holding:
                tags.append(self._item(item, 1, scene, random, counted=False, dressed=False))
                tags += [self._worn(key, scene, random) for key in item.wearing]
            else:
                tags.append(self._item(item, scene.count, scene, random, counted=scene.count > 1))
        if says_ground(scene, random):
            kind, names = self._ground_values(scene, random)
            tags.append(str(random.choice(self.phrases["grounds"][kind]["tag"])).format(**names))
        text = random.choice(("，", "，", "，", " ", "、", ", ")).join(tags)
        if scene.style:
            return str(random.choice(self.phrases["styles"][scene.style]["any"])).format(text)
        return text

    def _content(self, scene: Scene, random: Random, counted: bool) -> tuple[str, bool]:
        """What is shown, and whether that is a phrase (and not a sentence)."""
        if scene.count > 1:
            return self._item(scene.items[0], scene.count, scene, random, counted=True), True
        if len(scene.items) == 1:
            item = scene.items[0]
            if counted and item.wearing and random.random() < 0.25:
                bare = self._item(item, 1, scene, random, counted=True, dressed=False)
                return bare + "，".join(self._dress(item, scene, random, going_on=True)), False
            return self._item(item, 1, scene, random, counted), True
        if scene.relation and random.random() > AND_SHARE:
            first, second = scene.items[scene.subject], scene.items[1 - scene.subject]
            template = str(random.choice(self.phrases["relations"][scene.relation]))
            values = {
                "a": self._item(first, 1, scene, random, counted),
                "A": self._item(first, 1, scene, random, counted=True),
                "b": self._item(second, 1, scene, random, counted and random.random() < 0.5),
                "B": self._item(second, 1, scene, random, counted=True),
            }
            return template.format(**values), False
        said = [self._item(item, 1, scene, random, counted) for item in scene.items]
        random.shuffle(said)
        return _listed(said, random.choice("和和和与")), not any("，" in one for one in said)

    def _item(self, item: Item, count: int, scene: Scene, random: Random, counted: bool, dressed: bool = True) -> str:
        """One thing, or `count` equal ones, with all that is to be said."""
        thing = self.world.things[item.thing]
        grey = is_grey(scene)
        size = size_word(item, count, scene, self.phrases["sizes"], random)
        colour = said_colour(item, thing, scene, random)
        name = self._name(thing, bool(item.colour) or grey, bool(size), random)
        if COLOUR_CHARACTERS & set(name) and not item.colour:
            colour = ""
        worn = "、".join(self._dress(item, scene, random)) if dressed else ""
        parts = [f"{worn}的"] if worn else []
        parts.insert(random.randint(0, len(parts)), size)
        words = "".join(parts) + self._coloured(name, colour, random)
        if count > 1:
            return f"{random.choice(COUNTS[count])}{thing.measure}{words}"
        return f"一{thing.measure}{words}" if counted else words

    def _coloured(self, name: str, colour: str, random: Random) -> str:
        if not colour:
            return name
        names = self.world.colours[colour]["zh"]
        word = names[0] if random.random() < 0.6 else random.choice(names)
        if not word.endswith("色") and len(word) + len(name) > 3:
            word = names[0]
        of = "的" if word.endswith("色") and (len(name) < 2 or random.random() < 0.55) else ""
        return f"{word}{of}{name}"

    def _name(self, thing: Thing, no_colour: bool, no_size: bool, random: Random) -> str:
        fitting = [
            name
            for name in thing.chinese
            if not (no_colour and COLOUR_CHARACTERS & set(name)) and not (no_size and name.startswith(SIZE_CHARACTERS))
        ]
        names = tuple(fitting) or thing.chinese
        return names[0] if random.random() < PLAIN_NAME_SHARE else random.choice(names)

    def _worn(self, key: str, scene: Scene, random: Random) -> str:
        names = self.world.wearables[key].chinese
        if is_grey(scene):
            names = tuple(name for name in names if not COLOUR_CHARACTERS & set(name)) or names
        return names[0] if random.random() < PLAIN_NAME_SHARE else random.choice(names)

    def _dress(self, item: Item, scene: Scene, random: Random, going_on: bool = False) -> list[str]:
        """What is worn and held, a verb with each kind: "戴着墨镜和帽子", "围着围巾", "拿着气球"."""
        groups: dict[str, list[str]] = {}
        for key in item.wearing:
            neck = self.world.wearables[key].anchor == "neck"
            groups.setdefault("围" if neck else "戴", []).append(self._worn(key, scene, random))
        on = "着" if going_on or item.holding or random.random() < 0.6 else ""
        said = [f"{verb}{on}{_listed(worn)}" for verb, worn in groups.items()]
        if item.holding:
            held = self.world.things[item.holding]
            said.append(f"拿着{self._name(held, scene.style == 'black and white', False, random)}")
        return said

    def _ground_values(self, scene: Scene, random: Random | None) -> tuple[str, dict[str, str]]:
        """The kind of background in `phrases.toml`, and its colours' names; without `random` the plainest."""
        background = scene.background
        if background.kind == "gradient" and is_grey(scene):
            return "grey_gradient", {}
        names = []
        for colour in background.colours:
            known = [name for name in self.world.colours[colour]["zh"] if name.endswith("色")]
            names.append(known[0] if random is None or random.random() < 0.75 else random.choice(known))
        return background.kind, dict(zip(("colour", "other"), names, strict=False))

    def _plain_item(self, item: Item, count: int, scene: Scene) -> str:
        thing = self.world.things[item.thing]
        parts = ["两三四"[count - 2] if count > 1 else "一", thing.measure]
        steady = Random(0)
        dress = "、".join(self._dress(item, scene, steady, going_on=True))
        name = next((one for one in thing.chinese if not item.colour or not COLOUR_CHARACTERS & set(one)), "")
        parts.append(f"{dress}的" if dress else "")
        parts.append("" if item.size == "medium" else self.phrases["sizes"][item.size][0])
        if item.colour and not is_grey(scene):
            parts.append(f"{self.world.colours[item.colour]['zh'][0]}的")
        return "".join([*parts, name or thing.chinese[0]])


def _listed(words: list[str], last: str = "和") -> str:
    return words[0] if len(words) == 1 else "、".join(words[:-1]) + last + words[-1]
