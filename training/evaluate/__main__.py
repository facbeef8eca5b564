"""Measure text-to-picture models on 500 fixed prompts, 107 of them combinations that no training picture shows.

    python -m training.evaluate MODEL [MODEL ...] [--first N] [--json FILE] [--sheet FILE.jpg --font FONT]

MODEL is [LABEL=]MODEL[:OPTION,...]: a built-in name, a folder or a file; options are steps=N, guidance=X,
sampler=NAME, engine=NAME, precision=NAME and int8. For example

    python -m training.evaluate teacher=out/teacher turbo=out/turbo:steps=4 turbo8=out/turbo:steps=4,int8

Every picture is drawn by Nutshell, with the model's own steps, guidance and sampler unless told otherwise, and with
its place in the list for a seed. Pictures are kept, so an interrupted run goes on where it stopped. The column
"scenes" is the judge on real pictures of the same scenes: what a faultless model would get.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch

from nutshell.errors import NutshellError, UsageError
from training.artist.settings import load_recipe
from training.artist.subjects import recipe_sampler
from training.cache import DEFAULT_CACHE
from training.evaluate.contender import Contender, parse_all
from training.evaluate.drawing import draw, pixels
from training.evaluate.int8 import opened
from training.evaluate.measure import Measured, measure, real_pictures, spread_at_best
from training.evaluate.prompts import load_prompts, spread
from training.evaluate.sheet import load_sheet, save_sheet
from training.evaluate.table import SCENES, as_json, as_table
from training.judge.judge import load_judge
from training.scenes.studio import Studio


def main() -> None:
    """Draw, judge, print."""
    options = _options()
    output = options.output or options.cache / "evaluation"
    defaults = {name: getattr(options, name) for name in ("steps", "guidance", "sampler", "engine", "precision")}
    try:
        contenders = [one.with_defaults(**defaults) for one in parse_all(options.models)]
        if options.sheet and len(contenders) > 1:
            raise UsageError("--sheet shows one model", "run it once for each, with --first 0")
        if options.first != 0:
            columns = evaluate(contenders, options.first, output, options.recipe, options.cache)
            print(as_table(columns))
            if options.json:
                table = as_json(columns, {one.label: one for one in contenders})
                options.json.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        if options.sheet:
            prompts = load_sheet()
            files = draw(contenders[0], dict(enumerate(prompts)), output, opened)
            save_sheet(prompts, files, options.font, options.sheet)
    except NutshellError as error:
        print(f"{error}; {error.hint}" if error.hint else error, file=sys.stderr)
        raise SystemExit(error.exit_code) from None


def evaluate(
    contenders: list[Contender], first: int | None, output: Path, recipe: str, cache: Path
) -> dict[str, Measured]:
    """What each contender reaches on the list or its `first` prompts, by label, real pictures last."""
    prompts = spread(load_prompts(), first)
    files = {one.label: draw(one, {prompt.place: prompt.text for prompt in prompts}, output, opened)
             for one in contenders}  # fmt: skip
    judge = load_judge().to("cuda" if torch.cuda.is_available() else "cpu")
    sampler = recipe_sampler(load_recipe(recipe), cache)
    studio = Studio(sampler.world, cache)
    real = spread_at_best(real_pictures(prompts, sampler, studio, "reference"), judge)
    columns = {label: measure(prompts, pixels(drawn), judge, real) for label, drawn in files.items()}
    return columns | {SCENES: measure(prompts, real_pictures(prompts, sampler, studio, SCENES), judge, real)}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--first", type=int, metavar="N", help="only N prompts of the 500, from all categories")
    parser.add_argument("--output", type=Path, help="where pictures are kept; otherwise below the cache")
    parser.add_argument("--json", type=Path, help="write the results there, too")
    parser.add_argument("--sheet", type=Path, help="also 64 other prompts on one sheet, for people to look at")
    parser.add_argument("--font", type=Path, help="a font with Chinese characters, for the sheet")
    parser.add_argument("--recipe", default="cpu", help="the real pictures are drawn by these numbers (cpu)")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE, help="where the fetched art lies")
    for name, kind in (("steps", int), ("guidance", float), ("sampler", str), ("engine", str), ("precision", str)):
        parser.add_argument(f"--{name}", type=kind, help="for all models that do not say it themselves")
    return parser.parse_args()


if __name__ == "__main__":
    main()
