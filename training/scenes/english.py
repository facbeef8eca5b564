"""English captions: one sentence or a telegraphic list, true of the scene. Words come from `phrases.toml`."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from training.scenes.names import COLOUR_WORDS
from training.scenes.saying import AND_SHARE, PLAIN_NAME_SHARE, is_grey, said_colour, says_ground, size_word
from training.scenes.scene import Item, Scene
from training.scenes.world import Noun, World

COUNTS = {2: ("two", "two", "two", "2"), 3: ("three", "three", "three", "3"), 4: ("four", "four", "four", "4")}
SIZE_WORDS = frozenset({"tiny", "small", "little", "big", "large", "huge"})

TELEGRAPHIC_SHARE = 0.22
GROUND_FIRST_SHARE = 0.15


@dataclass(frozen=True)
class English:
    """Writes captions; `phrases` is the "english" part of `phrases.toml`."""

    world: World
    phrases: dict[str, Any]

    def caption(self, scene: Scene, random: Random) -> str:
        """One caption."""
        telegraphic = random.random() < TELEGRAPHIC_SHARE
        shown = self._content(scene, random, bare=telegraphic)
        ground = says_ground(scene, random)
        if telegraphic:
            tags = [shown, *self._ground_words(scene, random, "tag", said=ground)]
            if scene.style and random.random() < 0.5:
                tags.insert(random.choice((0, len(tags))), scene.style)
                return ", ".join(tags)
            text = ", ".join(tags)
            return self._styled(text, scene, random) if scene.style else text
        frame = "{}" if scene.style else random.choice(self.phrases["frames"])
        first = ground and random.random() < GROUND_FIRST_SHARE
        if first:
            lead = self._ground_words(scene, random, "first", said=True)[0]
            text = f"{lead}, {shown}"
            return self._styled(text, scene, random) if scene.style else text
        after = self._ground_words(scene, random, "after", said=ground)
        # Not "with a hat with a red background", nor "in front of a dog in front of the sea".
        while after and any(f" {lead} " in shown and after[0].startswith(lead) for lead in ("with", "in front of")):
            after = self._ground_words(scene, random, "after", said=ground)
        text = " ".join([shown, *after])
        return self._styled(text, scene, random) if scene.style else frame.format(text)

    def plain(self, scene: Scene) -> str:
        """The plainest full sentence; the same for the same scene."""
        items = [scene.items[scene.subject], *(item for item in scene.items if item is not scene.items[scene.subject])]
        if scene.relation:
            text = f"{self._plain_item(items[0], 1, scene)} {_RELATION_WORDS[scene.relation]} "
            text += self._plain_item(items[1], 1, scene)
        elif scene.count > 1:
            text = self._plain_item(items[0], scene.count, scene)
        else:
            text = _listed([self._plain_item(item, 1, scene) for item in scene.items])
        if scene.background.kind != "plain" or not is_grey(scene):
            kind, names = self._ground_values(scene, None)
            text = f"{text} {self.phrases['grounds'][kind]['after'][0].format(**names)}"
        return f"{text}, {scene.style}" if scene.style else text

    def _content(self, scene: Scene, random: Random, bare: bool) -> str:
        if scene.count > 1 or len(scene.items) == 1:
            return self._item(scene.items[0], scene.count, scene, random, bare, listed=bare)
        said = [self._item(item, 1, scene, random, bare) for item in scene.items]
        if scene.relation and random.random() > AND_SHARE:
            other = 1 - scene.subject
            templates = [one for one in self.phrases["relations"][scene.relation] if _fits(one, said[other])]
            template: str = random.choice(templates)
            return template.format(a=said[scene.subject], b=said[other])
        random.shuffle(said)
        if bare and random.random() < 0.6:
            return ", ".join(said)
        return _listed(said, random.random() < 0.15)

    def _item(
        self, item: Item, count: int, scene: Scene, random: Random, bare: bool = False, listed: bool = False
    ) -> str:
        """One thing, or `count` equal ones, with all that is to be said; `listed` puts clothes behind commas."""
        thing = self.world.things[item.thing]
        grey = is_grey(scene)
        size = size_word(item, count, scene, self.phrases["sizes"], random)
        colour = said_colour(item, thing, scene, random)
        noun = self._noun(thing.english, bool(item.colour) or grey, bool(size), random)
        if COLOUR_WORDS & set(noun.one.replace("-", " ").split()) and not item.colour:
            colour = ""
        word = _pick(self.world.colours[colour]["en"], random) if colour else ""
        behind = bool(word) and not item.wearing and " " not in noun.one and count == 1 and random.random() < 0.08
        adjectives = " ".join(part for part in (size, "" if behind else word) if part)
        if count > 1:
            phrase = f"{random.choice(COUNTS[count])} {_with_adjectives(noun.many, adjectives, noun)}"
        else:
            phrase = _with_article(noun, adjectives, random, bare)
        if behind:
            phrase += f" in {word}"
        if listed and item.wearing and not item.holding and random.random() < 0.6:
            return ", ".join(
                [phrase, *(_held(self._worn_noun(key, grey, random), count, True) for key in item.wearing)]
            )
        return phrase + self._dress(item, count, noun, grey, random, bare)

    def _noun(self, nouns: tuple[Noun, ...], no_colour: bool, no_size: bool, random: Random) -> Noun:
        fitting = [
            noun
            for noun in nouns
            if not (no_colour and COLOUR_WORDS & set(noun.one.replace("-", " ").split()))
            and not (no_size and SIZE_WORDS & set(noun.one.split()))
        ]
        fitting = fitting or list(nouns)
        return fitting[0] if random.random() < PLAIN_NAME_SHARE else random.choice(fitting)

    def _worn_noun(self, key: str, grey: bool, random: Random) -> Noun:
        return self._noun(self.world.wearables[key].english, grey, False, random)

    def _dress(self, item: Item, count: int, noun: Noun, grey: bool, random: Random, bare: bool) -> str:
        """What is worn and held: " wearing a hat and holding a balloon"."""
        worn = [_held(self._worn_noun(key, grey, random), count, bare) for key in item.wearing]
        many = count > 1 or noun.article == ""
        parts = []
        if worn:
            who = "who" if self.world.things[item.thing].group == "person" else "that"
            verbs = ["wearing", "wearing", f"{who} {'wear' if many else 'wears'}"]
            if not item.holding and " with " not in noun.one:
                verbs += ["with", "with"]
            if not item.holding and " in " not in noun.one and "bow" not in item.wearing:
                verbs.append("in")
            parts.append(f"{random.choice(verbs)} {_listed(worn)}")
        if item.holding:
            thing = self.world.things[item.holding]
            held = _held(self._noun(thing.english, grey, False, random), count, bare)
            # A bare "a cat that wears a hat and holding" would be wrong, so the verbs agree.
            if parts and parts[0].startswith(("that", "who")):
                verb = "hold" if many else "holds"
            else:
                verb = random.choice(("holding", "holding", "carrying"))
            parts.append(f"{verb} {held}")
        return " " + " and ".join(parts) if parts else ""

    def _ground_words(self, scene: Scene, random: Random, place: str, said: bool) -> list[str]:
        if not said:
            return []
        kind, names = self._ground_values(scene, random)
        template: str = random.choice(self.phrases["grounds"][kind][place])
        return [template.format(**names)]

    def _ground_values(self, scene: Scene, random: Random | None) -> tuple[str, dict[str, str]]:
        """The kind of background in `phrases.toml`, and its colours' names; without `random` the plainest."""
        background = scene.background
        if background.kind == "gradient" and is_grey(scene):
            return "grey_gradient", {}
        names = [
            _pick(self.world.colours[colour]["en"], random) if random else self.world.colours[colour]["en"][0]
            for colour in background.colours
        ]
        values = dict(zip(("colour", "other"), names, strict=False))
        if names:
            values["an"] = f"{_indefinite(names[0])} {names[0]}"
        return background.kind, values

    def _styled(self, text: str, scene: Scene, random: Random) -> str:
        template: str = random.choice(self.phrases["styles"][scene.style])
        return template.format(text)

    def _plain_item(self, item: Item, count: int, scene: Scene) -> str:
        thing = self.world.things[item.thing]
        size = "" if item.size == "medium" else item.size
        adjectives = " ".join(word for word in (size, item.colour if not is_grey(scene) else "") if word)
        noun = next((one for one in thing.english if not item.colour or not COLOUR_WORDS & set(one.one.split())),
                    thing.english[0])  # fmt: skip
        if count > 1:
            phrase = f"{COUNTS[count][0]} {_with_adjectives(noun.many, adjectives, noun)}"
        else:
            phrase = _with_article(noun, adjectives, None, False)
        parts = []
        if item.wearing:
            worn = [_held(self.world.wearables[key].english[0], count, False) for key in item.wearing]
            parts.append(f"wearing {_listed(worn)}")
        if item.holding:
            parts.append(f"holding {_held(self.world.things[item.holding].english[0], count, False)}")
        return " ".join([phrase, *([" and ".join(parts)] if parts else [])])


