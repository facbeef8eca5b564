"""`nutshell inspect`: how a picture was made, or what a model holds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nutshell.cli.options import add_settings, make_parser, settle
from nutshell.cli.speech import one_line, padded, width, words
from nutshell.language import Text, tr

if TYPE_CHECKING:
    from nutshell.compress.history import Step
    from nutshell.pipeline.inspect_checkpoint import Description

DESCRIPTION = tr("Show how a picture was made, or what a model holds. Nothing is run, and no weights are read.")
EXAMPLES = """\
  nutshell inspect cat.png
  nutshell inspect stable-diffusion-v1-5/ --json
"""
FILE_HELP = tr("a picture (.png, .jpg, .webp), a model folder, a .safetensors file, or a model's name")
NO_PARAMETERS = tr("no parameters: this picture does not say how it was made")
FOREIGN = {
    "ComfyUI": tr("a ComfyUI workflow, no parameters; drop the picture onto ComfyUI to open it. Its text:"),
    "InvokeAI": tr("made by InvokeAI, whose parameters are shown as they are:"),
}
FOREIGN_UNKNOWN = tr("a comment of another tool:")

PICTURES = (".png", ".jpg", ".jpeg", ".webp")


def main(given: Sequence[str]) -> int:
    parser = make_parser("inspect", DESCRIPTION, EXAMPLES)
    parser.add_argument("file", metavar="FILE", help=FILE_HELP)
    add_settings(parser, "models", "store", "sticks", "offline", "json", "log_level")
    arguments = parser.parse_intermixed_args(given)
    settings = settle(arguments)
    path = Path(arguments.file)
    if path.suffix.lower() in PICTURES and not path.is_dir():
        from nutshell.pipeline.parameters import read_parameters

        parameters = read_parameters(path)
        lines = [_json(parameters)] if settings["json"] else picture_lines(parameters)
    else:
        from nutshell.pipeline.inspect_checkpoint import describe_checkpoint
        from nutshell.store import find
        from nutshell.store.places import Places

        found = find(arguments.file, Places.of(settings))
        described = describe_checkpoint(found.path, found.base)
        from nutshell.compress.history import read_history

        steps = read_history(found.path)
        plain = {**_plain(described), **({"history": [asdict(step) for step in steps]} if steps else {})}
        lines = [_json(plain)] if settings["json"] else [*model_lines(described), *history_lines(steps)]
    for line in lines:
        print(line)
    return 0


def picture_lines(parameters: Mapping[str, Any]) -> Iterator[str]:
    """For people."""
    if not parameters:
        yield words(NO_PARAMETERS)
    elif "tool" in parameters and "raw" in parameters:
        yield words(FOREIGN.get(parameters["tool"], FOREIGN_UNKNOWN))
        yield "\n".join(map(one_line, parameters["raw"].splitlines()))
    else:
        yield from _rows({key: value for key, value in parameters.items() if value != ""})


def model_lines(described: Description) -> Iterator[str]:
    """For people."""
    rows: dict[str, Any] = {tr("path"): described.path, tr("layout"): described.layout}
    rows.update(described.facts.items())
    rows |= {tr("parameters"): f"{described.parameters:,}", tr("on disk"): megabytes(described.disk_bytes)}
    yield from _rows(rows)
    for part in described.parts:
        types = ", ".join(
            f"{dtype} {count:,}" if len(part.dtypes) > 1 else dtype for dtype, count in part.dtypes.items()
        )
        yield f"{one_line(part.name)}: {_said(part.architecture)}"
        held = tr(
            "{count:,} parameters, {types}, {size}",
            count=part.parameters,
            types=types or tr("nothing"),
            size=megabytes(part.file_bytes),
        )
        yield f"  {words(held)}"
    if described.metadata:
        yield words(tr("metadata:"))
        yield from ("  " + row for row in _rows(described.metadata))
    if described.problem:
        yield words(tr("cannot run here: {problem}", problem=described.problem))
        if described.hint:
            yield words(tr("hint: {hint}", hint=described.hint))


def history_lines(steps: Sequence[Step]) -> Iterator[str]:
    """What `nutshell compress` did to a model, for people."""
    if not steps:
        return
    from nutshell.compress.history import opens_in_diffusers

    yield words(tr("history:"))
    for number, step in enumerate(steps, 1):
        yield f"  {number}. {words(step.sentence)}"
    yield f"  {words(opens_in_diffusers(steps))}"


def megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count / 1e3:,.1f} KB"


def _rows(values: Mapping[str, Any]) -> list[str]:
    shown = [(_said(key), value) for key, value in values.items()]
    cells = min(24, max((width(key) for key, _ in shown), default=0))
    return [f"{padded(key, cells)}  {_shown(value)}" for key, value in shown]


def _shown(value: Any) -> str:
    if isinstance(value, Text):
        return words(value)
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return " / ".join(one_line(line) for line in str(value).split("\n"))


def _said(text: str) -> str:
    """Our own words in the language that is spoken; what stands in a file stays as it is."""
    return words(text) if isinstance(text, Text) else one_line(text)


def _plain(described: Description) -> dict[str, Any]:
    return {**asdict(described), "path": str(described.path), "parameters": described.parameters}


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, default=str)
