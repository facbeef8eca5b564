"""The command line that every program of the artist's training has."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch

from training.artist.settings import RECIPES, Recipe, load_recipe
from training.cache import DEFAULT_CACHE


@dataclass(frozen=True)
class Options:
    """What the user asked for. `minutes` is None for the recipe's own; `work` is where this recipe's files go."""

    recipe: Recipe
    cache: Path
    minutes: float | None
    resume: bool

    @property
    def work(self) -> Path:
        """The folder of this recipe's intermediate files."""
        return self.cache / "artist" / self.recipe.name

    @property
    def device(self) -> torch.device:
        """A GPU if there is one."""
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def parser_of(description: str | None) -> argparse.ArgumentParser:
    """The common arguments; a program may add its own."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = sorted(path.stem for path in RECIPES.glob("*.toml"))
    parser.add_argument("--recipe", choices=names, default="gpu" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    parser.add_argument("--minutes", type=float, help="of training in all, earlier runs included")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    return parser


def options_of(given: argparse.Namespace) -> Options:
    """The common arguments, parsed."""
    torch.manual_seed(0)
    return Options(load_recipe(given.recipe), given.cache, given.minutes, given.resume)


def read_options(description: str | None) -> Options:
    """Read a command line without arguments of its own."""
    return options_of(parser_of(description).parse_args())
