"""What everything is called, in English and Chinese: CLDR's short names made plain, with our own on top.

`names.toml` holds the names written by hand; every other thing gets its name from the CLDR by small rules.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from training.scenes.art import cldr_names
from training.scenes.facts import Fact, load_facts
from training.scenes.wardrobe import load_anchors, load_holdables, load_wearables
from training.scenes.world import Noun, Thing, World

NAMES = Path(__file__).with_name("names.toml")

RECOLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink")
COLOUR_WORDS = frozenset({*RECOLOURS, "brown", "black", "white", "grey", "golden", "gold"})
OWN_COLOURS_ONLY = frozenset({"face", "person", "hand", "symbol"})  # groups whose hue is never shifted

# First and last code point of each group, the first match counts; "object" is what is left.
RANGES = (
    ("face", ((0x1F600, 0x1F637), (0x1F641, 0x1F644), (0x1F910, 0x1F917), (0x1F920, 0x1F925), (0x1F927, 0x1F92F),
              (0x1F970, 0x1F976), (0x1F978, 0x1F97A), (0x1F9D0, 0x1F9D0), (0x1FAE0, 0x1FAE5), (0x1FAE8, 0x1FAE8),
              (0x2639, 0x263A), (0x1F47F, 0x1F47F), (0x1F31A, 0x1F31E))),
    ("animal", ((0x1F400, 0x1F43D), (0x1F43F, 0x1F43F), (0x1F638, 0x1F640), (0x1F648, 0x1F64A), (0x1F980, 0x1F9AE),
                (0x1F54A, 0x1F54A), (0x1F577, 0x1F577), (0x1FAB0, 0x1FAB3), (0x1FABC, 0x1FABC), (0x1FABF, 0x1FABF),
                (0x1FACE, 0x1FACF))),
    ("hand", ((0x1F442, 0x1F450), (0x1F485, 0x1F485), (0x1F4AA, 0x1F4AA), (0x1F590, 0x1F596), (0x1F64C, 0x1F64C),
              (0x1F64F, 0x1F64F), (0x1F90C, 0x1F90C), (0x1F90F, 0x1F90F), (0x1F918, 0x1F91F), (0x1F932, 0x1F933),
              (0x1F9B5, 0x1F9B6), (0x1F9BB, 0x1F9BB), (0x1FAE6, 0x1FAE6), (0x1FAF0, 0x1FAF8), (0x261D, 0x261D),
              (0x270A, 0x270D))),
    ("person", ((0x1F385, 0x1F385), (0x1F3C2, 0x1F3C4), (0x1F3C7, 0x1F3C7), (0x1F3CA, 0x1F3CC), (0x1F466, 0x1F47A),
                (0x1F47C, 0x1F47C), (0x1F481, 0x1F483), (0x1F486, 0x1F487), (0x1F48F, 0x1F48F), (0x1F491, 0x1F491),
                (0x1F574, 0x1F575), (0x1F57A, 0x1F57A), (0x1F645, 0x1F647), (0x1F64B, 0x1F64B), (0x1F64D, 0x1F64E),
                (0x1F6A3, 0x1F6A3), (0x1F6B4, 0x1F6B6), (0x1F6C0, 0x1F6C0), (0x1F6CC, 0x1F6CC), (0x1F926, 0x1F926),
                (0x1F930, 0x1F931), (0x1F934, 0x1F93E), (0x1F977, 0x1F977), (0x1F9B8, 0x1F9B9), (0x1F9CC, 0x1F9CF),
                (0x1F9D1, 0x1F9DF), (0x1FAC2, 0x1FAC5), (0x26F7, 0x26F7), (0x26F9, 0x26F9))),
    ("plant", ((0x1F331, 0x1F335), (0x1F337, 0x1F33C), (0x1F33E, 0x1F343), (0x1F384, 0x1F384), (0x1F38B, 0x1F38B),
               (0x1F38D, 0x1F38D), (0x1F490, 0x1F490), (0x1F940, 0x1F940), (0x1FAB4, 0x1FAB4), (0x1FAB7, 0x1FAB7),
               (0x1FABB, 0x1FABB), (0x2618, 0x2618))),
    ("food", ((0x1F32D, 0x1F330), (0x1F336, 0x1F336), (0x1F33D, 0x1F33D), (0x1F344, 0x1F37F), (0x1F382, 0x1F382),
              (0x1F942, 0x1F944), (0x1F950, 0x1F96F), (0x1F9C0, 0x1F9CB), (0x1FAD0, 0x1FADB), (0x2615, 0x2615))),
    ("vehicle", ((0x1F680, 0x1F688), (0x1F68A, 0x1F68E), (0x1F690, 0x1F69F), (0x1F6A0, 0x1F6A2), (0x1F6A4, 0x1F6A4),
                 (0x1F6B2, 0x1F6B2), (0x1F6E5, 0x1F6EC), (0x1F6F0, 0x1F6FC), (0x1F3CD, 0x1F3CE), (0x26F4, 0x26F5),
                 (0x2708, 0x2708))),
    ("weather", ((0x1F300, 0x1F301), (0x1F308, 0x1F308), (0x1F30A, 0x1F30A), (0x1F311, 0x1F32C), (0x2600, 0x2604),
                 (0x26C4, 0x26C8), (0x26A1, 0x26A1), (0x2728, 0x2728), (0x2744, 0x2744), (0x2B50, 0x2B50),
                 (0x1FA90, 0x1FA90))),
    ("place", ((0x1F303, 0x1F307), (0x1F309, 0x1F30C), (0x1F391, 0x1F391), (0x1F3A0, 0x1F3A2), (0x1F3AA, 0x1F3AA),
               (0x1F3D4, 0x1F3F0), (0x1F492, 0x1F492), (0x1F54B, 0x1F54D), (0x1F5FB, 0x1F5FF), (0x1F689, 0x1F689),
               (0x1F6D5, 0x1F6D6), (0x1F6E3, 0x1F6E4), (0x26E9, 0x26F2), (0x26FA, 0x26FA))),
    ("heart", ((0x1F493, 0x1F49D), (0x1F49E, 0x1F49F), (0x1F5A4, 0x1F5A4), (0x1F90D, 0x1F90E), (0x1F9E1, 0x1F9E1),
               (0x1FA75, 0x1FA77), (0x2763, 0x2764))),
    ("symbol", ((0xA9, 0xAE), (0x203C, 0x2199), (0x21A9, 0x21AA), (0x23CF, 0x23CF), (0x23E9, 0x23EF), (0x23F8, 0x23FA),
              (0x24C2, 0x24C2), (0x25B6, 0x25C0), (0x2611, 0x2611), (0x2622, 0x2653), (0x2668, 0x267F),
              (0x2695, 0x2695), (0x269B, 0x26A0), (0x26A7, 0x26A7), (0x26CE, 0x26CE), (0x26D4, 0x26D4),
              (0x2705, 0x2705), (0x2714, 0x2721), (0x2733, 0x2734), (0x2747, 0x2757), (0x2795, 0x27BF),
              (0x2934, 0x2B07), (0x3030, 0x3299), (0x1F170, 0x1F251), (0x1F4A2, 0x1F4A2), (0x1F4A4, 0x1F4A4),
              (0x1F4AF, 0x1F4AF), (0x1F4B1, 0x1F4B2), (0x1F4F3, 0x1F4F6), (0x1F500, 0x1F506), (0x1F515, 0x1F515),
              (0x1F518, 0x1F524), (0x1F52F, 0x1F531), (0x1F549, 0x1F549), (0x1F6AB, 0x1F6AB), (0x1F6AD, 0x1F6B1),
              (0x1F6B3, 0x1F6B3), (0x1F6B7, 0x1F6BC), (0x1F6BE, 0x1F6BE), (0x1F6C2, 0x1F6C5), (0x1F6D0, 0x1F6D1),
              (0x1F6D7, 0x1F6DC), (0x1F7F0, 0x1F7F0), (0x1FAAF, 0x1FAAF), (0x1F3E7, 0x1F3E7))),
    ("shape", ((0x25AA, 0x25AB), (0x25FB, 0x25FE), (0x26AA, 0x26AB), (0x2B1B, 0x2B1C), (0x2B55, 0x2B55),
               (0x1F532, 0x1F53D), (0x1F7E0, 0x1F7EB), (0x1F4A0, 0x1F4A0), (0x2660, 0x2666))),
)  # fmt: skip

FLOATING = frozenset({"weather", "heart", "symbol", "shape", "face"})
MEASURES = {"animal": "只", "vehicle": "辆", "place": "座", "plant": "棵"}
WEIGHTS = {"symbol": 0.1, "shape": 0.3, "hand": 0.3, "person": 0.3, "object": 0.6, "place": 0.7}
UNWRITTEN_WEIGHT = 0.5  # a factor for what nobody gave a name by hand
VARIANT_WEIGHT = 0.15  # of men and women where there is a person

ACTORS = frozenset({"man", "woman", "person", "face", "cat", "monkey", "plane", "airplane", "globe", "chart", "hand",
                    "triangle", "arrow", "finger", "index"})  # fmt: skip
BREAKS = frozenset({"with", "in", "of", "on", "at", "under", "behind", "over", "from", "without", "for", "to", "and"})


@dataclass(frozen=True)
class Grammar:
    """Exceptions of English: irregular plurals of single words, plurals of what is not counted ("bread" ->
    "loaves of bread"), articles, and clumsy stretches of CLDR names with their replacements."""

    plurals: dict[str, str]
    uncounted: dict[str, str]
    units: dict[str, list[str]]
    articles: dict[str, str]
    phrases: dict[str, str]

    def noun(self, name: str) -> Noun:
        """A name with its plural and article."""
        first, _, rest = name.partition(" ")
        for unit, names in self.units.items():
            if name in names:
                return Noun(name, f"{unit} {name}", "")
        if name in self.uncounted:
            return Noun(name, self.uncounted[name], self.articles.get(name, ""))
        if first == "two":
            return Noun(name, f"pairs of {rest}", "")
        if first in ("people", "men", "women"):
            return Noun(name, f"groups of {name}", "")
        if " and " in re.split(r" (?:with|of|in|holding) ", name)[0]:
            return Noun(name, f"sets of {name}", self.article(name))
        return Noun(name, self.plural(name), self.article(name))

    def article(self, words: str) -> str:
        """ "a" or "an" (or what the table says) for a name."""
        special = self.articles.get(words)
        return special if special is not None else self.indefinite(words)

    def indefinite(self, words: str) -> str:
        """ "a" or "an" for a name or an adjective in front of one."""
        first = words.split()[0]
        special = self.articles.get(first)
        return special if special in ("a", "an") else "an" if first[0] in "aeiou" else "a"

    def plural(self, name: str) -> str:
        """The plural: of the head noun, which stands before any "with ..." or "running ..."."""
        words = name.split()
        head = len(words)
        if words[-1] in ("button", "sign", "symbol"):
            return " ".join([*words[:-1], self._plural_of_word(words[-1])])
        for index, word in enumerate(words[1:], 1):
            if word in BREAKS or (word.endswith("ing") and words[index - 1] in ACTORS):
                head = index
                break
        words[head - 1] = self._plural_of_word(words[head - 1])
        if head > 1 and words[0] in ("man", "woman"):
            words[0] = self._plural_of_word(words[0])
        return " ".join(words).replace(" its ", " their ")

    def _plural_of_word(self, word: str) -> str:
        if word in self.plurals:
            return self.plurals[word]
        for end in ("man", "woman", "person", "fish", "foot", "tooth", "mouse", "leaf", "knife", "child"):
            if word.endswith(end) and word != "human" and end in self.plurals:
                return word[: -len(end)] + self.plurals[end]
        if word.endswith(("s", "x", "z", "ch", "sh")):
            return word + "es"
        if word.endswith("y") and word[-2:-1] not in tuple("aeiou"):
            return word[:-1] + "ies"
        return word + "s"


def load_grammar(path: Path = NAMES) -> Grammar:
    """The table of exceptions."""
    return _grammar(tomllib.loads(path.read_text(encoding="utf-8")))


def load_world(cache: Path) -> World:
    """Everything that can be drawn, with its names; needs the CLDR files below `cache`, but no art."""
    table = tomllib.loads(NAMES.read_text(encoding="utf-8"))
    grammar = _grammar(table)
    english, chinese = cldr_names(cache, "en"), cldr_names(cache, "zh")
    things: dict[str, Thing] = {}
    keys: dict[str, str] = {}
    facts = load_facts()
    for code, fact in facts.items():
        plain = _bare(code)
        own = table["things"].get(plain, {})
        name = english.get(plain)
        key = key_of(name) if name else own.get("key", "")
        if not key or key in things:  # unnamed, or the same character a second time
            continue
        things[key] = _thing(key, code, fact, own, name or key, chinese.get(plain), grammar)
        keys[code] = key
    anchors, grips = load_anchors(), load_holdables()
    for key, thing in things.items():
        stand = keys.get(facts[thing.code].look_alike, "")
        things[key] = replace(thing, look_alike=stand, anchors=anchors.get(thing.code, {}))
    return World(
        things=things,
        wearables=load_wearables(),
        holdables=tuple(keys[code] for code in grips if code in keys),
        grips=grips,
        colours=_both(table["colours"]),
        grounds=_both(table["grounds"]),
    )


def key_of(name: str) -> str:
    """A CLDR short name as an identifier: "person: blond hair" -> "person_blond_hair"."""
    flat = unicodedata.normalize("NFKD", name.lower()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", flat.replace("!", "")).strip("_")


def plain_english(name: str, group: str, phrases: dict[str, str]) -> str:
    """A CLDR short name as people would say it."""
    words = re.sub(r"[“”\"()!.]", "", name.lower()).replace("’", "'")
    for clumsy, good in phrases.items():
        words = re.sub(rf"\b{re.escape(clumsy)}(?=\W|$)", good, words)
    if group == "animal":
        words = words.removesuffix(" face")
    return " ".join(words.split())


def group_of(code: str) -> str:
    """The coarse kind of a sprite, from its first code point."""
    point = int(code.split("-")[0], 16)
    for group, spans in RANGES:
        if any(first <= point <= last for first, last in spans):
            return group
    return "object"


def _grammar(table: dict[str, Any]) -> Grammar:
    return Grammar(table["plurals"], table["uncounted"], table["units"], table["articles"], table["phrases"])


def _thing(
    key: str, code: str, fact: Fact, own: dict[str, Any], name: str, chinese: str | None, grammar: Grammar
) -> Thing:
    group = own.get("group", group_of(code))
    names = list(own.get("en", ())) or [plain_english(name, group, grammar.phrases)]
    if who := re.fullmatch(r"(man|woman) (?!.*\b(?:with|in|wearing)\b)(?!\w+ing\b)(.+)", names[0]):
        names.insert(0, f"{'male' if who[1] == 'man' else 'female'} {who[2]}")
    chinese_names = list(own.get("zh", ()))
    if chinese and not chinese_names:
        chinese_names = [chinese]
    colour = fact.colour if group not in ("person", "hand") else ""
    if group == "face" and colour == "orange":  # smileys shade from yellow to orange
        colour = "yellow"
    colour = own.get("colour", colour)
    recolourable = fact.recolourable and group not in OWN_COLOURS_ONLY and not COLOUR_WORDS & set(names[0].split())
    weight = WEIGHTS.get(group, 1.0) * (1.0 if own else UNWRITTEN_WEIGHT)
    if "-200d-2640" in code or "-200d-2642" in code or (group == "person" and code.startswith(("1f468-", "1f469-"))):
        weight = VARIANT_WEIGHT
    return Thing(
        key=key,
        code=code,
        english=tuple(grammar.noun(one) for one in names),
        chinese=tuple(chinese_names),
        measure=own.get("measure", MEASURES.get(group, "个")),
        group=group,
        colour=colour,
        recolours=tuple(one for one in RECOLOURS if one != colour) if own.get("recolour", recolourable) else (),
        floats=own.get("floats", group in FLOATING),
        weight=own.get("weight", weight),
    )


def _bare(code: str) -> str:
    return "-".join(f"{int(part, 16):x}" for part in code.split("-") if part != "fe0f")


def _both(rows: dict[str, Any]) -> dict[str, dict[str, tuple[str, ...]]]:
    return {name: {language: tuple(words) for language, words in row.items()} for name, row in rows.items()}