_RELATION_WORDS = {
    "left of": "to the left of",
    "right of": "to the right of",
    "above": "above",
    "below": "below",
    "on": "on top of",
    "next to": "next to",
    "in front of": "in front of",
}


def _pick(words: tuple[str, ...], random: Random) -> str:
    return words[0] if random.random() < 0.75 else random.choice(words)


def _indefinite(words: str) -> str:
    return "an" if words[0] in "aeiou" else "a"


def _with_adjectives(name: str, adjectives: str, noun: Noun) -> str:
    """Adjectives in front of a name, but behind a unit or a number: "loaves of blue bread", "two big hearts"."""
    if not adjectives:
        return name
    for lead in ("two ",):
        if name.startswith(lead):
            return f"{lead}{adjectives} {name.removeprefix(lead)}"
    unit, of, rest = name.partition(" of ")
    if of and noun.article == "" and name == noun.many:
        return f"{unit} of {adjectives} {rest}"
    return f"{adjectives} {name}"


def _with_article(noun: Noun, adjectives: str, random: Random | None, bare: bool) -> str:
    words = _with_adjectives(noun.one, adjectives, noun)
    if bare or not noun.article:
        return words
    if noun.article == "the":
        return f"the {words}"
    chance = random.random() if random else 0.0
    if chance > 0.94:
        return f"one {words}"
    if chance > 0.87:
        return f"the {words}"
    if chance > 0.82:
        return words
    return f"{_indefinite(adjectives) if adjectives else noun.article} {words}"


def _held(noun: Noun, count: int, bare: bool) -> str:
    if count > 1 and noun.article:
        return noun.many
    return noun.one if bare or not noun.article else f"{noun.article} {noun.one}"


def _listed(words: list[str], oxford: bool = False) -> str:
    if len(words) == 1:
        return words[0]
    return ", ".join(words[:-1]) + ("," if oxford and len(words) > 2 else "") + " and " + words[-1]


def _fits(template: str, other: str) -> bool:
    """Whether a template reads well: no "a cat with a hat with a dog on its left"."""
    return "with {a}" not in template or not any(word in f" {other} " for word in (" with ", " wear", " hold", " in "))
