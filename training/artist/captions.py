"""Sentences for a scene, in English and Chinese. The choice of words is random, the meaning is not."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from training.artist.scenes import Scene, Subject, Wearable, World

DEFAULT_BACKGROUND = "white"
ENGLISH_SHARE = 0.6
PLAIN_NAME_SHARE = 0.6  # how often the first, plainest name is used
NAME_WHITE_SHARE = 0.3  # how often a caption names the white background

ENGLISH_FRAMES = (
    "{}",
    "{}",
    "{}",
    "{}",
    "a picture of {}",
    "an emoji of {}",
    "draw {}",
    "an image of {}",
    "a photo of {}",
)
ENGLISH_MOODS = ("", "", "", "", "cute ", "cool ", "little ", "big ", "beautiful ")
CHINESE_FRAMES = ("{}", "{}", "{}", "{}", "画{}", "请画{}", "我想要{}")
CHINESE_MOODS = ("", "", "", "", "可爱的", "漂亮的", "小小的", "酷酷的")


def add_names(world: World, english: dict[str, str], chinese: dict[str, str]) -> World:
    """The same world with CLDR's names (keyed by code point) added behind the curated ones."""
    subjects = {}
    for key, subject in world.subjects.items():
        code = subject.code.removesuffix("-fe0f")
        subjects[key] = replace(
            subject,
            english=_with(subject.english, english.get(code)),
            chinese=_with(subject.chinese, chinese.get(code)),
        )
    return replace(world, subjects=subjects)


def caption(scene: Scene, world: World, random: Random) -> str:
    """One sentence for the scene."""
    subject, wear = world.subjects[scene.subject], world.wearables.get(scene.wear)
    said = scene.background != DEFAULT_BACKGROUND or random.random() < NAME_WHITE_SHARE
    if random.random() < ENGLISH_SHARE:
        return _english(subject, wear, scene.background if said else "", random)
    return _chinese(subject, wear, random.choice(world.colours[scene.background]) if said else "", random)


def _english(subject: Subject, wear: Wearable | None, colour: str, random: Random) -> str:
    noun = _name(subject.english, random)
    words = random.choice(ENGLISH_MOODS)
    if subject.look and random.random() < 0.25:
        words += subject.look + " "
    words += noun
    if wear is None:
        tags = words
    else:
        worn = _name(wear.english, random)
        tags = f"{words}, {worn.removeprefix('a ')}"
        words += random.choice((f" wearing {worn}", f" wearing {worn}", f" with {worn}", f" in {worn}"))
    plain = random.random() < 0.25
    if plain and random.random() < 0.5:
        thing = tags
    elif plain:
        thing = words
    else:
        thing = f"{_article(words, noun, random)}{words}"
        thing = random.choice(ENGLISH_FRAMES).format(thing)
    if not colour:
        return thing
    ground = f"{colour} background"
    return random.choice((
        f"{thing} on a {ground}", f"{thing} on a {ground}", f"{thing} against a {ground}",
        f"{thing} in front of a {ground}", f"{thing} with a {ground}", f"{thing}, {ground}", f"{ground}, {thing}",
    ))  # fmt: skip


def _chinese(subject: Subject, wear: Wearable | None, colour: str, random: Random) -> str:
    noun = _name(subject.chinese, random)
    count = random.choice(("", "", "一" + subject.measure, "一" + subject.measure, "一个"))
    mood = random.choice(CHINESE_MOODS)
    comma = random.choice(("，", "，", ",", " "))
    if wear is None:
        thing = f"{count}{mood}{noun}"
    else:
        worn = _name(wear.chinese, random)
        thing = random.choice((
            f"{count}戴{worn}的{noun}", f"{count}戴着{worn}的{noun}", f"{count}戴{worn}的{mood}{noun}",
            f"{count}{mood}{noun}戴着{worn}", f"{noun}戴{worn}", f"{noun}{comma}{worn}",
        ))  # fmt: skip
    if colour:
        thing = random.choice((
            f"{colour}背景上的{thing}", f"{colour}背景的{thing}", f"{thing}{comma}{colour}背景",
            f"{colour}背景{comma}{thing}", f"{thing}在{colour}背景上", f"{thing}，背景是{colour}",
        ))  # fmt: skip
    return random.choice(CHINESE_FRAMES).format(thing)


def _name(names: tuple[str, ...], random: Random) -> str:
    return names[0] if random.random() < PLAIN_NAME_SHARE else random.choice(names)


def _article(words: str, noun: str, random: Random) -> str:
    if noun in ("sunglasses", "grapes", "bread", "fire", "coffee"):
        return ""
    if random.random() < 0.15:
        return random.choice(("the ", "one "))
    return "an " if words[0] in "aeiou" else "a "


def _with(names: tuple[str, ...], extra: str | None) -> tuple[str, ...]:
    return names if extra is None or extra in names else (*names, extra)
