"""The part of the world that a recipe draws, and scenes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from training.artist.settings import Recipe
from training.scenes.names import load_world
from training.scenes.sampler import Sampler
from training.scenes.world import World


def chosen_world(world: World, things: tuple[str, ...]) -> World:
    """The world with only these things in it, and those that may be held; all of them where `things` is empty.

    Raises `KeyError` for a thing there is not.
    """
    if not things:
        return world
    chosen = {key: world.things[key] for key in things}
    held = tuple(key for key in world.holdables if key in chosen)
    return replace(world, things=chosen, holdables=held)


def recipe_sampler(recipe: Recipe, cache: Path) -> Sampler:
    """Scenes as the recipe wants them."""
    return Sampler(chosen_world(load_world(cache), recipe.world.things), recipe.scenes)
